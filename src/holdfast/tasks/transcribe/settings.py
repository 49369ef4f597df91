"""The fields of a recipe of the task ``transcribe``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.data.settings import AudioSettings
from holdfast.settings import DataSettings, Recipe, RecurrentSettings, Settings


class TranscribeData(DataSettings):
    """``[data]``: the source of the recordings and how they are prepared."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), or a known data set: ``digit-strings``."""
    unit: Literal["characters", "words", "pieces"] = "characters"
    """What a label is: a character; a word (for few different words, without signs such as apostrophes); or a byte-pair
    piece of a word."""
    vocabulary_size: int = Field(0, ge=0)
    """Largest number of labels; 0 for no limit (with pieces: 8,000 that occur at least 10 times)."""
    lower: bool = True
    """Convert transcripts to lower case."""
    audio: AudioSettings = AudioSettings()
    """How to read recordings."""


class MaskingSettings(Settings):
    """``[model.masking]``: parts of a recording to hide in training (SpecAugment, Park et al. 2019)."""

    frequency_masks: int = Field(0, ge=0)
    """Number of ranges of bands to hide in all frames of a recording."""
    frequency_width: int = Field(8, ge=1)
    """Largest number of bands in a range."""
    time_masks: int = Field(0, ge=0)
    """Number of ranges of steps to hide."""
    time_width: int = Field(10, ge=1)
    """Largest number of steps in a range."""
    time_fraction: float = Field(0.2, gt=0, le=1)
    """Largest fraction of the recording's steps in a range."""


class TranscribeModel(RecurrentSettings):
    """``[model]``: the network."""

    masking: MaskingSettings = MaskingSettings()
    """What is hidden from the network in training."""


class TranscribeAnswers(Settings):
    """``[predict]``: how to find a transcript."""

    beam: int = Field(1, ge=1)
    """1: the labels of the most likely path; more: prefix beam search that keeps this many prefixes."""


class TranscribeRecipe(Recipe):
    """A recipe of the task ``transcribe``."""

    task: Literal["transcribe"] = "transcribe"
    """``transcribe`` writes down what is said in a recording."""
    data: TranscribeData = TranscribeData()
    """The source of the recordings and how they are prepared."""
    model: TranscribeModel = TranscribeModel()
    """The network."""
    predict: TranscribeAnswers = TranscribeAnswers()
    """How to find a transcript."""


RECIPE = TranscribeRecipe
