"""Streams whose weights are stored in fewer bits, beside the reference with the same rounded weights."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.layers.stream_models import LAYERS, STEPS, made
from torch import Tensor
from torch.nn import functional as F

import holdfast
from holdfast.cells import lstm, products
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Linear
from holdfast.runtime import narrow_weights
from variants import VARIANTS

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

STORAGES = ("float32", "bfloat16", "int8")
MATRICES = ("weight_ih", "weight_hh", "weight_hr")


def with_rounded_weights(layer: Any, weights: str) -> Any:
    """The layer in float64, computed by the reference, with the weights that the stream has."""
    result = copy.deepcopy(layer).double()
    result.engine = "reference"
    for name, parameter in result.named_parameters():
        if name.startswith(MATRICES):
            array = parameter.detach().float().numpy()
            parameter.data = torch.from_numpy(narrow_weights.rounded({name: array}, [name], weights)[name]).double()
    return result


def scaled(layer: Any) -> Any:
    """The layer with products of about the size of its inputs, so that errors neither grow nor vanish."""
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith(MATRICES):
                parameter *= (3 / parameter.shape[1]) ** 0.5
    return layer


def product_of_16_bits(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear`` with each row of x rounded to 16 bits, as the kernels for int8 round what the weights multiply."""
    scale = x.abs().amax(-1, keepdim=True) / 32767
    return F.linear(torch.where(scale > 0, (x / scale).round() * scale, 0), weight, bias)


def reference(layer: Any, weights: str, x: Tensor) -> Any:
    """The output and the state of the layer in float64, rounded where the stream rounds."""
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        if weights == "int8":
            for module in (products, lstm):
                functions = SimpleNamespace(linear=product_of_16_bits, layer_norm=F.layer_norm)
                patch.setattr(module, "F", functions)
        return with_rounded_weights(layer, weights)(x.double())


def check(layer: Any, weights: Any, batch: int) -> None:
    stream = holdfast.Stream(layer, batch, weights=weights)
    if stream.engine == "reference":
        assert stream.why_not_native() is not None
    x = torch.randn(batch, STEPS, layer.input_size)
    expected, state = reference(layer, weights, x)
    # float32 sums; with int8, float32 and float64 may round a value to different sides, 2^-15 of the largest apart.
    terms = STEPS * layer.num_layers * (layer.input_size + max(spec.hidden_size for spec in layer.specs))
    bound = 8 * 2.0**-23 * terms if weights != "int8" else 2.0**-12
    close: dict[str, Any] = {"rtol": 0.0, "atol": bound, "check_dtype": False}
    by_step = torch.stack([stream.step(x[:, t]) for t in range(STEPS)], 1)
    torch.testing.assert_close(by_step, expected, **close)
    torch.testing.assert_close(stream.state, state, **close)
    stream.reset()
    assert torch.equal(torch.cat([stream.run(part) for part in (x[:, :3], x[:, 3:6], x[:, 6:])], 1), by_step)


@pytest.mark.parametrize("weights", STORAGES)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant(name: str, weights: str) -> None:
    kind, options = VARIANTS[name]
    check(scaled(made(kind, 7, 20, torch.float32, num_layers=2, **options)), weights, 3)


@pytest.mark.parametrize("weights", STORAGES)
@pytest.mark.parametrize("batch", range(1, 9))
@pytest.mark.parametrize("kind", LAYERS)
def test_rows_sizes_and_residual_layers(kind: str, batch: int, weights: str) -> None:
    check(scaled(made(kind, batch, [33, 33, 16 * batch + 1], torch.float32)), weights, batch)
    check(scaled(made(kind, 9, 9, torch.float32, num_layers=3, residual=True)), weights, batch)


@pytest.mark.parametrize("weights", STORAGES)
def test_threads_give_the_bits_of_one(weights: Any) -> None:
    layers = [made("lstm", 300, 260, torch.float32, layer_norm=True), made("gru", 300, 260, torch.float32)]
    layers += [made("gru", 300, 260, torch.float32, reset_after=False)]
    layers += [made("lstm", 300, 260, torch.float32, proj_size=70)]
    x = torch.randn(4, 3, 300)
    before = torch.get_num_threads()
    try:
        for layer in layers:
            outputs = []
            for threads in (1, 3):
                torch.set_num_threads(threads)
                outputs.append(holdfast.Stream(layer, 4, weights=weights).run(x))
            assert torch.equal(*outputs)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("weights", STORAGES)
def test_rows_do_not_depend_on_their_neighbours(weights: Any) -> None:
    layer, x = made("lstm", 20, 40, torch.float32), torch.randn(3, STEPS, 20)
    together = holdfast.Stream(layer, 3, weights=weights).run(x)
    x[1] = float("nan")
    x[2] = 0
    again = holdfast.Stream(layer, 3, weights=weights).run(x)
    assert torch.equal(together[0], again[0])
    assert bool(again[1].isnan().all())
    assert bool(again[2].isfinite().all())


@pytest.mark.parametrize("size", [511, 512, 513, 3000])
def test_int8_sums_do_not_overflow(size: int) -> None:
    layer = holdfast.RNN(size, 5, activation="linear")
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.weight_ih_l0[:] = torch.tensor([1.0, -1, 0.5, 2, 0])[:, None]
    y = holdfast.Stream(layer, weights="int8").step(torch.full((size,), 100.0))
    expected = torch.tensor([1.0, -1, 0.5, 2, 0]) * 100 * size
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=0)


def test_int8_with_an_infinite_input_is_nan_and_recovers() -> None:
    stream = holdfast.Stream(holdfast.LSTM(3, 5), weights="int8")
    assert np.isnan(stream.step(np.array([1, np.inf, 0], np.float32))).all()
    stream.reset()
    assert np.isfinite(stream.step(np.array([3e38, -1e-45, 0], np.float32))).all()


@pytest.mark.parametrize("weights", STORAGES)
def test_linear_layers_around(weights: Any) -> None:
    class Around(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.keys = torch.nn.Linear(11, 9), holdfast.GRU(9, 13)
            self.after = torch.nn.Linear(13, 37, bias=False)

        def chain(self) -> Chain:
            ends = Linear.of("before", self.before), Linear.of("after", self.after)
            return Chain((ends[0], self.keys.part("keys"), ends[1]))

    model, x = Around(), torch.randn(2, STEPS, 11)
    exact: Any = copy.deepcopy(model).double()
    for linear in (exact.before, exact.after):
        array = linear.weight.detach().float().numpy()
        linear.weight.data = torch.from_numpy(narrow_weights.rounded({"w": array}, ["w"], weights)["w"]).double()
    with torch.no_grad():
        expected = exact.after(with_rounded_weights(model.keys, weights)(exact.before(x.double()).transpose(0, 1))[0])
    y = holdfast.Stream(model, 2, weights=weights).run(x)
    atol = 2e-6 if weights != "int8" else 1e-4
    torch.testing.assert_close(y.double(), expected.transpose(0, 1), rtol=0, atol=atol)
