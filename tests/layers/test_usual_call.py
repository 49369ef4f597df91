"""The usual call: the same bits as the general path, after any change to the layer and from several threads."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import holdfast
from holdfast.errors import ShapeError
from holdfast.layers import cell_modules, recurrent_layer
from holdfast.layers.usual_call import run_usual_call, run_usual_step

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

LAYERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True, "num_layers": 2},
    "both directions, batch first, summed": {"bidirectional": True, "batch_first": True, "merge": "sum"},
    "both directions, batch first": {"bidirectional": True, "batch_first": True},
    "residual": {"num_layers": 3, "residual": True},
    "reverse, batch first": {"reverse": True, "batch_first": True},
    "no bias": {"bias": False},
    "normalised": {"layer_norm": True},
}


@pytest.fixture
def general(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Calls a module without the usual call."""

    def call(module: Any, *arguments: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(recurrent_layer, "run_usual_call", lambda *_: None)
            patch.setattr(cell_modules, "run_usual_step", lambda *_: None)
            return module(*arguments)

    return call


# A call in the usual way, and a call in the general way.
CALLS: list[Callable[..., Any]] = [
    lambda general, module, *arguments: module(*arguments),
    lambda general, module, *arguments: general(module, *arguments),
]


def tensors_of(result: Any) -> list[Tensor]:
    return [result] if isinstance(result, Tensor) else [tensor for part in result for tensor in tensors_of(part)]


def random_state(layer: Any, batch: tuple[int, ...], **options: Any) -> Any:
    shape = (layer.num_layers * layer.num_directions, *batch, layer.hidden_size)
    parts = [torch.randn(shape, **options) for _ in layer.specs[0].state_sizes]
    return tuple(parts) if len(parts) > 1 else parts[0]


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_the_same_bits_and_gradients(kind: str, options: dict[str, Any], general: Callable[..., Any]) -> None:
    layer = getattr(holdfast, kind)(5, 5, **options)
    for shape, state in (((4, 3, 5), False), ((4, 3, 5), True), ((4, 5), True)):
        x = torch.randn(shape, requires_grad=True)
        batch = () if len(shape) == 2 else (shape[0] if layer.batch_first else shape[1],)
        hx = random_state(layer, batch, requires_grad=True) if state else None
        inputs = [x, *(tensors_of(hx) if state else []), *layer.parameters()]
        assert run_usual_call(layer, x, hx) is not None
        found = []
        for call in CALLS:
            results = tensors_of(call(general, layer, x, hx))
            generator = torch.Generator().manual_seed(0)
            received = [torch.randn(result.shape, generator=generator) for result in results]
            for _ in range(2):  # the second overwrites nothing that the first left
                gradients = torch.autograd.grad(results, inputs, received, retain_graph=True)
            of_sum = torch.autograd.grad(results[0].sum(), inputs, allow_unused=True, create_graph=True)
            found.append([*results, *gradients, *(g for g in of_sum if g is not None)])
        for expected, actual in zip(*reversed(found), strict=True):
            assert torch.equal(expected, actual)


def test_calls_that_are_not_usual() -> None:
    layer, x = holdfast.GRU(3, 4), torch.randn(5, 2, 3)
    assert run_usual_call(layer, x, None) is not None
    calls: list[tuple[Any, Any]] = [
        (x.half(), None),
        (x.numpy(), None),
        (x[..., :2], None),
        (x[:0], None),
        (torch._neg_view(x), None),
        (x.to("meta"), None),
        (x, torch.zeros(1, 3, 4)),
        (x, torch.zeros(1, 2, 4).double()),
        (x, (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4))),
        (x, torch.zeros(1, 4, 2).mT),
    ]
    for inputs, state in calls:
        assert run_usual_call(layer, inputs, state) is None
    with torch.autocast("cpu", torch.bfloat16):
        assert run_usual_call(layer, x, None) is None
    for options in ({"engine": "reference"}, {"memory": "recompute"}, {"zoneout_h": 0.1}, {"weight_dropout": 0.1}):
        assert run_usual_call(holdfast.GRU(3, 4, **options), x, None) is None
    assert run_usual_call(holdfast.GRU(3, 4, zoneout_h=0.1).eval(), x, None) is not None
    assert run_usual_call(holdfast.GRU(3, 4, num_layers=2, dropout=0.1), x, None) is None
    assert run_usual_call(holdfast.GRU(3, (4, 5)), x, None) is None
    assert run_usual_step(holdfast.GRUCell(3, 4, activation=torch.sin), x[0], None) is None
    torch.vmap(lambda row: [None, None][run_usual_call(layer, row, None) is not None] or row)(x)


