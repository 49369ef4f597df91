"""The fields of ``[model]`` that tasks share whose network reads a whole sequence, of numbers or of tokens."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from holdfast import register
from holdfast.settings import RecurrentSettings, Settings, known_part

HEADS = ("last_state", "last_output", "mean", "max")


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

    head: str = "last_state"
    """The input of the output layer: ``last_state``: the final hidden state; ``last_output``: the output of the last
    step; ``mean`` or ``max``: the mean or the maximum of the outputs over time; or the name of a head of your own (see
    :mod:`holdfast.register`)."""
    metrics: list[str] = []
    """Further metrics to report: the names of metrics of your own."""
    input_noise: float = Field(0, ge=0)
    """Sequences of numbers: in training, the standard deviation of normal noise that is added to every scaled value, so
    that the network cannot learn few examples by heart (Bishop 1995, "Training with noise is equivalent to Tikhonov
    regularization")."""
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
    losses: ClassVar[tuple[str, ...]]
    """The losses that the task has itself."""

    @field_validator("head")
    @classmethod
    def _check_head(cls, value: str) -> str:
        return known_part("head", value, HEADS)

    @field_validator("loss", check_fields=False)
    @classmethod
    def _check_loss(cls, value: str) -> str:
        return known_part("loss", value, cls.losses)

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, value: list[str]) -> list[str]:
        return [known_part("metric", name, ()) for name in value]

    @property
    def own_parts(self) -> list[tuple[register.Kind, str]]:
        """As in :class:`RecurrentSettings`, with head, loss and metrics."""
        loss: str = getattr(self, "loss")  # noqa: B009 (each task has its own default)
        parts: list[tuple[register.Kind, str]] = [*super().own_parts]
        parts += [("head", self.head)] if self.head not in HEADS else []
        parts += [("loss", loss)] if loss not in self.losses else []
        return parts + [("metric", name) for name in self.metrics]
