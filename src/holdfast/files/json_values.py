"""Values that JSON can hold."""

from __future__ import annotations

import math
from typing import Any


def finite(value: Any) -> Any:
    """The same value with None for NaN and infinities, which JSON does not have.

    Args:
        value: Numbers, strings, None, and dicts, lists and tuples of them. Tuples become lists.

    Example:
        >>> finite({"loss": float("nan"), "step": 3})
        {'loss': None, 'step': 3}
    """
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_text(text: str) -> str:
    """The text with ``?`` for each half of a surrogate pair: Python's name of a file may have some, UTF-8 has none."""
    return text.encode("utf-8", "replace").decode()
