"""What every test shares: one thread, a fixed seed, hypothesis without a clock, and where real data lies."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
_DATA = Path(os.environ.get("HOLDFAST_DATA") or _BESIDE).resolve()  # read before any test changes the environment

_CONFORMANCE = Path(os.environ.get("HOLDFAST_CONFORMANCE") or _BESIDE.with_name("conformance")).resolve()

settings.register_profile("holdfast", deadline=None, max_examples=80, derandomize=True)
settings.load_profile("holdfast")
torch.set_num_threads(1)
# A shell that starts the tests in the background has Ctrl-C ignored, and every process of theirs would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["HOLDFAST_REPORT"] = "0"  # a report takes a second per run; the tests of reports switch it on
os.environ.setdefault("KERAS_BACKEND", "torch")  # before a test imports Keras; tests/keras run on any of its backends

if kernels := os.environ.get("HOLDFAST_TEST_KERNELS"):  # `make sanitize` has the tests run on a build of its own
    spec = importlib.util.spec_from_file_location("holdfast.runtime._native", kernels)
    assert spec is not None
    assert spec.loader is not None
    sys.modules["holdfast.runtime._native"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["holdfast.runtime._native"])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(20)


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """The folder of a real data set, found in HOLDFAST_DATA or beside the checkout; skips where it is missing."""

    def folder(name: str) -> Path:
        place = _DATA / name
        if not place.is_dir():
            pytest.skip(f"needs the real data {place}; set HOLDFAST_DATA to the folder that holds {name}")
        return place

    return folder


@pytest.fixture
def conformance() -> Callable[[str], Path]:
    """A folder of other software's results, found in HOLDFAST_CONFORMANCE or beside the checkout; skips without it."""

    def folder(name: str) -> Path:
        place = _CONFORMANCE / name
        if not place.is_dir():
            pytest.skip(f"needs {place}; set HOLDFAST_CONFORMANCE to the folder that holds {name}")
        return place

    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium of the system, driven by Playwright. Skips where one of them is missing.

    Each module has its own, because Playwright keeps an event loop running, beside which tests cannot start another.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs the browser Chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install 'holdfast[dev]'")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()
