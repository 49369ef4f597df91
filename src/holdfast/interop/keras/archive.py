"""Reads the zip of a ``.keras`` file with checks: it opens three entries and unpacks nothing to a disk."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from holdfast.errors import ModelFileError
from holdfast.interop.keras.hdf5 import MAX_TEXT_BYTES

CONFIGURATION, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_MAX_RATIO = 20
"""The largest ratio of an entry's size to its packed size. Numbers do not compress more, and Keras compresses none."""
_MAX_ENTRIES = 10_000


def read_archive(path: Path) -> dict[str, bytes]:
    """The configuration, the metadata and the weights.

    Raises:
        ModelFileError: The file does not exist, is not a zip, is damaged, lacks one of them, or claims a too large
            size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            for name in names:
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name.replace("\\", "/")).parts:
                    raise ModelFileError(
                        f"{path} has an entry {name[:80]!r}, which leads out of it: Keras does not write such files."
                    )
            if len(entries) > _MAX_ENTRIES:
                raise ModelFileError(f"{path} has {len(entries):,} entries; a .keras file has a few.")
            return {name: _content(path, archive, entries, name) for name in (CONFIGURATION, METADATA, WEIGHTS)}
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} is not there. Check the path.") from error
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, ModelFileError):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelFileError(
            f"{path} is truncated or damaged, or not a zip ({reason}). Take another copy of it."
        ) from error


def _content(path: Path, archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], name: str) -> bytes:
    matches = [entry for entry in entries if entry.filename == name]
    if len(matches) != 1:
        raise ModelFileError(
            f"{path} has {len(matches)} entries {name!r}; expected one: a .keras file is a zip of {CONFIGURATION}, "
            f"{METADATA} and {WEIGHTS}."
        )
    (entry,) = matches
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 1:
        raise ModelFileError(
            f"{path}: its entry {name!r} is encrypted, or compressed in a way that Keras does not use."
        )
    room = path.stat().st_size
    if entry.compress_size > room or entry.file_size > _MAX_RATIO * max(entry.compress_size, 1024):
        raise ModelFileError(
            f"{path}: its entry {name!r} claims to unpack from {entry.compress_size:,} to {entry.file_size:,} bytes. "
            "Take another copy of it."
        )
    if name != WEIGHTS and entry.file_size > MAX_TEXT_BYTES:
        raise ModelFileError(
            f"{path}: its entry {name!r} has {entry.file_size:,} bytes; at most {MAX_TEXT_BYTES:,} are read."
        )
    return archive.read(entry)
