"""What a recipe of the task ``tag`` may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.data.settings import TaggedSettings
from holdfast.settings import Recipe, RecurrentSettings


class TagData(TaggedSettings):
    """``[data]``: where the sequences come from and how they are prepared."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), ``addition`` (generated), or a known data set: ``ud-english-ewt``."""
    lower: bool = True
    """Look words up without regard to capitals; the characters of a word keep them."""
    least: int = Field(1, ge=1)
    """Words that occur less often than this in the training split are unknown words."""
    bits: int = Field(8, ge=2, le=62)
    """``addition``: bits of a sum; the numbers that are added have one bit less."""
    sums: int = Field(64000, ge=1)
    """``addition``: sums to draw for training."""


class TagModel(RecurrentSettings):
    """``[model]``: the network."""

    word_size: int = Field(100, ge=1)
    """Values in the vector of a word."""
    character_size: int = Field(32, ge=1)
    """Values in the vector of a character."""
    spelling_size: int = Field(64, ge=0)
    """Units, in each direction, of the LSTM that reads a word character by character; 0 to look words up only."""
    word_dropout: float = Field(0, ge=0, lt=1)
    """Probability of taking a word for an unknown one while training, so that its spelling and its neighbours count."""
    input_dropout: float = Field(0, ge=0, lt=1)
    """Probability of dropping a value before the recurrent layers."""
    output_std: float = Field(0, ge=0)
    """Draw the output layer's weights from a normal distribution of this standard deviation; 0 for torch's default."""
    loss: Literal["cross-entropy", "squared-error"] = "cross-entropy"
    """``cross-entropy``; or, for two tags, the mean squared error of the probability."""


class TagRecipe(Recipe):
    """A recipe of the task ``tag``."""

    task: Literal["tag"] = "tag"
    """``tag`` gives one label a step: to every word of a sentence its part of speech, to every bit of a sum its
    value."""
    data: TagData = TagData()
    """Where the sequences come from and how they are prepared."""
    model: TagModel = TagModel()
    """The network."""


RECIPE = TagRecipe
