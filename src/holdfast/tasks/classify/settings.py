"""What a recipe of the task ``classify`` may say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holdfast.data.settings import ReadingSettings
from holdfast.settings import Recipe, RecurrentSettings, Settings


class ClassifyData(ReadingSettings):
    """``[data]``: where the sequences come from and how they are prepared."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), or a known data set: ``digits`` (embedded), ``mnist``,
    ``japanese-vowels``, ``spoken-digits``; texts: ``surnames``, ``sentence-polarity``."""


class LinearSettings(Settings):
    """``[model.input_layer]`` and ``[model.output_layer]``: a linear layer's size and initial values."""

    size: int = Field(0, ge=0)
    """Units of the input layer, which is applied to every step; 0 for no such layer. The output layer takes its size
    from the labels."""
    weight_std: float = Field(0, ge=0)
    """Draw the weights from a normal distribution of this standard deviation; 0 for torch's default."""
    bias: float | None = None
    """Set every bias to this value; unset for torch's default."""


class ClassifyModel(RecurrentSettings):
    """``[model]``: the network."""

    head: Literal["last_state", "last_output", "mean", "max"] = "last_state"
    """What the output layer reads: the final hidden state, the output of the last step, or the mean or the maximum
    over time."""
    input_layer: LinearSettings = LinearSettings()
    """A linear layer applied to every step before the recurrent layers."""
    output_layer: LinearSettings = LinearSettings()
    """The linear layer that gives a score for each label."""
    embedding_size: int = Field(100, ge=1)
    """Texts: values of a token's vector; with ``embedding_file``, the file says."""
    embedding_std: float = Field(0.1, gt=0)
    """Texts: standard deviation of the values that vectors start with; with ``embedding_file``, that of the file's."""
    embedding_file: str = ""
    """Texts: a file of vectors to start from, in GloVe's format (``word v1 ... vn`` a line; ``.gz`` or not), relative
    to the working directory. Tokens that it lacks are drawn."""
    freeze_embedding: bool = False
    """Texts: leave the vectors as they start."""
    token_dropout: float = Field(0, ge=0, lt=1)
    """Texts: probability of replacing a token by the unknown one in training."""
    input_dropout: float = Field(0, ge=0, lt=1)
    """Texts: probability of dropping a value of a token's vector."""
    class_weights: str | dict[str, Annotated[float, Field(ge=0)]] = ""
    """How much each label counts in the loss: a table such as ``{ rare = 5.0 }``, 1 for the labels that it lacks;
    ``balanced`` for the inverse of how often it occurs; empty for all alike. With several labels a sequence: how much
    having the label counts against not having it."""


class ClassifyRecipe(Recipe):
    """A recipe of the task ``classify``."""

    task: Literal["classify"] = "classify"
    """``classify`` gives a sequence of numbers or a text one label, or several."""
    data: ClassifyData = ClassifyData()
    """Where the sequences come from and how they are prepared."""
    model: ClassifyModel = ClassifyModel()
    """The network."""


RECIPE = ClassifyRecipe
