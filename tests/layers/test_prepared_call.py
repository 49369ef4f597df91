"""Prepared calls: the same bits as the general path, after any change to the layer, and None for every other call."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import holdfast
from holdfast.engines import ENGINES, native
from holdfast.engines.native import NativeEngine
from holdfast.layers import recurrent_layer

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

LAYERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two layers": {"num_layers": 2},
    "four layers": {"num_layers": 4},
    "both directions": {"bidirectional": True, "num_layers": 3},
    "both directions, batch first": {"bidirectional": True, "num_layers": 2, "batch_first": True},
    "reverse, batch first": {"reverse": True, "batch_first": True},
    "no bias, double": {"bias": False, "dtype": torch.float64},
    "normalised": {"layer_norm": True, "num_layers": 2},
}


@pytest.fixture(params=["DLPack's table", "attributes"])
def _way_of_reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """How tensors are read: as torch offers it from 2.10 on, and as before."""
    if request.param == "attributes":
        monkeypatch.setattr(Tensor, "__dlpack_c_exchange_api__", None, raising=False)
    native._cell.cache_clear()
    yield
    native._cell.cache_clear()


def tensors_of(result: Any) -> list[Tensor]:
    return [result] if isinstance(result, Tensor) else [tensor for part in result for tensor in tensors_of(part)]


def general(layer: Any, *arguments: Any) -> list[Tensor]:
    """The results of a call that is not a usual one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recurrent_layer, "run_usual_call", lambda *_: None)
        return tensors_of(layer(*arguments))


def prepared(layer: Any, x: Tensor, hx: Any = None) -> list[Tensor] | None:
    """The results of a layer's prepared call."""
    with torch.no_grad():
        if layer.prepared_call is None:
            layer(x)
        result = layer.prepared_call.run(layer, x, hx)
    return None if result is None else tensors_of(result)


def state_of(layer: Any, *batch: int, parts: int = 0) -> Any:
    shape = (layer.num_layers * layer.num_directions, *batch, layer.hidden_size)
    made = [torch.randn(shape, dtype=layer.weight_ih_l0.dtype) for _ in range(parts or len(layer.specs[0].state_sizes))]
    return tuple(made) if len(made) > 1 else made[0]


@pytest.mark.usefixtures("_way_of_reading")
@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_the_same_bits_and_strides(kind: str, options: dict[str, Any]) -> None:
    layer = getattr(holdfast, kind)(5, 6, **options)
    for rows, steps, with_state in itertools.product((1, 3), (1, 4), (False, True)):
        x = torch.randn((rows, steps, 5) if layer.batch_first else (steps, rows, 5), dtype=layer.weight_ih_l0.dtype)
        first = x.select(0 if layer.batch_first else 1, 0)
        for given, batch in ((x, (rows,)), (x.mT.contiguous().mT, (rows,)), (x.transpose(0, 1), None), (first, ())):
            if batch is None:
                batch = (given.shape[0 if layer.batch_first else 1],)
            hx = state_of(layer, *batch) if with_state else None
            actual = prepared(layer, given, hx)
            assert actual is not None
            with torch.no_grad():
                expected = general(layer, given, hx)
            for one, other in zip(expected, actual, strict=True):
                assert one.shape == other.shape
                assert one.stride() == other.stride()
                assert torch.equal(one, other)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.usefixtures("_way_of_reading")
def test_calls_that_it_leaves_to_others() -> None:
    layer, x = holdfast.LSTM(3, 4), torch.randn(5, 2, 3)
    state = state_of(layer, 2)
    assert prepared(layer, x, state) is not None
    calls: list[tuple[Any, Any]] = [
        (x.double(), None),
        (x.numpy(), None),
        (None, None),
        (x[..., :2], None),
        (x[:0], None),
        (x[None], None),
        (x[0, 0], None),
        (x.to_sparse(), None),
        (torch._neg_view(x), None),
        (x.to("meta"), None),
        (torch.nested.nested_tensor([x[0], x[1]]), None),
        (torch.ones(5, 2, 3, dtype=torch.int32), None),
        (x.view(torch.int32), None),
        (x, state[0]),
        (x, state[:1]),
        (x, (*state, state[0])),
        (x, (state[0], None)),
        (x, (state[0], state[1][:, :1])),
        (x, (state[0], state[1].double())),
        (x, (state[0].mT.contiguous().mT, state[1])),
        (x, (torch._neg_view(state[0]), state[1])),
    ]
    for inputs, hx in calls:
        assert prepared(layer, inputs, hx) is None
    assert prepared(layer, x, list(state)) is not None


