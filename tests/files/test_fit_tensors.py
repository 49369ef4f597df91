from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import nn

from holdfast.errors import ModelFileError
from holdfast.files import storage


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"weight": torch.zeros(3, 2)},
            "m has tensor 'weight' of shape (3, 2); the model's is (2, 3). "
            "It was saved from another model: build that one.",
        ),
        (
            {"bias": torch.zeros(2, dtype=torch.float64), "more": torch.zeros(1)},
            "m has tensor 'bias' of torch.float64; the model's is torch.float32 (the first of 2 faults). "
            "It was saved from another model: build that one.",
        ),
        (
            {"more": torch.zeros(4)},
            "m has a tensor 'more' of shape (4,); the model has none. It was saved from another model: build that one.",
        ),
        (
            {"bias": None},
            "m has no tensor 'bias'; the model has one of shape (2,). It was saved from another model: build that one.",
        ),
    ],
)
def test_tensors_that_do_not_fit(change: dict[str, torch.Tensor | None], message: str) -> None:
    module = nn.Linear(3, 2)
    before = module.weight.clone()
    tensors = {name: torch.zeros_like(value) for name, value in module.state_dict().items()} | change
    with pytest.raises(ModelFileError) as error:
        storage.fit_tensors(module, {name: value for name, value in tensors.items() if value is not None}, Path("m"))
    assert str(error.value) == message
    assert torch.equal(module.weight, before)


def test_tensors_that_fit_are_copied_into_place(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    module, other = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    nn.init.normal_(module.weight)
    address = other.weight.data_ptr()
    storage.write(path, module.state_dict(), {}, "model")
    storage.fit_tensors(other, storage.read(path, "model")[0], path)
    path.write_bytes(save({}))
    assert torch.equal(module.weight, other.weight)
    assert other.weight.data_ptr() == address
