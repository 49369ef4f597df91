"""What every test shares: one thread, a fixed seed, and hypothesis without a clock."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings

settings.register_profile("holdfast", deadline=None, max_examples=80, derandomize=True)
settings.load_profile("holdfast")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(20)
