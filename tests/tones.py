"""Sounds made for tests: tones of one pitch, as samples and as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Floats = NDArray[np.float32]
RATE = 8000


def tone(hertz: float, seconds: float = 0.3, level: float = 0.3, rate: int = RATE) -> Floats:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(seconds: float, level: float = 1e-3, seed: int = 0) -> Floats:
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def save(path: Path, sound: Floats, rate: int = RATE) -> Path:
    for library in ("kaldi_native_fbank", "soundfile"):
        pytest.importorskip(library, reason=f"needs {library}: pip install 'holdfast[audio]'")
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate)
    return path
