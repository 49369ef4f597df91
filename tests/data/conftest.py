"""Where real data lies, for the tests that need it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"
_DATA = Path(os.environ.get("HOLDFAST_DATA") or _BESIDE).resolve()  # read before any test changes the environment


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """The folder of a real data set, found in HOLDFAST_DATA or beside the checkout; skips where it is missing."""

    def folder(name: str) -> Path:
        place = _DATA / name
        if not place.is_dir():
            pytest.skip(f"needs the real data {place}; set HOLDFAST_DATA to the folder that holds {name}")
        return place

    return folder
