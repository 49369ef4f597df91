"""The steps of a stream, computed by the native kernels."""

from __future__ import annotations

from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from holdfast.cells.spec import CellSpec
from holdfast.runtime import kernels, narrow_weights
from holdfast.runtime.network import Array, StreamNetwork

MISSING = ""
"""Why there are no kernels; empty where they are."""
try:
    from holdfast.runtime import _native
except ImportError as error:  # installed without it
    MISSING = f"Holdfast was installed without its native kernels ({error})."


class Steps(Protocol):
    """What computes the steps; it has the memory of the state."""

    def advance(self, x: Array, y: Array, rows: NDArray[np.int64] | None = None) -> bool:
        """Steps through x into y, with some rows or all.

        Returns:
            False, and nothing was done, when the shapes or dtypes do not fit, or the rows are not different ones.
        """


def laid_out(array: Array) -> Array:
    """The array as the kernels read it: contiguous, and every value at a multiple of its size."""
    return np.require(array, requirements=["C_CONTIGUOUS", "ALIGNED"])


def native_steps(network: StreamNetwork, batch: int, state: Array, isa: str = "") -> Steps:
    """The kernels, with the weights packed.

    Args:
        network: One that the kernels can compute.
        batch: B.
        state: The memory of the state, as ``native/stream.h`` orders it.
        isa: The instruction set; empty for the best one here.
    """

    def linear(arrays: Any) -> dict[str, Array] | None:
        return {name: laid_out(array) for name, array in arrays.items()} or None

    layers = [
        {**_arguments(spec), "residual": bool(adds), **(linear(arrays) or {})}
        for spec, adds, arrays in zip(network.specs, network.residual, network.parameters, strict=True)
    ]
    storage = narrow_weights.STORAGES.index(network.weights or "float32")
    make = _native.Stream_f32 if network.dtype == np.float32 else _native.Stream_f64
    made = make(layers, batch, linear(network.input), linear(network.output), state, storage, isa)
    return cast(Steps, made)


def _arguments(spec: CellSpec) -> dict[str, Any]:
    return {**kernels.arguments(spec), "plain": kernels.is_plain(spec), "I": spec.input_size}