def edit_in_place(layer: Any) -> Any:
    with torch.no_grad():
        next(layer.parameters()).mul_(0.5)
    return layer


def edit_data(layer: Any) -> Any:
    next(layer.parameters()).data.add_(0.1)
    return layer


def replace_data(layer: Any) -> Any:
    for _ in range(3):  # the memory of the first may come back
        layer.weight_hh_l0.data = layer.weight_hh_l0.data * 0.9
    return layer


def replace_parameter(layer: Any) -> Any:
    layer.weight_hh_l0 = nn.Parameter(layer.weight_hh_l0.detach() * 0.9)
    return layer


def load(layer: Any) -> Any:
    layer.load_state_dict({name: value * 1.1 for name, value in layer.state_dict().items()})
    return layer


def step_of(kind: type[torch.optim.Optimizer], **options: Any) -> Callable[[Any], Any]:
    def change(layer: Any) -> Any:
        if layer.weight_hh_l0.requires_grad:
            with torch.enable_grad():
                torch.autograd.backward(layer(torch.randn(3, 2, 3, dtype=layer.weight_hh_l0.dtype))[0].sum())
            kind(layer.parameters(), lr=0.01, **options).step()  # type: ignore[call-arg]
            layer.zero_grad()
        return layer

    return change


def with_other_weights(layer: Any) -> Any:
    x = torch.randn(2, 2, 3, dtype=layer.weight_hh_l0.dtype)
    weights = {name: value.detach() * 0.5 for name, value in layer.named_parameters()}
    first = torch.func.functional_call(layer, weights, (x,))[0]
    other = copy.deepcopy(layer)
    other.load_state_dict(weights)
    assert torch.equal(first, other(x)[0])
    return layer


def set_engine(layer: Any) -> Any:
    layer.engine = {"auto": "native", "native": "auto"}[layer.engine]
    return layer


CHANGES: list[Callable[[Any], Any]] = [
    edit_in_place,
    edit_data,
    replace_data,
    replace_parameter,
    load,
    step_of(torch.optim.SGD, foreach=True),
    step_of(torch.optim.Adam, fused=True),
    with_other_weights,
    set_engine,
    lambda layer: layer.requires_grad_(not layer.weight_hh_l0.requires_grad),
    lambda layer: layer.double(),
    lambda layer: layer.to(torch.float32),
    lambda layer: layer.train(not layer.training),
    copy.deepcopy,
    copy.copy,
    lambda layer: pickle.loads(pickle.dumps(layer)),
]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_call_after_any_changes_gives_what_a_new_layer_gives(kind: str, general: Callable[..., Any]) -> None:
    chance = random.Random(0)
    torch.manual_seed(0)
    layer = getattr(holdfast, kind)(3, 4, num_layers=2)
    for _ in range(150):
        for change in chance.choices(CHANGES, k=chance.randint(0, 3)):
            layer = change(layer)
        dtype = layer.weight_hh_l0.dtype
        batch = (chance.randint(1, 3),)
        x = torch.randn(chance.randint(1, 4), *batch, 3, dtype=dtype)
        hx = random_state(layer, batch, dtype=dtype) if chance.random() < 0.5 else None
        with torch.set_grad_enabled(chance.random() < 0.3):
            for _ in range(2):
                actual = tensors_of(layer(x, hx))
                expected = tensors_of(general(layer, x, hx))
                for pair in zip(actual, expected, strict=True):
                    assert torch.equal(*pair)


