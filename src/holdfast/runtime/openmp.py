"""One OpenMP runtime per process: the kernels use torch's where torch is installed.

On Linux the kernels are not linked with an OpenMP runtime. They take the one that :func:`prepare` makes visible before
Python loads them, under whatever file name it has: that of torch, whether torch is imported before, later or never;
else the copy that a wheel has beside the kernels; else the system's.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

NAME = "libgomp.so.1"
"""The name of GCC's OpenMP runtime."""


def of_torch() -> Path | None:
    """The OpenMP runtime that torch has in its own folders; None where it has none. Torch is not imported."""
    try:
        spec = find_spec("torch")
    except ValueError:  # a program made a module "torch" of its own, without a spec
        return None
    places = (spec.submodule_search_locations if spec is not None else None) or ()
    folders = [folder for place in places for folder in (Path(place, "lib"), Path(place).with_name("torch.libs"))]
    return next((library for folder in folders for library in sorted(folder.glob("libgomp*.so*"))), None)


def prepare() -> None:
    """Makes an OpenMP runtime visible to the kernels, so that they can be loaded; for Linux alone.

    Where there is none, the import of the kernels fails, and its message names a function that is missing.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):  # not loaded yet
        ctypes.CDLL(NAME, os.RTLD_GLOBAL | os.RTLD_NOLOAD)
        return
    for library in _candidates():
        with contextlib.suppress(OSError):  # it is not there, or of another processor
            ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
            return


def _candidates() -> Iterator[Path | str]:
    """The libraries to try, the best first; the last one is a name that the system looks for."""
    library = of_torch()
    if library is not None:
        yield library
    yield Path(__file__).with_name(NAME)
    yield NAME
