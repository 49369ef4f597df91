"""Large arrays whose memory is reused: new memory costs a page fault per 4 KB."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

_ALIGNMENT = 64  # bytes; TensorFlow copies arrays with less
_Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Buffers:
    """Memory that is lent as tensors and is free again once no one uses it.

    A lent tensor is made from a view of the memory. Everything that shares the tensor's memory, in torch or in the
    backend, holds that view; when the view is gone, the memory is free.

    Args:
        max_count: The largest number of arrays that are kept for reuse.

    Example:
        >>> Buffers().take(3, torch.float32).shape
        torch.Size([3])
    """

    def __init__(self, max_count: int = 4) -> None:
        self._max_count, self._lock = max_count, threading.Lock()
        self._lent: list[tuple[_Bytes, weakref.ref[_Bytes]]] = []

    def take(self, values: int, dtype: torch.dtype) -> Tensor:
        """An uninitialised tensor with this number of values."""
        size = values * dtype.itemsize
        with self._lock:
            for number, (array, reference) in enumerate(self._lent):
                if len(array) == size + _ALIGNMENT and reference() is None:
                    del self._lent[number]
                    break
            else:
                array = np.empty(size + _ALIGNMENT, np.uint8)
            start = -array.ctypes.data % _ALIGNMENT
            view = array[start : start + size]
            self._lent = [*self._lent, (array, weakref.ref(view))][-self._max_count :]
        return torch.from_numpy(view).view(dtype)