def test_layers_whose_calls_are_not_prepared() -> None:
    x = torch.randn(2, 2, 4)
    for options in ({"residual": True, "num_layers": 2}, {"bidirectional": True, "merge": "sum"}, {"zoneout_h": 0.1}):
        layer = holdfast.GRU(4, 4, **options)  # type: ignore[arg-type]
        with torch.no_grad():
            layer(x)
        assert layer.prepared_call is None
    weighted = nn.utils.parametrizations.weight_norm(holdfast.GRU(4, 4), "weight_hh_l0")
    with torch.no_grad():
        weighted(x)
    assert weighted.prepared_call is None


def set_to(name: str, value: Any) -> Callable[[Any], None]:
    return lambda layer: setattr(layer, name, value)


def in_data(change: Callable[[Tensor], Any]) -> Callable[[Any], None]:
    def apply(layer: Any) -> None:
        layer.weight_hh_l0.data = change(layer.weight_hh_l0.data)

    return apply


def of_another_class(layer: Any) -> None:
    layer.__class__ = type("Other", (holdfast.LSTM,), {})


NOTICED: dict[str, Callable[[Any], None]] = {
    "engine": set_to("engine", "reference"),
    "layout": set_to("batch_first", True),
    "direction": set_to("reverse", True),
    "cells": lambda layer: setattr(layer, "specs", holdfast.LSTM(4, 4, cell_clip=0.1).specs),
    "mode": lambda layer: layer.eval(),
    "packed weights": set_to("packed_weights", None),
    "a method": lambda layer: setattr(layer, "named_weights", lambda: layer._parameters),
    "class": of_another_class,
    "no parameter": lambda layer: layer.register_parameter("bias_hh_l0", None),
    "dtype": in_data(Tensor.double),
    "shape": in_data(lambda weight: weight[:8]),
    "strides": in_data(lambda weight: weight.T.contiguous().T),
    "signs": in_data(torch._neg_view),
    "device": lambda layer: setattr(layer, "weight_hh_l0", nn.Parameter(torch.zeros(16, 4, device="meta"))),
    "another class of tensors": lambda layer: setattr(
        layer, "weight_hh_l0", nn.Parameter(torch.zeros(16, 4).as_subclass(type("Own", (Tensor,), {})))
    ),
}


@pytest.mark.usefixtures("_way_of_reading")
@pytest.mark.parametrize("change", NOTICED.values(), ids=NOTICED)
def test_a_changed_layer_is_noticed(change: Callable[[Any], None]) -> None:
    layer, x = holdfast.LSTM(4, 4), torch.randn(4, 4, 4)
    assert prepared(layer, x) is not None
    change(layer)
    assert prepared(layer, x) is None


def test_another_engine_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = holdfast.LSTM(4, 4), torch.randn(4, 4, 4)
    assert prepared(layer, x) is not None
    with monkeypatch.context() as patch:
        patch.setitem(ENGINES, "native", NativeEngine())
        assert prepared(layer, x) is None
    with monkeypatch.context() as patch:
        patch.setattr("holdfast.engines._SWITCHED_OFF", frozenset({"native"}))
        assert prepared(layer, x) is None
    assert prepared(layer, x) is not None


