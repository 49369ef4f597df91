"""The fields of a recipe of the task ``classify``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holdfast.data.settings import ReadingSettings
from holdfast.settings import Recipe, RecurrentSettings, Settings


class ClassifyData(ReadingSettings):
    """``[data]``: the source of the sequences and how they are prepared."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), or a known data set: ``digits`` (embedded), ``mnist``,
    ``japanese-vowels``, ``spoken-digits``; texts: ``surnames``, ``sentence-polarity``."""


class LinearSettings(Settings):
    """``[model.input_layer]`` and ``[model.output_layer]``: the size and initial values of a linear layer."""

    size: int = Field(0, ge=0)
    """Units of the input layer, which is applied to every step; 0 for no such layer. The size of the output layer is
    the number of labels."""
    weight_std: float = Field(0, ge=0)
    """Standard deviation of the normal distribution of the initial weights; 0 for torch's default."""
    bias: float | None = None
    """Initial value of every bias; unset for torch's default."""


class ClassifyModel(RecurrentSettings):
    """``[model]``: the network."""

    hidden_size: int | list[int] = 64
    """Units of each layer in each direction, or a list with one size per layer."""
    bidirectional: bool = True
    """Run each layer in both directions, from start to end and from end to start; a model that answers live, while a
    sequence goes on, needs ``false``."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Dropout probability between layers and before the output layer."""
    head: Literal["last_state", "last_output", "mean", "max"] = "max"
    """The input of the output layer: the final hidden state, the output of the last step, or the mean or the maximum of
    the outputs over time."""
    input_layer: LinearSettings = LinearSettings()
    """A linear layer applied to every step before the recurrent layers."""
    output_layer: LinearSettings = LinearSettings()
    """The linear layer that gives a score for each label."""
    embedding_size: int = Field(100, ge=1)
    """Texts: values per token vector; with ``embedding_file``, the size of its vectors."""
    embedding_std: float = Field(0.1, gt=0)
    """Texts: standard deviation of the initial vectors; with ``embedding_file``, the deviation of its values."""
    embedding_file: str = ""
    """Texts: a file with initial vectors in GloVe's format (``word v1 ... vn`` per line; ``.gz`` or not), relative to
    the working directory. Tokens that are not in the file start from random vectors."""
    freeze_embedding: bool = False
    """Texts: do not train the vectors."""
    token_dropout: float = Field(0, ge=0, lt=1)
    """Texts: in training, the probability of replacing a token with the unknown token."""
    input_dropout: float = Field(0, ge=0, lt=1)
    """Texts: dropout probability of the values of a token vector."""
    class_weights: str | dict[str, Annotated[float, Field(ge=0)]] = ""
    """The weight of each label in the loss: a table such as ``{ rare = 5.0 }``, where labels without an entry have
    weight 1; ``balanced`` for weights inverse to the frequency of the labels; empty for equal weights. With several
    labels per sequence: the weight of the sequences that have the label, against 1 for the others."""


class ClassifyRecipe(Recipe):
    """A recipe of the task ``classify``."""

    task: Literal["classify"] = "classify"
    """``classify`` gives a sequence of numbers or a text one label, or several."""
    data: ClassifyData = ClassifyData()
    """The source of the sequences and how they are prepared."""
    model: ClassifyModel = ClassifyModel()
    """The network."""


RECIPE = ClassifyRecipe
