"""Packed weights that a layer keeps: when it has them, when it frees them, and that copies do not have them."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

import holdfast
from holdfast.layers.packed_weights import PackedWeights, Requested

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


@pytest.fixture
def layer() -> holdfast.LSTM:
    """A layer with packed weights."""
    layer = holdfast.LSTM(3, 4, num_layers=2)
    layer.flatten_parameters()
    with torch.no_grad():
        layer(torch.randn(2, 1, 3))
    assert is_packed(layer)
    return layer


def is_packed(layer: holdfast.LSTM) -> bool:
    kept = layer._packed_weights
    return isinstance(kept, PackedWeights) and not isinstance(kept, Requested)


def test_calls_without_gradients_keep_them(layer: holdfast.LSTM) -> None:
    kept = layer._packed_weights
    for shape in ((1, 1, 3), (4, 3, 3), (2, 3)):
        with torch.inference_mode():
            layer(torch.randn(shape))
        assert layer._packed_weights is kept


def test_they_are_freed_when_the_layer_learns_moves_or_changes(layer: holdfast.LSTM) -> None:
    x = torch.randn(2, 1, 3)
    copies = [copy.copy(layer) for _ in range(4)]
    layer(x)  # with gradients
    assert not is_packed(layer)
    copies[0].to(torch.float32)
    assert not is_packed(copies[0])
    with torch.no_grad():
        copies[1].weight_hh_l1.add_(1)
        copies[1](x)
        assert not is_packed(copies[1])
        copies[2].weight_hh_l1 = nn.Parameter(copies[2].weight_hh_l1.clone())
        copies[2](x)
        assert not is_packed(copies[2])


def test_copies_and_files_do_not_have_them(layer: holdfast.LSTM) -> None:
    assert copy.deepcopy(layer)._packed_weights is None
    assert pickle.loads(pickle.dumps(layer))._packed_weights is None
    assert layer.state_dict().keys() == holdfast.LSTM(3, 4, num_layers=2).state_dict().keys()


def test_weights_of_inference_mode_have_no_versions_and_are_packed_by_each_call() -> None:
    with torch.inference_mode():
        layer = holdfast.LSTM(3, 4)
        layer.flatten_parameters()
        x = torch.randn(2, 1, 3)
        before = layer(x)[0]
        assert layer._packed_weights is None
        layer.weight_hh_l0.mul_(2)
        assert not torch.equal(layer(x)[0], before)


def test_a_change_that_torch_does_not_notice_needs_another_request(layer: holdfast.LSTM) -> None:
    x = torch.randn(2, 1, 3)
    layer.weight_hh_l0.data.mul_(2)
    layer.flatten_parameters()
    with torch.no_grad():
        assert torch.equal(layer(x)[0], copy.deepcopy(layer)(x)[0])
