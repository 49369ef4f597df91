"""Large arrays whose memory is used again: new memory costs a page fault for every 4 KB of it."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

_ALIGNMENT = 64  # TensorFlow copies what lies otherwise
_Bytes = np.ndarray[Any, np.dtype[np.uint8]]


class Buffers:
    """Memory that is lent and comes back by itself.

    Whatever shares the memory of a tensor that was lent, on whichever side, holds the view that the tensor was made of;
    when that is gone, the memory is free.

    Args:
        most: How many arrays are kept to be lent again.
    """

    def __init__(self, most: int = 4) -> None:
        self._most, self._lock = most, threading.Lock()
        self._lent: list[tuple[_Bytes, weakref.ref[_Bytes]]] = []

    def take(self, values: int, dtype: torch.dtype) -> Tensor:
        """A tensor of so many values, which are none in particular."""
        size = values * dtype.itemsize
        with self._lock:
            for place, (array, view) in enumerate(self._lent):
                if len(array) == size + _ALIGNMENT and view() is None:
                    del self._lent[place]
                    break
            else:
                array = np.empty(size + _ALIGNMENT, np.uint8)
            start = -array.ctypes.data % _ALIGNMENT
            lent = array[start : start + size]
            self._lent = [*self._lent, (array, weakref.ref(lent))][-self._most :]
        return torch.from_numpy(lent).view(dtype)
