"""What TensorFlow 1's programs expect of other libraries of their time."""

from __future__ import annotations

from typing import Any

import numpy as np

_BROUGHT_ALONG = {"six": "six", "absl": "absl-py", "h5py": "h5py", "google": "protobuf", "scipy": "scipy"}
_OF_ONE_NUMBER = "only 0-dimensional arrays can be converted to Python scalars"

# NumPy's names that its releases 1.24 and 2.0 removed.
_NAMES: dict[str, Any] = {
    "int": int, "float": float, "object": object, "str": str, "complex": complex, "bool": bool, "long": int,
    "unicode": str, "float_": np.float64, "complex_": np.complex128, "string_": np.bytes_, "unicode_": np.str_,
    "Inf": np.inf, "Infinity": np.inf, "infty": np.inf, "PINF": np.inf, "NINF": -np.inf, "NaN": np.nan, "NAN": np.nan,
    "product": np.prod, "cumproduct": np.cumprod, "alltrue": np.all, "sometrue": np.any, "round_": np.round,
    "row_stack": np.vstack, "asscalar": lambda a: a.item(),
}  # fmt: skip


def give_numpy_its_old_names() -> None:
    """Gives NumPy, in this process, the names that it had when the programs were written; present names stay."""
    for name, value in _NAMES.items():
        if name not in np.__dict__:
            setattr(np, name, value)


def advice_for(error: BaseException) -> str | None:
    """What to do about an error that comes from a library of today, or one that is missing; None for any other."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package in _BROUGHT_ALONG:
        return f"TensorFlow installed {package} for its programs. Install it: pip install {_BROUGHT_ALONG[package]}."
    if isinstance(error, TypeError) and _OF_ONE_NUMBER in str(error):
        return (
            "NumPy of today makes a number only of an array without dimensions. Install one of before, pip install "
            "'numpy<2', or take the number out of the array: int(x[0])."
        )
    return None
