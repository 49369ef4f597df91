from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from holdfast.engines.devices import choose_device
from holdfast.errors import OptionError
from holdfast.training import seed_everything
from holdfast.training.determinism import random_state, reproducible, restore_random_state


def draw() -> tuple[object, ...]:
    return torch.rand(2).tolist(), np.random.rand(2).tolist(), np.random.randn(), random.random(), random.gauss(0, 1)


@pytest.mark.parametrize("seed", [0, 1, 2**40, 2**200])
def test_a_seed_and_a_stream_decide_everything(seed: int) -> None:
    drawn = []
    for stream in (0, 0, 1, 1, 2):
        seed_everything(seed, stream=stream)
        drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert drawn[2] == drawn[3]
    for one, other in ((0, 2), (2, 4), (0, 4)):
        assert all(a != b for a, b in zip(drawn[one], drawn[other], strict=True))


def test_torch_is_seeded_as_people_know_it() -> None:
    seed_everything(5)
    ours = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(ours, torch.rand(3))


def test_random_states_go_back() -> None:
    seed_everything(3)
    draw()  # leaves half of a pair of normal numbers in numpy and in Python
    state = random_state()
    drawn = draw()
    restore_random_state(state)
    assert draw() == drawn


def test_threads_and_kernels_are_as_before_afterwards() -> None:
    before = torch.get_num_threads(), torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    with reproducible(2):
        assert torch.get_num_threads() == 2
        assert torch.backends.cudnn.deterministic
    with reproducible(0):
        assert torch.get_num_threads() == before[0]
    with pytest.raises(ZeroDivisionError), reproducible(3):
        raise ZeroDivisionError
    assert before == (
        torch.get_num_threads(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
    )


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(OptionError) as error:
        choose_device("cuda")
    assert str(error.value) == (
        "device 'cuda' was asked for; torch finds no CUDA devices here. Use device = 'auto' or 'cpu'."
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device("auto") == torch.device("cuda")
    with pytest.raises(OptionError) as error:
        choose_device("cuda:1")
    assert str(error.value) == (
        "device 'cuda:1' was asked for; torch finds 1 CUDA device here. Use device = 'auto' or 'cpu'."
    )
    with pytest.raises(OptionError) as error:
        choose_device("gpu")
    assert str(error.value) == "device 'gpu' is unknown; use 'auto', 'cpu', 'cuda' or 'cuda:1'."
