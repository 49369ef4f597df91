"""What a recipe of the task ``transcribe`` may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from holdfast.data.settings import AudioSettings
from holdfast.settings import DataSettings, Recipe, RecurrentSettings, Settings


class TranscribeData(DataSettings):
    """``[data]``: where the recordings come from and how they are prepared."""

    source: str = "files"
    """``files`` (see ``train`` and ``test``), or a known data set: ``digit-strings``."""
    unit: Literal["characters", "words", "pieces"] = "characters"
    """What the network says one by one: characters; words (few, and without signs such as apostrophes); or pieces of
    words, by byte-pair encoding."""
    vocabulary_size: int = Field(0, ge=0)
    """The most units to have; 0 for no limit (with pieces: 8,000)."""
    lower: bool = True
    """Whether capitals become small letters in transcripts."""
    audio: AudioSettings = AudioSettings()
    """How recordings are read."""


class MaskingSettings(Settings):
    """``[model.masking]``: while training, hide parts of a recording (SpecAugment, Park et al. 2019)."""

    frequency_masks: int = Field(0, ge=0)
    """Stretches of bands that are hidden, in all frames of a recording."""
    frequency_width: int = Field(8, ge=1)
    """Bands in a stretch, at most."""
    time_masks: int = Field(0, ge=0)
    """Stretches of steps that are hidden."""
    time_width: int = Field(10, ge=1)
    """Steps in a stretch, at most."""
    time_fraction: float = Field(0.2, gt=0, le=1)
    """Of the recording's steps, the part that a stretch may hide, at most."""


class TranscribeModel(RecurrentSettings):
    """``[model]``: the network."""

    masking: MaskingSettings = MaskingSettings()
    """What is hidden from the network while training."""


class TranscribeAnswers(Settings):
    """``[predict]``: how a transcript is found."""

    beam: int = Field(1, ge=1)
    """1: the labels of the likeliest path; more: prefix beam search that keeps so many beginnings."""


class TranscribeRecipe(Recipe):
    """A recipe of the task ``transcribe``."""

    task: Literal["transcribe"] = "transcribe"
    """``transcribe`` writes down what is said in a recording."""
    data: TranscribeData = TranscribeData()
    """Where the recordings come from and how they are prepared."""
    model: TranscribeModel = TranscribeModel()
    """The network."""
    predict: TranscribeAnswers = TranscribeAnswers()
    """How a transcript is found."""


RECIPE = TranscribeRecipe
