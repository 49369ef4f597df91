"""The fields of ``[model]`` that tasks share whose network reads a whole sequence, of numbers or of tokens."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.settings import RecurrentSettings, Settings


class LinearSettings(Settings):
    """``[model.input_layer]`` and ``[model.output_layer]``: the size and initial values of a linear layer."""

    size: int = Field(0, ge=0)
    """Units of the input layer, which is applied to every step; 0 for no such layer. The size of the output layer
    follows from the task: the number of labels, or of targets."""
    weight_std: float = Field(0, ge=0)
    """Standard deviation of the normal distribution of the initial weights; 0 for torch's default."""
    bias: float | None = None
    """Initial value of every bias; unset for torch's default."""


class HeadSettings(RecurrentSettings):
    """``[model]``: a network with one output vector per sequence."""

    head: Literal["last_state", "last_output", "mean", "max"] = "last_state"
    """The input of the output layer: the final hidden state, the output of the last step, or the mean or the maximum of
    the outputs over time."""
    input_layer: LinearSettings = LinearSettings()
    """A linear layer applied to every step before the recurrent layers."""
    output_layer: LinearSettings = LinearSettings()
    """The linear layer that gives a score for each label, or a value for each target."""
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
