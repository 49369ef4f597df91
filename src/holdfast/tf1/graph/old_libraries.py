"""What TensorFlow 1's programs expect of Python and of other libraries of their time (2015 to 2019)."""

from __future__ import annotations

import collections.abc
import functools
import importlib
import importlib.abc
import importlib.machinery
import math
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

_BROUGHT_ALONG = {"six": "six", "absl": "absl-py", "h5py": "h5py", "google": "protobuf", "scipy": "scipy"}
_OF_ONE_NUMBER = "only 0-dimensional arrays can be converted to Python scalars"

# Names that were removed: NumPy's by its releases 1.24 and 2.0, Python's by 3.8 to 3.10.
_NAMES: dict[str, dict[str, Any]] = {
    "numpy": {
        "int": int, "float": float, "object": object, "str": str, "complex": complex, "bool": bool, "long": int,
        "unicode": str, "float_": np.float64, "complex_": np.complex128, "string_": np.bytes_, "unicode_": np.str_,
        "Inf": np.inf, "Infinity": np.inf, "infty": np.inf, "PINF": np.inf, "NINF": -np.inf, "NaN": np.nan,
        "NAN": np.nan, "product": np.prod, "cumproduct": np.cumprod, "alltrue": np.all, "sometrue": np.any,
        "round_": np.round, "row_stack": np.vstack, "asscalar": lambda a: a.item(),
    },
    "collections": {name: getattr(collections.abc, name) for name in collections.abc.__all__},
    "time": {"clock": time.perf_counter},
    "fractions": {"gcd": math.gcd},
}  # fmt: skip

# Modules that have another name today.
_MOVED = {
    "sklearn.cross_validation": "sklearn.model_selection",
    "sklearn.grid_search": "sklearn.model_selection",
    "sklearn.externals.joblib": "joblib",
}
_METHODS = {"pandas": {"DataFrame": {"as_matrix": "to_numpy"}, "Series": {"as_matrix": "to_numpy"}}}


def give_libraries_their_old_names() -> None:
    """Gives Python and libraries, in this process, the names of when the programs were written; present names stay.

    ``np.array`` and ``np.asarray`` make an array of objects of rows of unequal lengths, as before NumPy 1.24.
    """
    for place, names in _NAMES.items():
        module = importlib.import_module(place)
        for name, value in names.items():
            if name not in module.__dict__:
                setattr(module, name, value)
    for name in ("array", "asarray"):
        function = getattr(np, name)
        if not hasattr(function, "__wrapped__"):
            setattr(np, name, _of_unequal_rows(function))
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())  # the last: only for what nothing else finds
        sys.meta_path.insert(0, _Watcher())


def _of_unequal_rows(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def array(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except ValueError as error:
            if "inhomogeneous" not in str(error) or len(args) != 1 or options.get("dtype") is not None:
                raise
            return function(*args, **{**options, "dtype": object})

    return array


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules that have another name today."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname in _MOVED or any(name.startswith(f"{fullname}.") for name in _MOVED):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname not in _MOVED)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return ModuleType(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ in _MOVED:
            module.__dict__.update(importlib.import_module(_MOVED[module.__name__]).__dict__)


class _Watcher(importlib.abc.MetaPathFinder):
    """Gives a library's classes their old methods when the program imports it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _METHODS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                for place, methods in _METHODS[fullname].items():
                    kind = getattr(module, place)
                    for old, name in methods.items():
                        if not hasattr(kind, old):
                            setattr(kind, old, getattr(kind, name))

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


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
