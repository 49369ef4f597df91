"""Small TOML files with the digest of their content in the first line."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from holdfast.errors import RunError
from holdfast.files.container import replace_file

_SEAL = "# SHA-256 of what follows: {}\n"


def write_sealed(path: Path, table: Mapping[str, Any]) -> None:
    """Writes a table, atomically; an existing file is replaced.

    Args:
        path: The file.
        table: TOML values, and None for what is not set.

    Raises:
        RunError: The file cannot be written.
    """
    try:
        text = tomli_w.dumps(set_values(table)).encode()
    except UnicodeEncodeError as error:
        raise RunError(
            f"{path} cannot be written: {error.object[error.start : error.end]!r} is no character of UTF-8. Rename the "
            "file that has it in its name, or name its folder."
        ) from error
    try:
        replace_file(path, _SEAL.format(hashlib.sha256(text).hexdigest()).encode(), text)
    except OSError as error:
        raise RunError(
            f"{path} cannot be written: {error.strerror}. Make room there or choose another --out."
        ) from error


def read_sealed(path: Path) -> dict[str, Any]:
    """Reads a file of :func:`write_sealed`. Files of older versions, without the first line, are read too.

    Raises:
        RunError: The file cannot be read, was changed, or is not TOML.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}. Restore it, or choose another --out.") from error
    first, _, text = content.partition(b"\n")
    if not first.startswith(b"#"):
        text = content
    elif first + b"\n" != _SEAL.format(hashlib.sha256(text).hexdigest()).encode():
        raise RunError(
            f"{path} was changed: its content does not match the SHA-256 in its first line. Restore it; if you "
            "changed it yourself, delete that line."
        )
    try:
        return tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is not TOML: {error}. Restore it, or choose another --out.") from error


def set_values(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table without the values that are not set, because TOML has no null."""
    return {
        key: set_values(value) if isinstance(value, Mapping) else value
        for key, value in table.items()
        if value is not None
    }
