"""What a recipe may say of recordings."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from holdfast.settings import Settings


class AudioSettings(Settings):
    """``[data.audio]``: how a recording becomes steps of log-mel energies."""

    rate: int = Field(16000, ge=1000)
    """Samples a second; a recording of another rate is resampled to it."""
    mel_bins: int = Field(40, ge=1)
    """Bands of the mel scale: values a frame."""
    window_ms: float = Field(25, gt=0)
    """How long a piece of sound a frame describes."""
    hop_ms: float = Field(10, gt=0)
    """From the beginning of a frame to that of the next."""
    low_hz: float = Field(20, ge=0)
    """Where the lowest band begins."""
    high_hz: float = Field(0, ge=0)
    """Where the highest band ends; 0 for half of ``rate``."""
    stack: int = Field(1, ge=1)
    """Put so many frames side by side into one step: sequences are shorter by that factor, and the last step is filled
    up with its last frame."""

    @model_validator(mode="after")
    def _bands_lie_within_the_rate(self) -> Self:
        if not self.low_hz < self.band_end <= self.rate / 2:
            raise ValueError(
                f"the bands go from low_hz = {self.low_hz:g} to high_hz = {self.band_end:g}; "
                f"expected low_hz below high_hz, and high_hz at most half of rate, {self.rate / 2:g}"
            )
        return self

    @property
    def band_end(self) -> float:
        """Where the highest band ends, in Hz."""
        return self.high_hz or self.rate / 2

    @property
    def values(self) -> int:
        """Values a step."""
        return self.mel_bins * self.stack
