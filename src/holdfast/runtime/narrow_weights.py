"""The weights of a network in fewer bits: rounded as the kernels of streams store them, and as a file holds them.

- ``bfloat16`` rounds each weight to the nearest value with 8 digits, ties to even: off by at most 2^-9 of its size.
- ``int8`` makes each row of a matrix, which has the weights of one unit and gate, q s with whole numbers q from -127 to
  127 and one scale s = max|w| / 127: each weight is off by at most s / 2. The scale has 17 digits, so that q s is exact
  in float32, and rounding a second time changes nothing. A row whose weights are all below 2^-100 becomes 0.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import OptionError
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Linear, Recurrent

Weights = Literal["float32", "bfloat16", "int8"]
STORAGES: tuple[str, ...] = get_args(Weights)
"""In the order of ``Storage`` in ``native/layer.h``."""

Arrays = Mapping[str, NDArray[Any]]
_SCALE = ".scale"


def matrices(chain: Chain) -> list[str]:
    """The names of the matrices of a chain that a stream can compute: the weights that its products read."""
    return [
        name
        for part in chain.parts
        if isinstance(part, Linear | Recurrent)
        for name in part.tensor_shapes()
        if name.rpartition(".")[2].startswith(("weight_ih", "weight_hh", "weight_hr")) or name.endswith(".weight")
    ]


def check(weights: object) -> None:
    """Refuses what is not a name of :data:`STORAGES`.

    Raises:
        OptionError: It is one that does not exist.
    """
    if weights not in STORAGES:
        raise OptionError(f"weights is {weights!r}; expected 'float32', 'bfloat16' or 'int8'.")


def rounded(arrays: Arrays, matrices: Collection[str], weights: str) -> dict[str, NDArray[Any]]:
    """The arrays, float32, with the named matrices rounded."""
    return decoded(encoded(arrays, matrices, weights), matrices, weights)


def encoded(arrays: Arrays, matrices: Collection[str], weights: str) -> dict[str, NDArray[Any]]:
    """The arrays for a file: the bits of each bfloat16 as uint16; or int8, with an array of scales beside it."""
    result = dict(arrays)
    for name in matrices:
        if weights == "bfloat16":
            result[name] = _to_bfloat16(arrays[name])
        if weights == "int8":
            result[name], result[name + _SCALE] = _to_int8(arrays[name])
    return result


def decoded(arrays: Arrays, matrices: Collection[str], weights: str) -> dict[str, NDArray[Any]]:
    """What :func:`encoded` wrote, as float32.

    Raises:
        OptionError: An array is missing, or has another dtype or shape.
    """
    result = dict(arrays)
    for name in matrices:
        if weights == "bfloat16":
            result[name] = (_checked(arrays, name, np.uint16, 2).astype(np.uint32) << 16).view(np.float32)
        if weights == "int8":
            whole, scale = _checked(arrays, name, np.int8, 2), _checked(arrays, name + _SCALE, np.float32, 1)
            if len(scale) != len(whole):
                raise OptionError(f"The array {name + _SCALE!r} has shape {scale.shape}; expected ({len(whole)},).")
            result[name] = whole * scale[:, None]
            del result[name + _SCALE]
    return result


def _checked(arrays: Arrays, name: str, dtype: type, dimensions: int) -> NDArray[Any]:
    array = arrays.get(name)
    if array is None or array.dtype != dtype or array.ndim != dimensions:
        got = "is missing" if array is None else f"is {array.dtype} of shape {array.shape}"
        raise OptionError(f"The array {name!r} {got}; expected {np.dtype(dtype)} of {dimensions} dimensions.")
    return array


def _to_bfloat16(array: NDArray[Any]) -> NDArray[np.uint16]:
    bits = np.ascontiguousarray(array).view(np.uint32)
    nearest = bits + 0x7FFF + ((bits >> 16) & 1)  # wraps for some NaN, which have a case of their own
    return (np.where(np.isnan(array), bits | 0x400000, nearest) >> 16).astype(np.uint16)


def _to_int8(array: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    largest = np.abs(array).max(axis=1, initial=0)
    exact = np.where(largest < 2.0**-100, 0, largest / np.float32(127)).astype(np.float32)
    scale = ((exact.view(np.uint32) + 0x40) & ~np.uint32(0x7F)).view(np.float32)
    scale = np.where(np.isfinite(exact), scale, np.float32(np.nan))
    usable = np.where(scale > 0, scale, np.float32(1))[:, None]
    whole = np.rint(np.where(scale[:, None] > 0, array, np.float32(0)) / usable)
    return whole.astype(np.int8), scale