def test_new_values_are_used() -> None:
    layer, x = holdfast.LSTM(4, 4), torch.randn(1, 1, 4)
    changes: list[Callable[[], Any]] = [
        lambda: layer.weight_hh_l0.data.add_(1),
        lambda: setattr(layer.bias_ih_l0, "data", torch.randn(16)),
        lambda: setattr(layer, "weight_ih_l0", nn.Parameter(torch.randn(16, 4))),
        lambda: layer.load_state_dict(holdfast.LSTM(4, 4).state_dict()),
    ]
    before = prepared(layer, x, state_of(layer, 1))
    for change in changes:
        change()
        hx = state_of(layer, 1)
        actual = prepared(layer, x, hx)
        assert actual is not None
        assert before is not None
        with torch.no_grad():
            assert all(map(torch.equal, actual, general(layer, x, hx)))
        assert not torch.equal(actual[0], before[0])
        before = actual


def test_copies_and_files_have_none() -> None:
    layer, x = holdfast.LSTM(4, 4), torch.randn(1, 1, 4)
    expected = prepared(layer, x)
    assert expected is not None
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.prepared_call is None
        actual = prepared(other, x)
        assert actual is not None
        assert torch.equal(actual[0], expected[0])
    shared = copy.copy(layer)
    shared._parameters = dict(layer._parameters)
    shared.weight_hh_l0 = nn.Parameter(torch.zeros(16, 4))
    hx = state_of(layer, 1)
    one, other = prepared(layer, x, hx), prepared(shared, x, hx)
    assert one is not None
    assert other is not None
    assert not torch.equal(one[0], other[0])


def test_a_layer_frees_its_memory() -> None:
    layer, x = holdfast.LSTM(4, 4), torch.randn(1, 1, 4)
    assert prepared(layer, x) is not None
    alive = torch.utils.weak.WeakTensorKeyDictionary()
    alive[layer.weight_hh_l0] = 1
    del layer
    assert not len(alive)  # at once: the prepared call makes no cycle


def gradients(layer: Any, x: Tensor, hx: Any, call: Callable[..., list[Tensor]], **options: Any) -> list[Tensor | None]:
    """The results and their gradients for everything that requires some."""
    results = call(layer, x, hx)
    wanted = [
        tensor for tensor in (x, *tensors_of(() if hx is None else hx), *layer.parameters()) if tensor.requires_grad
    ]
    generator = torch.Generator().manual_seed(0)
    received = [torch.randn(result.shape, dtype=result.dtype, generator=generator) for result in results]
    of_all = torch.autograd.grad(results, wanted, received, retain_graph=True, **options)
    of_state = torch.autograd.grad(results[1].sum(), wanted, allow_unused=True, retain_graph=True)
    of_output = torch.autograd.grad(results[0].expand(2, *results[0].shape).sum(), wanted, allow_unused=True)
    return [*results, *of_all, *of_state, *of_output]


def trained(layer: Any, x: Tensor, hx: Any) -> list[Tensor]:
    """The results of a layer's prepared call for autograd."""
    layer(x)  # prepares it
    result = layer.prepared_call.run(layer, x, hx)
    assert result is not None
    return tensors_of(result)


FROZEN: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda layer: layer,
    "the first layer": lambda layer: [p.requires_grad_(False) for n, p in layer.named_parameters() if "_l0" in n],
    "the last layer": lambda layer: [p.requires_grad_(False) for n, p in layer.named_parameters() if "_l1" in n],
    "a bias": lambda layer: layer.bias_hh_l0.requires_grad_(False),
    "all": lambda layer: layer.requires_grad_(False),
}


@pytest.mark.parametrize("frozen", FROZEN.values(), ids=FROZEN)
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "batch_first": True}], ids=str)
@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_gradients_of_frozen_layers(kind: str, options: dict[str, Any], frozen: Callable[[Any], Any]) -> None:
    layer = getattr(holdfast, kind)(5, 6, num_layers=2, **options)
    frozen(layer)
    for needs_x, needs_state in itertools.product((False, True), repeat=2):
        x = torch.randn(3, 3, 5, requires_grad=needs_x)
        hx = state_of(layer, 3)
        for part in tensors_of(hx):
            part.requires_grad_(needs_state)
        if not any(tensor.requires_grad for tensor in (x, *tensors_of(hx), *layer.parameters())):
            assert not any(result.requires_grad for result in trained(layer, x, hx))
            continue
        found = [gradients(layer, x, hx, call, allow_unused=True) for call in (general, trained)]
        for expected, actual in zip(*found, strict=True):
            if expected is None or actual is None:
                assert expected is actual or not (actual if expected is None else expected).any()
            else:
                assert torch.equal(expected, actual)


