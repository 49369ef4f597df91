"""NPZ files: several NumPy arrays in one zip file, as ``numpy.savez`` writes them."""

from __future__ import annotations

import math
import sys
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from holdfast.data.examples import Array, Examples
from holdfast.data.readers.compressed import LARGE_ARRAY, MOST_DEFLATE, check_ratio
from holdfast.errors import DataError
from holdfast.recipes.classify import ClassifyData


def read(path: Path, settings: ClassifyData) -> Examples:
    """Read the arrays ``inputs``, ``lengths`` and ``labels``; nothing is ever unpickled.

    Args:
        path: The file: ``inputs`` [N, T, C] or [N, T] (one channel); optionally ``lengths`` [N], steps of each
            sequence (what lies past them is padding and is left out); optionally ``labels`` [N], integers or text.
        settings: Not used; every reader has this argument.

    Raises:
        DataError: The file is damaged, ``inputs`` is missing, or an array has a wrong shape or type.
    """
    arrays = _arrays(path)
    inputs = arrays.get("inputs")
    if inputs is None:
        found = ", ".join(sorted(arrays)) or "none of them"
        raise DataError(
            f"{path} has no array 'inputs'; expected inputs [N, T, C], lengths [N], labels [N]; got {found}."
        )
    if inputs.ndim == 2:
        inputs = inputs[:, :, None]
    if inputs.ndim != 3 or 0 in inputs.shape:
        raise DataError(f"{path}: inputs has shape {inputs.shape}; expected [N, T, C] or [N, T], none of them 0.")
    labels = _column(path, arrays, "labels", len(inputs), "iubUS")
    lengths = _column(path, arrays, "lengths", len(inputs), "iu")
    sequences: Array | list[Array] = inputs
    if lengths is not None:
        outside = (lengths < 1) | (lengths > inputs.shape[1])
        if outside.any():
            odd = int(outside.argmax())
            raise DataError(
                f"{path}: lengths[{odd}] is {lengths[odd]}; expected 1 to {inputs.shape[1]}, the steps of inputs."
            )
        sequences = [row[:length] for row, length in zip(inputs, lengths, strict=True)]
    names = None if labels is None else [_text(value) for value in labels.tolist()]
    return Examples(sequences, names, [f"{path}[{index}]" for index in range(len(inputs))])


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _column(path: Path, arrays: dict[str, Array], name: str, count: int, kinds: str) -> Array | None:
    """An optional array [N] of one of some kinds of dtype."""
    array = arrays.get(name)
    if array is None:
        return None
    if array.shape != (count,) or array.dtype.kind not in kinds:
        expected = "integers" if kinds == "iu" else "integers or text"
        raise DataError(
            f"{path}: {name} has shape {array.shape} and type {array.dtype}; expected {expected} of shape ({count},), "
            "one for each row of inputs."
        )
    return array


def _arrays(path: Path) -> dict[str, Array]:
    """Every array in the file, after each header was found to agree with the bytes that are there."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _check_member(path, archive, member)
        with np.load(path, allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
        for array in arrays.values():
            if array.dtype.kind == "U" and array.size and array.view(array.dtype.str[0] + "u4").max() > sys.maxunicode:
                raise ValueError("a text has a letter that Unicode does not have")
        return arrays
    except DataError:
        raise
    # RuntimeError: encrypted, packed in an unknown way, or nested too deep. TokenError, TypeError: numpy reads a header
    # as Python and trusts what it finds.
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        TypeError,
        OSError,
        RuntimeError,
        TokenError,
    ) as error:
        raise DataError(f"{path} cannot be read as an NPZ file: it is cut short or damaged ({error}).") from error


def _check_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Check one array's header against the size that the zip file can really give it."""
    name = member.filename
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or not name.endswith(".npy"):
        raise DataError(f"{path} holds {name}, which numpy.savez does not write; expected arrays saved by it.")
    factor = MOST_DEFLATE if member.compress_type == zipfile.ZIP_DEFLATED else 1
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
        start = file.tell()
    check_ratio(f"{path}: {name}", member.compress_size, member.file_size, LARGE_ARRAY)
    if dtype.hasobject:
        raise DataError(f"{path}: {name} holds Python objects, which are never loaded; expected numbers or text.")
    size = start + math.prod(shape) * dtype.itemsize
    if size != member.file_size or size > factor * min(member.compress_size, path.stat().st_size):
        raise DataError(f"{path} is damaged: the header of {name} tells of shape {shape}, which is not what is there.")
