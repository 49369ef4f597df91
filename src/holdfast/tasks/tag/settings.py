"""The fields of a recipe of the task ``tag``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.data.settings import Missing, TaggedSettings
from holdfast.settings import CountOrAuto, Recipe, RecurrentSettings


class TagData(TaggedSettings):
    """``[data]``: the source of the sequences and how they are prepared."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), ``addition`` (generated), or a known data set: ``ud-english-ewt``."""
    lower: bool = True
    """Ignore capitals when words are looked up; the characters of a word keep them."""
    least: int = Field(1, ge=1)
    """Words that occur less often than this in the training split count as unknown."""
    scaling: Literal["auto", "none", "unit", "standard"] = "auto"
    """Steps of numbers, as programs give them: ``unit``: divide by 255; ``standard``: zero mean and unit variance per
    channel, fitted on the training split. ``auto``: ``unit`` for values of one byte that reach 128, else
    ``standard``."""
    missing: Missing = "error"
    """Steps of numbers: what replaces a missing value (NaN), as for the other tasks with sequences of numbers."""
    window: CountOrAuto = "auto"
    """Steps of numbers: the most steps of a row in training; each epoch cuts the sequences into such windows at other
    places. 0: whole sequences. ``auto``: with fewer than 16 sequences an eighth of the longest one, at least 50 and at
    most 200 steps; 0 with more sequences."""
    bits: int = Field(8, ge=2, le=62)
    """``addition``: bits of a sum; the two numbers have one bit less."""
    sums: int = Field(64000, ge=1)
    """``addition``: number of random sums to train on."""


class TagModel(RecurrentSettings):
    """``[model]``: the network."""

    bidirectional: bool = True
    """Run each layer in both directions: the tag of a word often depends on the words after it."""
    word_size: int = Field(100, ge=1)
    """Values per word vector."""
    character_size: int = Field(32, ge=1)
    """Values per character vector."""
    spelling_size: int = Field(64, ge=0)
    """Units per direction of the LSTM that reads a word character by character; 0 for no such LSTM."""
    word_dropout: float = Field(0, ge=0, lt=1)
    """In training, the probability of making a word unknown, so that the network learns from spelling and context."""
    input_dropout: float = Field(0, ge=0, lt=1)
    """Dropout probability before the recurrent layers."""
    output_std: float = Field(0, ge=0)
    """Standard deviation of the normal distribution of the output layer's initial weights; 0 for torch's default."""
    loss: Literal["cross-entropy", "squared-error"] = "cross-entropy"
    """``cross-entropy``; or, with two tags, ``squared-error``: the mean squared error of the probability."""


class TagRecipe(Recipe):
    """A recipe of the task ``tag``."""

    task: Literal["tag"] = "tag"
    """``tag`` gives each step a label: each word of a sentence its part of speech, each bit of a sum its value."""
    data: TagData = TagData()
    """The source of the sequences and how they are prepared."""
    model: TagModel = TagModel()
    """The network."""


RECIPE = TagRecipe
