"""Packed weights that a layer keeps: when it has them, that it notices every change, and that copies have none."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import holdfast

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


@pytest.fixture
def layer() -> holdfast.LSTM:
    """A layer with packed weights."""
    layer = holdfast.LSTM(3, 40, num_layers=2)
    call(layer, torch.randn(2, 1, 3))
    assert packings(layer) == [1, 1]
    return layer


def call(layer: holdfast.LSTM, x: Tensor) -> Tensor:
    with torch.no_grad():
        output: Tensor = layer(x)[0]
    return output


def packings(layer: holdfast.LSTM) -> list[int]:
    """How often the weights of each cell were packed."""
    kept = layer.packed_weights
    assert kept is not None
    return [packed.packings for _, packed in kept._kept]


def test_calls_without_gradients_keep_them(layer: holdfast.LSTM) -> None:
    for shape in ((1, 1, 3), (4, 3, 3), (2, 3), (300, 1, 3)):
        with torch.inference_mode():
            layer(torch.randn(shape))
    assert packings(layer) == [1, 1]


def test_they_are_freed_when_the_layer_learns_or_moves(layer: holdfast.LSTM) -> None:
    other = copy.copy(layer)
    layer(torch.randn(2, 1, 3))  # with gradients
    assert layer.packed_weights is None
    other.to(torch.float32)
    assert other.packed_weights is None


def add(layer: holdfast.LSTM) -> None:
    with torch.no_grad():
        layer.weight_hh_l1.add_(1)


def change_data(layer: holdfast.LSTM) -> None:
    layer.weight_hh_l1.data[17, 5] += 1


def negate_data(layer: holdfast.LSTM) -> None:
    layer.weight_hh_l1.data.neg_()


def swap_rows_of_data(layer: holdfast.LSTM) -> None:
    layer.weight_hh_l1.data.copy_(layer.weight_hh_l1.flip(0))


def change_the_bias_by_numpy(layer: holdfast.LSTM) -> None:
    layer.bias_ih_l1.detach().numpy()[-1] = 2


def replace_parameter(layer: holdfast.LSTM) -> None:
    layer.weight_hh_l1 = nn.Parameter(layer.weight_hh_l1 * 2)


@pytest.mark.parametrize(
    "change", [add, change_data, negate_data, swap_rows_of_data, change_the_bias_by_numpy, replace_parameter]
)
def test_every_change_is_noticed(layer: holdfast.LSTM, change: Callable[[holdfast.LSTM], None]) -> None:
    x = torch.randn(2, 1, 3)
    before = call(layer, x)
    change(layer)
    after = call(layer, x)
    assert torch.equal(after, call(copy.deepcopy(layer), x))
    assert not torch.equal(after, before)
    assert packings(layer) == [1, 2]


def test_weights_of_inference_mode() -> None:
    with torch.inference_mode():
        layer = holdfast.LSTM(3, 4)
        x = torch.randn(2, 1, 3)
        before = layer(x)[0]
        layer.weight_hh_l0.mul_(2)
        assert not torch.equal(layer(x)[0], before)
        layer(x)
    assert packings(layer) == [2]


def test_copies_and_files_do_not_have_them(layer: holdfast.LSTM) -> None:
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert packings(other) == []
    assert layer.state_dict().keys() == holdfast.LSTM(3, 40, num_layers=2).state_dict().keys()
