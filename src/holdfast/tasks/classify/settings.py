"""The fields of a recipe of the task ``classify``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from holdfast.data.settings import ReadingSettings
from holdfast.settings import AmountOrAuto, Recipe
from holdfast.tasks.network_settings import HeadSettings


class ClassifyData(ReadingSettings):
    """``[data]``: the source of the sequences and how they are prepared."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), or a known data set: ``digits`` (embedded), ``mnist``,
    ``japanese-vowels``, ``spoken-digits``; texts: ``surnames``, ``sentence-polarity``."""


class ClassifyModel(HeadSettings):
    """``[model]``: the network."""

    hidden_size: int | list[int] = 64
    """Units of each layer in each direction, or a list with one size per layer."""
    bidirectional: bool = True
    """Run each layer in both directions, from start to end and from end to start; a model that answers live, while a
    sequence goes on, needs ``false``."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Dropout probability between layers and before the output layer."""
    head: str = "max"
    """The input of the output layer: ``last_state``: the final hidden state; ``last_output``: the output of the last
    step; ``mean`` or ``max``: the mean or the maximum of the outputs over time; or the name of a head of your own (see
    :mod:`holdfast.register`)."""
    input_noise: AmountOrAuto = "auto"  # type: ignore[assignment]  # the task puts a number in its place
    """Sequences of numbers: in training, the standard deviation of normal noise that is added to every scaled value, so
    that the network cannot learn few examples by heart (Bishop 1995, "Training with noise is equivalent to Tikhonov
    regularization"). ``auto``: 0.3 with fewer than 1,000 training sequences whose values are scaled to unit variance,
    else 0."""
    loss: str = "cross-entropy"
    """``cross-entropy``, or the name of a loss of your own."""
    losses: ClassVar = ("cross-entropy",)
    class_weights: str | dict[str, Annotated[float, Field(ge=0)]] = ""
    """The weight of each label in the loss: a table such as ``{ rare = 5.0 }``, where labels without an entry have
    weight 1; ``balanced`` for weights inverse to the frequency of the labels; empty for equal weights. With several
    labels per sequence: the weight of the sequences that have the label, against 1 for the others."""


class ClassifyRecipe(Recipe):
    """A recipe of the task ``classify``."""

    before: ClassVar = {"model.input_noise": 0.0}
    task: Literal["classify"] = "classify"
    """``classify`` gives a sequence of numbers or a text one label, or several."""
    data: ClassifyData = ClassifyData()
    """The source of the sequences and how they are prepared."""
    model: ClassifyModel = ClassifyModel()
    """The network."""


RECIPE = ClassifyRecipe
