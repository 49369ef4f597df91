"""A bound for what the layers of a file may hold: nodes may take the same weights over and over."""

from __future__ import annotations

from torch import Tensor

from holdfast.errors import ModelFileError
from holdfast.interop.onnx.graph import OnnxNode

_LEAST, _PER_NUMBER = 2**22, 16


class Room:
    """How many numbers the layers of a file may hold, each of which has its own, in an order of its own.

    Args:
        numbers: How many the file has.
    """

    def __init__(self, numbers: int) -> None:
        self._left = _LEAST + _PER_NUMBER * numbers
        self._rows: dict[int, tuple[Tensor, Tensor]] = {}  # of each matrix, with the matrix, so that it stays

    def rows(self, node: OnnxNode, matrix: Tensor) -> Tensor:
        """A matrix that a node multiplies by, transposed; the same one for all nodes that take it."""
        if id(matrix) not in self._rows:
            self.take(node, matrix.numel())
            self._rows[id(matrix)] = (matrix, matrix.T.contiguous())
        return self._rows[id(matrix)][1]

    def take(self, node: OnnxNode, numbers: int) -> None:
        """Takes room for the weights of a node.

        Raises:
            ModelFileError: There is none left.
        """
        self._left -= numbers
        if self._left < 0:
            raise ModelFileError(
                f"{node.label} and those before it take the same weights so often that they need far more memory than "
                "the file has bytes. Refused."
            )
