"""A limit on the memory for the layers of a file: many nodes may take the same weights."""

from __future__ import annotations

from torch import Tensor

from holdfast.errors import ModelFileError
from holdfast.interop.onnx.graph import OnnxNode

_MIN_ELEMENTS, _PER_ELEMENT = 2**22, 16


class MemoryBudget:
    """Limits the elements that the layers of a file may hold; each layer has its own copy, in its own order."""

    def __init__(self, file_elements: int) -> None:
        self._remaining = _MIN_ELEMENTS + _PER_ELEMENT * file_elements
        # The matrices are kept beside their transposes, so that their ids stay valid.
        self._transposes: dict[int, tuple[Tensor, Tensor]] = {}

    def transpose(self, node: OnnxNode, matrix: Tensor) -> Tensor:
        """The transpose of a matrix, within the budget; all nodes that take the matrix share it."""
        if id(matrix) not in self._transposes:
            self.spend(node, matrix.numel())
            self._transposes[id(matrix)] = (matrix, matrix.T.contiguous())
        return self._transposes[id(matrix)][1]

    def spend(self, node: OnnxNode, elements: int) -> None:
        """Reserves memory for the weights of a node.

        Raises:
            ModelFileError: The budget is used up.
        """
        self._remaining -= elements
        if self._remaining < 0:
            raise ModelFileError(
                f"{node.label} and those before it take the same weights so often that they need far more memory than "
                "the file has bytes. Refused."
            )
