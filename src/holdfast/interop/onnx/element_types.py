"""The element types of ONNX with which torch computes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch


class ElementType(NamedTuple):
    """ONNX's name, torch's dtype, and the field and type of numbers that are not raw bytes (uint16: bit patterns)."""

    name: str
    dtype: torch.dtype
    field: str
    element: Any


ELEMENT_TYPES = {
    1: ElementType("FLOAT", torch.float32, "float_data", np.float32),
    11: ElementType("DOUBLE", torch.float64, "double_data", np.float64),
    10: ElementType("FLOAT16", torch.float16, "int32_data", np.uint16),
    16: ElementType("BFLOAT16", torch.bfloat16, "int32_data", np.uint16),
    3: ElementType("INT8", torch.int8, "int32_data", np.int8),
    5: ElementType("INT16", torch.int16, "int32_data", np.int16),
    6: ElementType("INT32", torch.int32, "int32_data", np.int32),
    7: ElementType("INT64", torch.int64, "int64_data", np.int64),
    2: ElementType("UINT8", torch.uint8, "int32_data", np.uint8),
    9: ElementType("BOOL", torch.bool, "int32_data", np.bool_),
}
"""The element type of each of ONNX's numbers."""
