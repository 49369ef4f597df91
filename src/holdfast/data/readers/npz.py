"""NPZ files: several NumPy arrays in one zip file, as ``numpy.savez`` writes them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import numpy as np

from holdfast.data.examples import Array, Examples
from holdfast.data.readers import arrays
from holdfast.data.readers.compressed import LARGE_ARRAY, MOST_DEFLATE, check_ratio
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets
from holdfast.errors import DataError

Part = Literal["train", "test"]
_ROLES = {"inputs": arrays.INPUTS, "labels": arrays.LABELS, "lengths": ("lengths",)}


def read(path: Path, settings: ReadingSettings, part: Part = "test", targets: Targets = "labels") -> Examples:
    """Reads the arrays ``inputs``, ``lengths`` and ``labels``, or those of their other usual names.

    Nothing is ever unpickled, and no other array of the file is read.

    Args:
        path: The file: ``inputs`` (or ``X``, ``x``, ``data``, ...) [N, T, C] or [N, T] (one channel); optionally
            ``lengths`` [N], steps of each sequence (what lies past them is padding and is left out); optionally
            ``labels`` (or ``y``, ``targets``, ...) [N], integers or text, or numbers as in ``.npy`` files. The
            names may have ``_train`` and ``_test``
            after them, or ``train_`` and ``test_`` before.
        settings: ``missing`` is used.
        part: Which to read of a file that has both.
        targets: What the task learns.

    Raises:
        DataError: The file is damaged, there are no inputs, two arrays have the same role, or one has a wrong shape or
            type.
    """
    return arrays.examples(str(path), _arrays(path, part), targets, gaps=settings.missing != "error")


def has_both_parts(path: Path) -> bool:
    """Whether a file has training inputs and test inputs.

    Raises:
        DataError: The file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = _names(archive)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _damaged(path, error) from error
    return not names.keys() & set(arrays.INPUTS) and all(_has(names, part) for part in arrays.PARTS)


def _arrays(path: Path, part: Part) -> dict[str, Array]:
    """The arrays by role, after a check that each header agrees with the size of its array."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = _names(archive)
            chosen = _chosen(path, names, part)
            for name in chosen.values():
                _check_member(path, archive, names[name])
        with np.load(path, allow_pickle=False) as loaded:
            return {role: np.asarray(loaded[name]) for role, name in chosen.items()}
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, RuntimeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} cannot be read as an NPZ file: it is cut short or damaged ({error}).")


def _names(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    return {member.filename.removesuffix(".npy"): member for member in archive.infolist()}


def _has(names: Collection[str], part: str) -> bool:
    return any(name in names for name in arrays.named(arrays.INPUTS, part))


def _chosen(path: Path, names: Collection[str], part: Part) -> dict[str, str]:
    """The name of the array for each role that the file has; inputs always."""
    available = next((name for name in ("", part, *arrays.PARTS) if _has(names, name)), None)
    if available is None:
        raise DataError(
            f"{path} has no array 'inputs'; expected inputs [N, T, C], lengths [N], labels [N], or their other usual "
            f"names, such as X and y; got {', '.join(sorted(names)) or 'none'}."
        )
    chosen: dict[str, str] = {}
    for role, bases in _ROLES.items():
        candidates = [name for name in arrays.named(bases, available) if name in names]
        if len(candidates) > 1:
            raise DataError(
                f"{path} has the arrays {' and '.join(candidates)}, which may both be the {role}; expected one of them."
            )
        if candidates:
            chosen[role] = candidates[0]
    return chosen


def _check_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Checks the header of one array against the size that the zip file can really hold."""
    name = member.filename
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or not name.endswith(".npy"):
        raise DataError(f"{path} holds {name}, which numpy.savez does not write; expected arrays saved by it.")
    factor = MOST_DEFLATE if member.compress_type == zipfile.ZIP_DEFLATED else 1
    check_ratio(f"{path}: {name}", member.compress_size, member.file_size, LARGE_ARRAY)
    with archive.open(member) as file:
        shape, dtype = arrays.header(file, f"{path}: {name}")
        size = file.tell() + arrays.claimed(shape, dtype)
    if size != member.file_size or size > factor * min(member.compress_size, path.stat().st_size):
        raise DataError(f"{path} is damaged: the header of {name} claims shape {shape}, which is not its size.")
