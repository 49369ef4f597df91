"""What a recipe of the task ``classify`` may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.recipes.audio import AudioSettings
from holdfast.recipes.schema import DataSettings, Recipe, RecurrentSettings, Settings


class ClassifyData(DataSettings):
    """``[data]``: where the sequences come from and how they are prepared."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), or a known data set: ``digits`` (embedded), ``mnist``,
    ``japanese-vowels``, ``spoken-digits``."""
    layout: Literal["rows", "columns", "pixels"] = "rows"
    """How an image becomes a sequence: a step a row, a step a column, or a step a pixel."""
    id_column: str = ""
    """Tables in long format (one row a step): the column that says which sequence a row belongs to. Empty: one row a
    sequence."""
    time_column: str = ""
    """Tables in long format: the column to sort a sequence's rows by. Empty: the order in the file."""
    label_column: str = "label"
    """Tables: the column that holds the label."""
    feature_columns: list[str] = []
    """Tables: the columns that hold the inputs, in order. Empty: every other column."""
    scaling: Literal["none", "unit", "standard"] = "none"
    """``unit``: divide by 255 (images); ``standard``: zero mean and unit variance per channel, fitted on the training
    split."""
    audio: AudioSettings = AudioSettings()
    """How recordings are read."""


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


class ClassifyRecipe(Recipe):
    """A recipe of the task ``classify``."""

    task: Literal["classify"] = "classify"
    """``classify`` gives one label a sequence."""
    data: ClassifyData = ClassifyData()
    """Where the sequences come from and how they are prepared."""
    model: ClassifyModel = ClassifyModel()
    """The network."""
