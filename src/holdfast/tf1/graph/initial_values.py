"""Initial values of variables: ``tf.constant_initializer`` and its like."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from holdfast.tf1.graph.convert import constant, convert_to_tensor
from holdfast.tf1.graph.dtypes import DType, as_dtype, float32
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public, publish
from holdfast.tf1.graph.randoms import random_normal, random_uniform, truncated_normal
from holdfast.tf1.graph.recorded_names import extended, method
from holdfast.tf1.graph.shapes import sizes_of
from holdfast.tf1.graph.tensors import Tensor


@extended
class Initializer:
    """Makes the initial value of a variable from its shape and dtype."""

    @method
    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        """The value, as a tensor of the graph."""
        sizes = sizes_of(shape)
        if sizes is None or None in sizes:
            raise ValueError(f"A variable has shape {shape!r}; expected known sizes.")
        return self.make(tuple(size or 0 for size in sizes), as_dtype(dtype or getattr(self, "dtype", None) or float32))

    def make(self, sizes: tuple[int, ...], dtype: DType) -> Tensor:
        """The value, for known sizes."""
        raise NotImplementedError


@public("zeros_initializer", "keras.initializers.Zeros", "initializers.zeros")
class Zeros(Initializer):
    """Zeros."""

    def __new__(cls, shape: Any = None, dtype: Any = None, partition_info: Any = None) -> Any:
        """An initializer; the zeros themselves, where a program gives a shape as before TensorFlow 1.0."""
        made = super().__new__(cls)
        return made if shape is None else made(shape, dtype)

    def make(self, sizes: tuple[int, ...], dtype: DType) -> Tensor:
        """The value, for known sizes."""
        return constant(0, dtype, sizes, "zeros")


@public("ones_initializer", "keras.initializers.Ones", "initializers.ones")
class Ones(Initializer):
    """Ones."""

    def __new__(cls, shape: Any = None, dtype: Any = None, partition_info: Any = None) -> Any:
        """As of :class:`Zeros`."""
        made = super().__new__(cls)
        return made if shape is None else made(shape, dtype)

    def make(self, sizes: tuple[int, ...], dtype: DType) -> Tensor:
        """The value, for known sizes."""
        return constant(1, dtype, sizes, "ones")


@public("constant_initializer", "keras.initializers.Constant")
class Constant(Initializer):
    """A value, or a list of values that is filled with its last one."""

    def __init__(self, value: Any = 0, dtype: Any = None, verify_shape: bool = False) -> None:
        self.value, self.dtype = value, dtype

    def make(self, sizes: tuple[int, ...], dtype: DType) -> Tensor:
        """The value, for known sizes."""
        value = np.asarray(self.value, dtype=dtype.as_numpy_dtype)
        return constant(value, dtype, sizes)


@public("random_normal_initializer", "keras.initializers.RandomNormal")
class RandomNormal(Initializer):
    """A normal distribution."""

    def __init__(self, mean: float = 0.0, stddev: float = 1.0, seed: int | None = None, dtype: Any = None) -> None:
        self.mean, self.stddev, self.seed, self.dtype = mean, stddev, seed, dtype

    def make(self, sizes: tuple[int, ...], dtype: DType) -> Tensor:
        """The value, for known sizes."""
        return random_normal(sizes, self.mean, self.stddev, dtype, self.seed)


@public("truncated_normal_initializer", "keras.initializers.TruncatedNormal")
class TruncatedNormal(RandomNormal):
    """A normal distribution without what is further than two standard deviations from its mean."""

    def make(self, sizes: tuple[int, ...], dtype: DType) -> Tensor:
        """The value, for known sizes."""
        return truncated_normal(sizes, self.mean, self.stddev, dtype, self.seed)


@public("random_uniform_initializer", "keras.initializers.RandomUniform")
class RandomUniform(Initializer):
    """An even distribution."""

    def __init__(self, minval: Any = 0, maxval: Any = None, seed: int | None = None, dtype: Any = None) -> None:
        self.minval, self.maxval, self.seed, self.dtype = minval, maxval, seed, dtype

    def make(self, sizes: tuple[int, ...], dtype: DType) -> Tensor:
        """The value, for known sizes."""
        return random_uniform(sizes, self.minval, self.maxval, dtype, self.seed)


@public("uniform_unit_scaling_initializer")
class UniformUnitScaling(Initializer):
    """An even distribution that keeps the scale of a product with the kernel."""

    def __init__(self, factor: float = 1.0, seed: int | None = None, dtype: Any = None) -> None:
        self.factor, self.seed, self.dtype = factor, seed, dtype

    def make(self, sizes: tuple[int, ...], dtype: DType) -> Tensor:
        """The value, for known sizes."""
        limit = math.sqrt(3 / max(1, math.prod(sizes[:-1]))) * self.factor
        return random_uniform(sizes, -limit, limit, dtype, self.seed)


@public("orthogonal_initializer", "keras.initializers.Orthogonal")
class Orthogonal(Initializer):
    """An orthogonal matrix (Saxe et al. 2014)."""

    def __init__(self, gain: float = 1.0, seed: int | None = None, dtype: Any = None) -> None:
        self.gain, self.seed, self.dtype = gain, seed, dtype

    def make(self, sizes: tuple[int, ...], dtype: DType) -> Tensor:
        """The value, for known sizes."""
        numbers = random_normal((math.prod(sizes[:-1]), sizes[-1]), dtype=dtype, seed=self.seed)

        def orthogonal(x: torch.Tensor) -> torch.Tensor:
            wide = x.shape[0] < x.shape[1]
            q, r = torch.linalg.qr(x.T if wide else x)
            q = q * torch.diagonal(r).sign()
            matrix: torch.Tensor = self.gain * (q.T if wide else q)
            return matrix.reshape(sizes)

        return node("Orthogonal", orthogonal, [numbers], dtype, sizes)


@public("variance_scaling_initializer", "keras.initializers.VarianceScaling")
class VarianceScaling(Initializer):
    """A distribution whose variance is ``scale`` over the number of inputs, of outputs, or their mean."""

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "normal", seed: int | None = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        self.scale, self.mode, self.distribution, self.seed, self.dtype = scale, mode, distribution, seed, dtype

    def make(self, sizes: tuple[int, ...], dtype: DType) -> Tensor:
        """The value, for known sizes."""
        fan_in, fan_out = _fans(sizes)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, count)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return random_uniform(sizes, -limit, limit, dtype, self.seed)
        if self.distribution == "untruncated_normal":
            return random_normal(sizes, 0, math.sqrt(variance), dtype, self.seed)
        return truncated_normal(sizes, 0, math.sqrt(variance) / _TRUNCATED_DEVIATION, dtype, self.seed)


_TRUNCATED_DEVIATION = 0.87962566103423978  # of a standard normal distribution cut off at plus and minus two


def _fans(sizes: Sequence[int]) -> tuple[float, float]:
    if len(sizes) < 2:
        return (sizes[0], sizes[0]) if sizes else (1, 1)
    receptive = math.prod(sizes[:-2])
    return sizes[-2] * receptive, sizes[-1] * receptive


@public("glorot_uniform_initializer", "keras.initializers.glorot_uniform")
def glorot_uniform(seed: int | None = None, dtype: Any = None) -> Initializer:
    """The default initializer (Glorot & Bengio 2010)."""
    return VarianceScaling(1.0, "fan_avg", "uniform", seed, dtype)


@public("glorot_normal_initializer", "keras.initializers.glorot_normal")
def glorot_normal(seed: int | None = None, dtype: Any = None) -> Initializer:
    """Glorot & Bengio's variance, as a normal distribution."""
    return VarianceScaling(1.0, "fan_avg", "normal", seed, dtype)