def test_one_more_backward_pass_and_many_gradients_at_once() -> None:
    layer = holdfast.GRU(3, 4, num_layers=2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    inputs = list(layer.parameters())
    found = []
    for call in (general, trained):
        results = call(layer, x, None)
        each = [torch.autograd.grad(results[0][..., k].sum(), inputs, retain_graph=True) for k in range(8)]
        ones = torch.eye(8, dtype=torch.float64)[:, None, None].expand(8, 4, 2, 8)
        at_once = torch.autograd.grad(results[0], inputs, ones, is_grads_batched=True, retain_graph=True)
        by_vmap = torch.func.vmap(lambda d: torch.autograd.grad(results[0], inputs, d, retain_graph=True))(ones)  # noqa: B023
        for k, of_one in enumerate(each):
            for one, many, mapped in zip(of_one, at_once, by_vmap, strict=True):
                torch.testing.assert_close(one, many[k])
                torch.testing.assert_close(one, mapped[k])
        first = torch.autograd.grad(results[0].square().sum(), inputs, create_graph=True)
        loss = sum((gradient.square().sum() for gradient in first), torch.zeros(()))
        found.append([*each[0], *each[7], *torch.autograd.grad(loss, inputs)])
    for expected, actual in zip(*found, strict=True):
        torch.testing.assert_close(expected, actual, rtol=1e-12, atol=1e-12)


def test_hooks_that_change_the_layout_of_saved_tensors() -> None:
    layer, cell, x = holdfast.LSTM(3, 4), holdfast.LSTMCell(3, 4), torch.randn(4, 2, 3)
    layer(x)
    calls: list[tuple[nn.Module, Callable[[], Any]]] = [(layer, lambda: layer(x)), (cell, lambda: cell(x[0]))]

    def transposed(tensor: Tensor) -> Tensor:
        return tensor.mT.contiguous().mT if tensor.ndim == 2 else tensor

    for module, call in calls:
        expected = torch.autograd.grad(call()[0].sum(), list(module.parameters()))
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, transposed):
            output = call()[0]
        actual = torch.autograd.grad(output.sum(), list(module.parameters()))
        for one, other in zip(expected, actual, strict=True):
            torch.testing.assert_close(one, other)


def test_gradients_that_the_kernels_cannot_read() -> None:
    layer, x = holdfast.LSTM(3, 4), torch.randn(4, 2, 3, requires_grad=True)
    for change in (lambda d: d.mT.contiguous().mT, torch._neg_view, lambda d: d[:, :1].expand_as(d)):
        d = change(torch.randn(4, 2, 4))
        found = [torch.autograd.grad(call(layer, x, None)[0], [x], d)[0] for call in (general, trained)]
        assert torch.equal(*found)
    d = torch._efficientzerotensor((4, 2, 4))
    results = trained(layer, x, None)
    assert not torch.autograd.grad(results[0], [x], d)[0].any()


def test_training_and_inference_in_turn() -> None:
    layer, x = holdfast.LSTM(3, 4, num_layers=2), torch.randn(4, 2, 3)
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        for _ in range(2):
            optimiser.zero_grad()
            results = tensors_of(layer(x))
            assert all(map(torch.equal, results, general(layer, x)))
            torch.autograd.backward(results[0].sum())
            optimiser.step()
            assert layer.packed_weights is None
        for _ in range(2):
            with torch.no_grad():
                assert all(map(torch.equal, tensors_of(layer(x)), general(layer, x)))
            assert layer.packed_weights is not None


def test_recomputing_is_not_prepared() -> None:
    layer, x = holdfast.LSTM(3, 4), torch.randn(4, 2, 3)
    layer(x)
    layer.memory = "recompute"
    assert layer.prepared_call is not None
    assert layer.prepared_call.run(layer, x, None) is None
