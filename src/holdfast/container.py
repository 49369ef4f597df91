"""The file that everything is stored in: tensors in the safetensors format, and a JSON document in its header.

Opening such a file reads numbers and text and nothing else, so it can never run code. A write either happens
completely or leaves the file that was there before. No torch is needed: tensors are whatever safetensors makes of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from holdfast.errors import ModelFileError

FORMAT_VERSION = 1
MAX_HEADER_BYTES = 2**20
"""The largest header that is written or read: half a second of parsing at worst. What a file claims beyond it is not
believed."""

_NUMPY_HAS = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "F32", "F64", "C64"}
_VERSION, _KIND, _DOCUMENT = "holdfast_format", "holdfast_kind", "holdfast_document"


MODEL_NAME = "model.safetensors"
"""The model's name in the folder of a run."""


def write(
    path: Path,
    save: Callable[[dict[str, Any], dict[str, str]], bytes],
    tensors: dict[str, Any],
    document: Mapping[str, Any],
    kind: str,
) -> None:
    """Writes tensors and a document to one file, atomically and durably.

    Args:
        path: The file; one that is there is replaced.
        save: safetensors' ``save`` for this sort of tensors.
        tensors: By name; each in memory of its own.
        document: What JSON can hold, without NaN and infinities.
        kind: What the file is, such as ``"model"``; ``read`` asks for the same word.

    Raises:
        ModelFileError: The file cannot be written, or the document is too large.
    """
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    data = save(tensors, {_VERSION: str(FORMAT_VERSION), _KIND: kind, _DOCUMENT: text})
    header = int.from_bytes(data[:8], "little")
    if header > MAX_HEADER_BYTES:
        raise ModelFileError(
            f"{path} would have a header of {header:,} bytes; at most {MAX_HEADER_BYTES:,} are read back. "
            "Keep large lists in tensors, not in the document."
        )
    try:
        replace_file(path, data)
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be written: {error.strerror}. Make room there or choose another folder."
        ) from error


def replace_file(path: Path, data: bytes) -> None:
    """Puts ``data`` in the place of a file: whoever opens it sees the old content or the new, even after a power cut.

    Args:
        path: The file; its folder must be there.
        data: The new content.

    Raises:
        OSError: The folder cannot be written to; the old file is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # makes the new name durable, too
    finally:
        os.close(folder)


def model_path(path: Path) -> Path:
    """The model file at ``path``, or in it when it is a folder, such as that of a run.

    Raises:
        ModelFileError: The folder has none.
    """
    if not path.is_dir():
        return path
    inside = path / MODEL_NAME
    if not inside.exists():
        raise ModelFileError(
            f"{path} holds no {MODEL_NAME}: the run there has not come to its end. "
            "Finish it by `holdfast train ... --resume`, or give another one."
        )
    return inside


def read(path: Path, kind: str, framework: Literal["pt", "np"]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Opens a file that ``write`` made.

    Args:
        path: The file.
        kind: What it must be, such as ``"model"``.
        framework: Whether the tensors are read as torch's or as NumPy arrays.

    Returns:
        The tensors by name, on the CPU, and the document.

    Raises:
        ModelFileError: The file is not there, truncated, not of this format, of another kind or a newer version.
    """
    _check_size(path)
    try:
        with safe_open(path, framework=framework, device="cpu") as file:
            document = _document(path, file.metadata() or {}, kind)
            names = file.keys()
            if framework == "np":
                _check_numbers(path, {file.get_slice(name).get_dtype() for name in names})
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(f"{path} is truncated or damaged ({reason}). Take another copy of it.") from error
    return tensors, document


def kind_of(path: Path) -> str:
    """What a file says to be, such as ``"model"``; empty for a safetensors file that Holdfast did not write.

    Raises:
        ModelFileError: The file is not there, truncated, or not of this format.
    """
    _check_size(path)
    try:
        with safe_open(path, framework="np", device="cpu") as file:
            return str((file.metadata() or {}).get(_KIND, ""))
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(f"{path} is truncated or damaged ({reason}). Take another copy of it.") from error


def _check_numbers(path: Path, dtypes: set[str]) -> None:
    """Refuses dtypes that NumPy has not, and those that another library has taught it, which nothing here computes."""
    if lacking := dtypes - _NUMPY_HAS:
        raise ModelFileError(
            f"{path} holds numbers that NumPy has not ({', '.join(sorted(lacking))}): open it with torch."
        )


def _check_size(path: Path) -> None:
    """Refuses what cannot be opened, and a header that is longer than the file or than any that is written."""
    try:
        with path.open("rb") as handle:
            start = handle.read(9)
            size = handle.seek(0, os.SEEK_END)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} is not there. Check the path, or train a model first.") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}.") from error
    header = int.from_bytes(start[:8], "little")
    if len(start) < 9:
        raise ModelFileError(f"{path} is truncated: it has {size} bytes. Take another copy of it.")
    if start[8:] != b"{" or header > MAX_HEADER_BYTES:
        raise ModelFileError(
            f"{path} is not a safetensors file, or its first bytes are damaged; expected one that Holdfast wrote."
        )
    if 8 + header > size:
        raise ModelFileError(
            f"{path} is truncated: it has {size} bytes, its header alone takes {8 + header}. Take another copy of it."
        )


def _document(path: Path, metadata: Mapping[str, str], kind: str) -> dict[str, Any]:
    """Checks version and kind and parses the document, all of it text from a file that may hold anything."""
    version, found = metadata.get(_VERSION, ""), metadata.get(_KIND, "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise ModelFileError(f"{path} is a safetensors file, but not one that Holdfast wrote; expected a {kind}.")
    if int(version) > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {version}; this Holdfast reads up to {FORMAT_VERSION}: upgrade holdfast."
        )
    if found != kind:
        raise ModelFileError(f"{path} is a {found[:40]}; expected a {kind}. Give the path of the {kind}.")
    try:
        document = json.loads(metadata.get(_DOCUMENT, ""), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is damaged: its document is not JSON. Take another copy of it.") from error
    if not isinstance(document, dict):
        raise ModelFileError(f"{path} is damaged: its document is not a JSON object. Take another copy of it.")
    return document


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
