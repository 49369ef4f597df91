"""The file format for everything that is stored: tensors in the safetensors format, and a JSON document in its header.

Opening a file reads only numbers and text, so it can never run code. A write is either complete or leaves the old file
unchanged. A digest of the whole file is verified before any of it is used, so that a changed bit is an error and not
another number. Torch is not needed: safetensors makes the tensors.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from holdfast.errors import HoldfastWarning, ModelFileError
from holdfast.files.pointers import refuse_pointers

FORMAT_VERSION = 3
"""Since version 3 the document of a model holds its chain; since version 2 a file has a digest. All are still read."""
_WITHOUT_DIGEST = 1
MAX_HEADER_BYTES = 2**20
"""The largest header that is written or read; parsing it takes at most half a second."""

_NUMPY_DTYPES = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "F32", "F64", "C64"}
_VERSION, _DIGEST = "holdfast_format", "holdfast_digest"
_KIND, _DOCUMENT = "holdfast_kind", "holdfast_document"


def _start(version: int) -> bytes:
    """The start of the header of a file.

    The digest follows: SHA-256, in 64 hexadecimal digits, of the whole file without these digits.
    """
    return json.dumps({"__metadata__": {_VERSION: str(version), _DIGEST: ""}}, separators=(",", ":"))[:-3].encode()


_START = _start(FORMAT_VERSION)
_DIGITS = 64
_PIECE = 2**20

MODEL_NAME = "model.safetensors"
"""The name of the model in the folder of a run."""


def write(
    path: Path,
    save: Callable[[dict[str, Any]], bytes],
    tensors: dict[str, Any],
    document: Mapping[str, Any],
    kind: str,
) -> None:
    """Writes tensors and a document to one file, atomically and durably.

    Args:
        path: The file; an existing one is replaced.
        save: The function ``save`` of safetensors for this kind of tensors.
        tensors: By name; each in its own memory.
        document: A document that JSON can hold, without NaN and infinities.
        kind: The kind of file, such as ``"model"``; ``read`` takes the same word.

    Raises:
        ModelFileError: The file cannot be written, or the document is too large.
    """
    head, data = sealed(save(tensors), metadata(document, kind))
    if len(head) - 8 > MAX_HEADER_BYTES:
        raise ModelFileError(
            f"{path} would have a header of {len(head) - 8:,} bytes; at most {MAX_HEADER_BYTES:,} are read back. "
            "Keep large lists in tensors, not in the document."
        )
    try:
        replace_file(path, head, data)
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be written: {error.strerror}. Make room there or choose another folder."
        ) from error


def metadata(document: Mapping[str, Any], kind: str) -> dict[str, str]:
    """The entries of a header for a document and the kind of the file."""
    return {_KIND: kind, _DOCUMENT: json.dumps(document, allow_nan=False, separators=(",", ":"))}


def sealed(file: bytes, entries: Mapping[str, str]) -> tuple[bytes, memoryview]:
    """A safetensors file with metadata, always in the same order, and its digest.

    Args:
        file: As safetensors made it, without metadata.
        entries: The entries after the version and the digest; :func:`metadata` makes them.

    Returns:
        The beginning of the new file, up to the tensors, and the tensors.
    """
    end = 8 + int.from_bytes(file[:8], "little")
    header = {"__metadata__": {_VERSION: str(FORMAT_VERSION), _DIGEST: "", **entries}, **json.loads(file[8:end])}
    rest = json.dumps(header, separators=(",", ":")).encode()[len(_START) :]
    rest += b" " * (-(len(_START) + _DIGITS + len(rest)) % 8)  # the tensors begin at a multiple of 8
    size = (len(_START) + _DIGITS + len(rest)).to_bytes(8, "little")
    tensors = memoryview(file)[end:]
    digest = hashlib.sha256(size + _START + rest)
    digest.update(tensors)
    return size + _START + digest.hexdigest().encode() + rest, tensors


def replace_file(path: Path, *data: bytes | memoryview) -> None:
    """Replaces the content of a file: a reader sees the old or the new content, even after a power cut.

    Args:
        path: The file; its folder must be there.
        data: The new content, in one or more parts.

    Raises:
        OSError: The folder cannot be written to; the old file is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            handle.writelines(data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name != "posix":  # Windows opens no folders; the name is in its journal
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # makes the new name durable, too
    finally:
        os.close(folder)


def model_path(path: Path) -> Path:
    """The model file at ``path``, or in it if it is a folder, such as the folder of a run.

    Raises:
        ModelFileError: The folder does not have one.
    """
    if not path.is_dir():
        return path
    inside = path / MODEL_NAME
    if not inside.exists():
        raise ModelFileError(
            f"{path} holds no {MODEL_NAME}: it is not the folder of a finished run. Finish a run by "
            "`holdfast train ... --resume`, or give a model file or another folder."
        )
    return inside


def read(path: Path, kind: str, framework: Literal["pt", "np"]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Opens a file that ``write`` wrote.

    Args:
        path: The file.
        kind: The kind that it must have, such as ``"model"``.
        framework: Read the tensors as tensors of torch or as NumPy arrays.

    Returns:
        The tensors by name, on the CPU, and the document.

    Raises:
        ModelFileError: The file is not there, truncated, changed since it was written, not of this format, of another
            kind or a newer version.
    """
    _check_size(path)
    try:
        with safe_open(path, framework=framework, device="cpu") as file:
            metadata = file.metadata() or {}
            _check_content(path, metadata)
            document = parse_document(path, metadata, kind)
            names = file.keys()
            if framework == "np":
                _check_numbers(path, {file.get_slice(name).get_dtype() for name in names})
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(f"{path} is truncated or damaged ({reason}). Take another copy of it.") from error
    return tensors, document


def kind_of(path: Path) -> str:
    """The kind in the header of a file, such as ``"model"``; empty for a safetensors file that Holdfast did not write.

    Raises:
        ModelFileError: The file does not exist, is truncated, or is not of this format.
    """
    _check_size(path)
    try:
        with safe_open(path, framework="np", device="cpu") as file:
            return str((file.metadata() or {}).get(_KIND, ""))
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ModelFileError(f"{path} is truncated or damaged ({reason}). Take another copy of it.") from error


def _check_numbers(path: Path, dtypes: set[str]) -> None:
    """Refuses dtypes that NumPy does not have, also those that another library adds to it: nothing here uses them."""
    if unknown := dtypes - _NUMPY_DTYPES:
        raise ModelFileError(
            f"{path} holds numbers that NumPy does not have ({', '.join(sorted(unknown))}): open it with torch."
        )


def _check_size(path: Path) -> None:
    """Refuses a file that cannot be opened, and a header that is longer than the file or than the largest header."""
    refuse_pointers([path] if path.is_file() else [], ModelFileError)
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


def _check_content(path: Path, metadata: Mapping[str, str]) -> None:
    """Refuses a file of other software or a newer version, and a file that has changed since it was written."""
    version = metadata.get(_VERSION, "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise ModelFileError(f"{path} is a safetensors file, but not one that Holdfast wrote.")
    if int(version) > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {version}; this Holdfast reads up to {FORMAT_VERSION}: upgrade holdfast."
        )
    if version == str(_WITHOUT_DIGEST) and _DIGEST not in metadata:
        warnings.warn(
            f"{path} has no digest: an older Holdfast wrote it, and damage to its numbers cannot be detected. "
            "Write it again to give it one.",
            HoldfastWarning,
            stacklevel=4,
        )
    elif not _matches_digest(path, _start(int(version))):
        raise ModelFileError(f"{path} is damaged: its content does not match its digest. Take another copy of it.")


def _matches_digest(path: Path, expected_start: bytes) -> bool:
    """Whether the whole file has the digest in its header.

    Args:
        path: The file.
        expected_start: The start of the header of a file of its version.
    """
    piece = memoryview(bytearray(_PIECE))
    with path.open("rb") as handle:
        start, digits = handle.read(8 + len(expected_start)), handle.read(_DIGITS)
        digest = hashlib.sha256(start)
        while size := handle.readinto(piece):
            digest.update(piece[:size])
    return start[8:] == expected_start and digits == digest.hexdigest().encode()


def parse_document(path: object, metadata: Mapping[str, str], kind: str) -> dict[str, Any]:
    """Checks the kind and parses the document; the file may hold any text."""
    actual = metadata.get(_KIND, "")
    if actual != kind:
        raise ModelFileError(f"{path} is a {actual[:40]}; expected a {kind}. Give the path of the {kind}.")
    try:
        document = json.loads(metadata.get(_DOCUMENT, ""), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is damaged: its document is not JSON. Take another copy of it.") from error
    if not isinstance(document, dict):
        raise ModelFileError(f"{path} is damaged: its document is not a JSON object. Take another copy of it.")
    return document


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