@public("contrib.layers.xavier_initializer", "contrib.layers.xavier_initializer_conv2d")
def xavier_initializer(uniform: bool = True, seed: int | None = None, dtype: Any = None) -> Initializer:
    """Another name of Glorot's initializers; its normal distribution has another variance, as in TensorFlow."""
    if uniform:
        return glorot_uniform(seed, dtype)
    return variance_scaling(1.0, "FAN_AVG", False, seed, dtype)


@public("contrib.layers.variance_scaling_initializer")
def variance_scaling(
    factor: float = 2.0, mode: str = "FAN_IN", uniform: bool = False, seed: int | None = None, dtype: Any = None
) -> Initializer:
    """``contrib.layers``' own form: the truncated normal distribution has 1.3 times the variance (He et al. 2015)."""
    if uniform:
        return VarianceScaling(factor, mode.lower(), "uniform", seed, dtype)
    return VarianceScaling(factor * 1.3 * _TRUNCATED_DEVIATION**2, mode.lower(), "normal", seed, dtype)


class Filled(Initializer):
    """A function that fills a tensor of torch, or one of a program that makes a tensor of the graph."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        while isinstance(function, partial):
            function = function.func
        module = getattr(function, "__module__", None) or ""
        self._fills = module.startswith(("torch.", "holdfast.tf1.variables"))

    def make(self, sizes: tuple[int, ...], dtype: DType) -> Tensor:
        """The value, for known sizes."""
        if not self._fills:
            return convert_to_tensor(self.function(list(sizes), dtype=dtype))

        def fill() -> torch.Tensor:
            tensor = torch.empty(sizes, dtype=dtype.torch)
            self.function(tensor)
            return tensor

        return node("Fill", fill, [], dtype, sizes, "initial_value")


def as_initializer(value: Any) -> Any:
    """What a program passes as an initializer: an :class:`Initializer`, or a value. None stays None."""
    if isinstance(value, type) and issubclass(value, Initializer):
        return value()
    if value is None or isinstance(value, Initializer) or not callable(value):
        return value
    return Filled(value)


publish(Initializer, "keras.initializers.Initializer")