def test_threads_that_share_a_layer() -> None:
    layer = holdfast.LSTM(8, 16, num_layers=2)
    inputs = [torch.randn(steps, rows, 8) for steps in (1, 3, 9) for rows in (1, 2, 5)]

    def call(x: Tensor) -> Tensor:
        with torch.no_grad():
            output: Tensor = layer(x)[0]
        return output

    expected = [call(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(lambda _: [call(x) for x in inputs], range(40)):
            for pair in zip(results, expected, strict=True):
                assert torch.equal(*pair)


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"gate_clip": 2.0}, {"layer_norm": True}])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_step_and_its_gradients(kind: str, options: dict[str, Any], general: Callable[..., Any]) -> None:
    module = getattr(holdfast, f"{kind}Cell")(3, 4, dtype=torch.float64, **options)
    for batch in ((2,), ()):
        x = torch.randn(*batch, 3, dtype=torch.float64, requires_grad=True)
        parts = [torch.randn(*batch, 4, dtype=torch.float64, requires_grad=True) for _ in module.spec.state_sizes]
        hx = tuple(parts) if len(parts) > 1 else parts[0]
        assert run_usual_step(module, x, hx) is not None
        found = []
        for call in CALLS:
            results = tensors_of(call(general, module, x, call(general, module, x, hx)))
            inputs = [x, *parts, *module.parameters()]
            loss = sum((result.square().sum() for result in results), torch.zeros(()))
            gradients = torch.autograd.grad(loss, inputs, create_graph=True)
            second = torch.autograd.grad(gradients[0].square().sum(), inputs, allow_unused=True, retain_graph=True)
            found.append([*results, *torch.autograd.grad(loss, inputs), *gradients, *second])
        for expected, actual in zip(*reversed(found), strict=True):
            torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


def test_a_change_in_place_before_the_backward_pass_is_noticed() -> None:
    for module in (holdfast.LSTM(3, 4), holdfast.LSTMCell(3, 4)):
        h = tensors_of(module(torch.randn(2, 3)))[0]
        with torch.no_grad():
            next(module.parameters()).add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.backward(h.sum())


@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("lengths", [[3, 0, 4], [4, 4, 4], [1, 1, 1]], ids=str)
def test_lengths_without_gradients(
    kind: str, options: dict[str, Any], lengths: list[int], general: Callable[..., Any]
) -> None:
    layer = getattr(holdfast, kind)(5, 5, **options)
    x = torch.randn((3, 4, 5) if layer.batch_first else (4, 3, 5))
    for given in (lengths, torch.tensor(lengths), torch.tensor(lengths, dtype=torch.int32)):
        for hx in (None, random_state(layer, (3,))):
            with torch.no_grad():
                assert run_usual_call(layer, x, hx, given) is not None
                found = [tensors_of(call(general, layer, x, hx, given)) for call in CALLS]
            assert run_usual_call(layer, x, hx, given) is None  # with gradients
            for got, expected in zip(*found, strict=True):
                assert torch.equal(got, expected)


def test_lengths_that_are_wrong_raise_the_same_error(general: Callable[..., Any]) -> None:
    layer, x = holdfast.LSTM(5, 5), torch.randn(4, 3, 5)
    for lengths in ([5, 0, 4], [-1, 1, 1], [1, 2], torch.rand(3), [1.5, 1, 1], ["a", "b", "c"]):
        found = []
        for call in CALLS:
            with torch.no_grad(), pytest.raises(ShapeError) as raised:
                call(general, layer, x, None, lengths)
            found.append(str(raised.value))
        assert found[0] == found[1]
