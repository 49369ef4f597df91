"""How callers lay out arrays over time and states, for calls that go to the kernels without a request."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Axes(NamedTuple):
    """How a caller lays out an array over time, and the state.

    Attributes:
        rows: The axis of the rows; None for one row without an axis.
        steps: The axis of the steps; None for one step without an axis.
        stacked: Whether a state has an axis of layers, of size 1, before the rows.
    """

    rows: int | None
    steps: int | None
    stacked: bool

    def sizes(self, x: Tensor) -> tuple[int, int]:
        """B and T of an array."""
        shape = x.shape
        return 1 if self.rows is None else shape[self.rows], 1 if self.steps is None else shape[self.steps]

    def array(self, tensor: Tensor) -> tuple[int, ...]:
        """The address and the strides of rows, steps and values."""
        strides = tensor.stride()
        row = 0 if self.rows is None else strides[self.rows]
        step = 0 if self.steps is None else strides[self.steps]
        return tensor.data_ptr(), row, step, strides[-1]

    def new(self, like: Tensor, size: int) -> Tensor:
        """Memory for ``size`` values per step of an array over time; time is first in memory."""
        if self.rows == 0 and self.steps == 1:
            batch, steps, _ = like.shape
            return like.new_empty_strided((batch, steps, size), (size, batch * size, 1))
        return like.new_empty(*like.shape[:-1], size)

    def state_shape(self, x: Tensor, size: int, cells: int = 1) -> tuple[int, ...]:
        """The shape of a part of the state for the array ``x``."""
        shape = (size,) if self.rows is None else (x.shape[self.rows], size)
        return (cells, *shape) if self.stacked else shape

    def inward(self, x: Tensor) -> Tensor:
        """An array over time as [B, T, size]."""
        if self.rows is None:
            x = x[None]
        if self.steps is None:
            return x[:, None]
        return x.transpose(0, 1) if self.steps == 0 and self.rows == 1 else x

    def outward(self, y: Tensor) -> Tensor:
        """The inverse of :meth:`inward`."""
        if self.steps is None:
            y = y[:, 0]
        elif self.steps == 0 and self.rows == 1:
            y = y.transpose(0, 1)
        return y[0] if self.rows is None else y


TIME_FIRST, BATCH_FIRST, ONE_ROW = Axes(1, 0, True), Axes(0, 1, True), Axes(None, 0, True)
STEP, STEP_OF_ONE_ROW = Axes(0, None, False), Axes(None, None, False)
