"""How raw values become a network's inputs. No torch is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

ScalingKind = Literal["none", "unit", "standard"]


def scaled(values: NDArray[Any], kind: ScalingKind, mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """Values as a network reads them.

    Args:
        values: [..., C], any real dtype.
        kind: ``none``: as they are; ``unit``: divided by 255; ``standard``: minus ``mean``, over ``std``.
        mean: Of each channel, C numbers; used with ``standard``.
        std: The same.

    Returns:
        [..., C], float32. Values that float32 cannot hold exactly are scaled in float64 first.
    """
    dtype = np.result_type(values.dtype, np.float32)
    if kind == "unit":
        values = np.divide(values, dtype.type(255), dtype=dtype)
    elif kind == "standard":
        values = np.subtract(values, np.asarray(mean, dtype), dtype=dtype)
        values /= np.asarray(std, dtype)
    return values.astype(np.float32, copy=False)
