"""The activations of the kernels over the whole range of a dtype: their errors, where they saturate, small values."""

from __future__ import annotations

import math

import pytest
import torch
from tests.engines.native_runs import NAMES
from torch import Tensor

from holdfast.cells import activation
from holdfast.runtime.kernels import function

_native = pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

BOUNDS = {  # the largest absolute error and the largest relative one, as native/exponentials.h states them
    ("sigmoid", torch.float32): (1e-7, 3.6e-7),
    ("sigmoid", torch.float64): (2.5e-16, 5.5e-16),
    ("tanh", torch.float32): (1e-7, 1.9e-7),
    ("tanh", torch.float64): (2.5e-16, 5.2e-16),
}


def of_every_size(dtype: torch.dtype) -> Tensor:
    """Values over the whole range of a dtype, evenly among its bit patterns: denormals, infinities and NaN too."""
    bits, whole = (32, torch.int32) if dtype == torch.float32 else (64, torch.int64)
    patterns = torch.arange(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, (2**bits - 1) // 2_000_003, dtype=whole)
    limits = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan], dtype=dtype)
    largest, tiny = torch.finfo(dtype).max, torch.finfo(dtype).smallest_normal
    ends = torch.tensor([largest, -largest, tiny, -tiny, tiny / 2, -tiny / 2], dtype=dtype)
    return torch.cat([patterns.view(dtype), torch.linspace(-20, 20, 400_001, dtype=dtype), limits, ends])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_activations_are_as_exact_as_stated(isa: str, name: str, dtype: torch.dtype) -> None:
    x = of_every_size(dtype)
    y = torch.full_like(x, -7.0)  # the value of none of them
    kernel = _native.activate_f32 if dtype == torch.float32 else _native.activate_f64
    number = function(name)
    assert number is not None
    kernel(*number, x, y, isa)
    exact = activation(name)(x.double())
    assert torch.equal(y.isnan(), exact.to(dtype).isnan())
    finite = exact.to(dtype).isfinite()
    assert torch.equal(y[~finite & ~y.isnan()], exact.to(dtype)[~finite & ~y.isnan()])  # infinities
    error, size = (y.double() - exact).abs()[finite], exact.abs()[finite]
    eps, tiny = torch.finfo(dtype).eps, torch.finfo(dtype).smallest_normal
    if (name, dtype) in BOUNDS:
        absolute, relative = BOUNDS[name, dtype]
        gone = tiny / 4 if name == "sigmoid" else 0.0  # where exp(-x) overflows, this is 0; so is torch.sigmoid
        assert float(error.max()) <= absolute
        assert float((error - relative * size).max()) <= gone + tiny * eps  # the smallest denormal
    elif name.startswith("scaled_tanh"):  # β x is rounded, and so is α tanh(β x)
        assert float((error - (BOUNDS["tanh", dtype][1] + 2 * eps) * size).max()) <= 2 * tiny * eps
    else:
        assert float((error - 2 * eps * size).max()) <= 2 * eps


def activated(name: str, x: Tensor, isa: str) -> Tensor:
    y = torch.empty_like(x)
    number = function(name)
    assert number is not None
    (_native.activate_f32 if x.dtype == torch.float32 else _native.activate_f64)(*number, x, y, isa)
    return y


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "start", "end"), [("tanh", 6.0, 20.0), ("sigmoid", 13.0, 40.0)])
def test_saturation_is_exact_and_rises_to_it(isa: str, name: str, start: float, end: float, dtype: torch.dtype) -> None:
    """Where the nearest number is 1, so is the value, and before it the values rise."""
    x = torch.linspace(start, end, 1_000_001, dtype=dtype)
    if dtype == torch.float32:  # beside some values of all sizes, every one around the threshold
        threshold = torch.tensor(9.0109 if name == "tanh" else 17.3287).view(torch.int32)
        around = torch.arange(int(threshold) - 100_000, int(threshold) + 100_000, dtype=torch.int32)
        x = torch.cat([x, around.view(dtype)]).sort().values
    y = activated(name, x, isa)
    # 1 - tanh(x) and 1 - sigmoid(x), without a difference of nearly equal numbers, and not by torch's own functions,
    # whose last bit depends on the processor.
    gap = 2 / (1 + (2 * x.double()).exp()) if name == "tanh" else 1 / (1 + x.double().exp())
    assert bool((y.diff() >= 0).all())
    middle = torch.finfo(dtype).eps / 4  # below 1, from where on 1 is the nearest number
    assert bool((y[gap < middle * (1 - 2**-20)] == 1).all())
    if name == "tanh":  # sigmoid, like torch's, is 1 as soon as 1 + exp(-x) is
        assert bool((y[gap > middle * (1 + 2**-20)] < 1).all())
        assert torch.equal(activated(name, -x, isa), -y)
    far = torch.tensor([1e3, 1e9, 1e20, 3e38, math.inf], dtype=dtype)
    assert torch.equal(activated(name, far, isa), torch.ones_like(far))
    assert torch.equal(activated(name, -far, isa), -torch.ones_like(far) if name == "tanh" else torch.zeros_like(far))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_small_values_pass_through_tanh_as_they_are(isa: str, dtype: torch.dtype) -> None:
    tiny = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps  # the smallest denormal
    x = torch.tensor([0.0, -0.0, tiny, -tiny, 3 * tiny, 1e-40, -1e-38, 1e-30, -1e-20], dtype=dtype)
    y = activated("tanh", x, isa)
    assert torch.equal(y, x)
    assert torch.equal(y.signbit(), x.signbit())
