"""TensorFlow's dtypes: their names, and torch's and NumPy's counterparts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from holdfast.tf1.graph.names import publish
from holdfast.tf1.graph.recording import plain


@dataclass(frozen=True, eq=False)
class DType:
    """A dtype of TensorFlow; equal to its own name.

    Attributes:
        name: Such as ``float32``.
        torch: The dtype in torch; None for strings, whose values are NumPy arrays of objects.
        as_numpy_dtype: NumPy's scalar type.
    """

    name: str
    torch: torch.dtype | None
    as_numpy_dtype: Any

    def __eq__(self, other: object) -> bool:
        try:
            return self.name == as_dtype(other).name
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    @property
    def base_dtype(self) -> DType:
        """The dtype itself: no dtype here is a reference."""
        return self

    @property
    def is_floating(self) -> bool:
        """Whether it is a floating-point type, of which there are gradients."""
        return self.torch is not None and self.torch.is_floating_point

    @property
    def is_integer(self) -> bool:
        """Whether it is a whole number."""
        return self.torch is not None and not self.is_floating and self.torch != torch.bool

    @property
    def is_bool(self) -> bool:
        """Whether it is ``bool``."""
        return self.torch == torch.bool

    @property
    def max(self) -> Any:
        """The largest number."""
        return (np.finfo if self.is_floating else np.iinfo)(self.as_numpy_dtype).max

    @property
    def min(self) -> Any:
        """The smallest number."""
        return (np.finfo if self.is_floating else np.iinfo)(self.as_numpy_dtype).min


float16 = DType("float16", torch.float16, np.float16)
float32 = DType("float32", torch.float32, np.float32)
float64 = DType("float64", torch.float64, np.float64)
int8 = DType("int8", torch.int8, np.int8)
int16 = DType("int16", torch.int16, np.int16)
int32 = DType("int32", torch.int32, np.int32)
int64 = DType("int64", torch.int64, np.int64)
uint8 = DType("uint8", torch.uint8, np.uint8)
boolean = DType("bool", torch.bool, np.bool_)
string = DType("string", None, np.object_)

_ALL = (float16, float32, float64, int8, int16, int32, int64, uint8, boolean, string)
_BY_NAME = {dtype.name: dtype for dtype in _ALL} | {"float": float32, "double": float64, "half": float16, "int": int32}
_BY_TORCH = {dtype.torch: dtype for dtype in _ALL if dtype.torch is not None}
for _dtype in _ALL:
    publish(_dtype, _dtype.name)
publish(float64, "double")
publish(float16, "half")
publish(DType, "DType")
plain(DType)


def as_dtype(value: Any) -> DType:
    """A dtype from what a program writes: a dtype, its name, or one of NumPy, Python or torch.

    Raises:
        TypeError: There is no such dtype.
    """
    if isinstance(value, DType):
        return value
    if isinstance(value, torch.dtype):
        found = _BY_TORCH.get(value)
    elif isinstance(value, str):
        found = _BY_NAME.get(value.removesuffix("_ref"))
    elif value is float:
        found = float32
    elif value is int:
        found = int32
    else:
        found = None
        if value is not None and not isinstance(value, bool | int | float):
            try:
                kind = np.dtype(value)
            except TypeError:
                kind = None
            if kind is not None:
                found = string if kind.kind in "OSU" else _BY_NAME.get(kind.name)
    if found is None:
        raise TypeError(f"There is no dtype {value!r}; expected one of {', '.join(sorted(_BY_NAME))}.")
    return found


publish(as_dtype, "as_dtype")
