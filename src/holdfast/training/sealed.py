"""Small TOML files that say in their first line what their content was when they were written."""

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
    """Writes a table, atomically; a file that is there is replaced.

    Args:
        path: The file.
        table: What TOML can hold, and None for what is unset.

    Raises:
        RunError: The file cannot be written.
    """
    text = tomli_w.dumps(_set_values(table)).encode()
    try:
        replace_file(path, _SEAL.format(hashlib.sha256(text).hexdigest()).encode(), text)
    except OSError as error:
        raise RunError(
            f"{path} cannot be written: {error.strerror}. Make room there or choose another --out."
        ) from error


def read_sealed(path: Path) -> dict[str, Any]:
    """The table in a file of :func:`write_sealed`. A file without such a first line, of an older Holdfast, is read too.

    Raises:
        RunError: The file cannot be read, is not as it was written, or is not TOML.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}. Put it back, or choose another --out.") from error
    first, _, text = content.partition(b"\n")
    if not first.startswith(b"#"):
        text = content
    elif first + b"\n" != _SEAL.format(hashlib.sha256(text).hexdigest()).encode():
        raise RunError(
            f"{path} is not as it was written: its content does not have the SHA-256 in its first line. Put it back; "
            "if you changed it yourself, delete that line."
        )
    try:
        return tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is not TOML: {error}. Put it back as it was, or choose another --out.") from error


def _set_values(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table without its unset values, for which TOML has no word."""
    return {
        key: _set_values(value) if isinstance(value, Mapping) else value
        for key, value in table.items()
        if value is not None
    }
