"""What every test shares: one thread, a fixed seed, and hypothesis without a clock."""

from __future__ import annotations

import importlib.util
import os
import sys

import pytest
import torch
from hypothesis import settings

settings.register_profile("holdfast", deadline=None, max_examples=80, derandomize=True)
settings.load_profile("holdfast")
torch.set_num_threads(1)

if kernels := os.environ.get("HOLDFAST_TEST_KERNELS"):  # `make sanitize` has the tests run on a build of its own
    spec = importlib.util.spec_from_file_location("holdfast._native", kernels)
    assert spec is not None
    assert spec.loader is not None
    sys.modules["holdfast._native"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["holdfast._native"])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(20)
