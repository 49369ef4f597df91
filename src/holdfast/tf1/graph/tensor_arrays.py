"""``tf.TensorArray``: a list of tensors that grows in a loop."""

from __future__ import annotations

from typing import Any

import torch

from holdfast.tf1.graph.call_entries import Snapshot
from holdfast.tf1.graph.convert import convert_to_tensor, known_value
from holdfast.tf1.graph.dtypes import DType, as_dtype, float32, int32
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.recorded_names import method
from holdfast.tf1.graph.recording import snapshot
from holdfast.tf1.graph.shapes import Sizes, product, sizes_of
from holdfast.tf1.graph.tensors import Tensor


@public("TensorArray")
class TensorArray:
    """A list of tensors. Each write makes another array; the old one stays as it was.

    Args:
        dtype: Of the tensors.
        size: How many there are.
        dynamic_size: Whether it grows.
        clear_after_read: Accepted.
        tensor_array_name: Accepted.
        infer_shape: Accepted.
        element_shape: What is known of the shape of each tensor.

    Attributes:
        flow: A tensor that stands for the list: an operation's input, a variable of a loop.
    """

    def __init__(
        self, dtype: Any, size: Any = None, dynamic_size: Any = None, clear_after_read: Any = None,
        tensor_array_name: str | None = None, handle: Any = None, flow: Tensor | None = None, infer_shape: bool = True,
        element_shape: Any = None, colocate_with_first_write_call: bool = True, name: str | None = None,
    ) -> None:  # fmt: skip
        self.dtype: DType = as_dtype(dtype)
        self.element_shape: Sizes = sizes_of(element_shape)
        known = None if size is None else known_value(size)
        self._count = None if known is None or dynamic_size else int(known)
        grows = bool(dynamic_size)
        self.flow = flow if flow is not None else node(
            "TensorArrayV3", lambda n: _List([None] * int(n), grows), [convert_to_tensor(0 if size is None else size)],
            float32, (), name or "TensorArray",
        )  # fmt: skip

    def again(self, flow: Tensor) -> TensorArray:
        """The array with other tensors."""
        other = TensorArray(self.dtype, flow=flow)
        other.element_shape, other._count = self.element_shape, self._count
        return other

    @method
    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with another tensor at ``index``."""
        tensor = convert_to_tensor(value, self.dtype)
        if self.element_shape is None:
            self.element_shape = tensor.sizes
        flow = node("TensorArrayWriteV3", _written, [self.flow, convert_to_tensor(index), tensor], float32, (), name)
        return self.again(flow)

    @method
    def read(self, index: Any, name: str | None = None) -> Tensor:
        """The tensor at ``index``."""
        return node(
            "TensorArrayReadV3", _read, [self.flow, convert_to_tensor(index)], self.dtype, self.element_shape, name
        )

    @method
    def stack(self, name: str | None = None) -> Tensor:
        """All tensors, in one [N, ...]."""
        sizes = None if self.element_shape is None else (self._count, *self.element_shape)
        kind, inner = self.dtype.torch, self.element_shape

        def stacked(parts: _List) -> torch.Tensor:
            if not parts:
                return torch.zeros(0, *(size or 0 for size in inner or ()), dtype=kind)
            return torch.stack(_filled(parts))

        return node("TensorArrayStack", stacked, [self.flow], self.dtype, sizes, name)

    pack = stack

    @method
    def concat(self, name: str | None = None) -> Tensor:
        """All tensors one after the other along their first dimension."""
        sizes: Sizes = None
        if self.element_shape:
            rows = None if self._count is None else product([self._count, self.element_shape[0]])
            sizes = (rows, *self.element_shape[1:])
        return node(
            "TensorArrayConcatV3", lambda parts: torch.cat(_filled(parts)), [self.flow], self.dtype, sizes, name
        )

    @method
    def gather(self, indices: Any, name: str | None = None) -> Tensor:
        """The tensors at ``indices``, in one [N, ...]."""
        sizes = None if self.element_shape is None else (None, *self.element_shape)

        def gathered(parts: _List, places: torch.Tensor) -> torch.Tensor:
            return torch.stack([_read(parts, place) for place in places])

        return node("TensorArrayGatherV3", gathered, [self.flow, convert_to_tensor(indices)], self.dtype, sizes, name)

    @method
    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """The array of the parts of a tensor."""
        tensor = convert_to_tensor(value, self.dtype)
        made = self.again(node("TensorArrayScatterV3", lambda x: _List(x.unbind(0)), [tensor], float32, (), name))
        if tensor.sizes is not None:
            made.element_shape, made._count = tensor.sizes[1:], tensor.sizes[0]
        return made

    unpack = unstack

    @method
    def size(self, name: str | None = None) -> Tensor:
        """How many tensors there are."""
        return node(
            "TensorArraySizeV3", lambda parts: torch.tensor(len(parts), dtype=torch.int32), [self.flow], int32, (),
            name, gradient=False,
        )  # fmt: skip

    def identity(self) -> TensorArray:
        """The array itself."""
        return self

    def close(self, name: str | None = None) -> None:
        """Accepted: nothing is held."""


snapshot(
    TensorArray,
    lambda array: Snapshot("tensor_array", array.dtype, array.flow, array.element_shape, array._count),
)


class _List(list[Any]):
    """The value of an array in a run; None where nothing was written."""

    def __init__(self, parts: Any, grows: bool = False) -> None:
        super().__init__(parts)
        self.grows = grows


def _written(parts: _List, index: torch.Tensor, value: torch.Tensor) -> _List:
    place = int(index)
    made = _List(parts, parts.grows)
    if place >= len(made) and made.grows:
        made += [None] * (place + 1 - len(made))
    if not 0 <= place < len(made):
        raise IndexError(f"write at {place} of a TensorArray of {len(made)}; give size= or dynamic_size=True")
    made[place] = value
    return made


def _read(parts: _List, index: torch.Tensor) -> Any:
    place = int(index)
    if not 0 <= place < len(parts) or parts[place] is None:
        raise IndexError(f"read at {place} of a TensorArray of {len(parts)}, where nothing was written")
    return parts[place]


def _filled(parts: _List) -> list[Any]:
    missing = [place for place, part in enumerate(parts) if part is None]
    if missing:
        raise IndexError(f"a TensorArray of {len(parts)} has nothing at {missing[:5]}; write it first")
    return parts
