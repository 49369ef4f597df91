"""The zip of a ``.keras`` file, read with distrust: three entries are opened, and nothing is unpacked to a disk."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath

from holdfast.errors import ModelFileError
from holdfast.interop.keras.hdf5 import MAX_TEXT_BYTES

CONFIGURATION, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_MOST_PACKED = 20
"""How many times as large as it lies in the file an entry may be; numbers do not pack better, and Keras packs none."""
_ENTRIES = 10_000


def read(path: Path) -> dict[str, bytes]:
    """The configuration, the metadata and the weights.

    Raises:
        ModelFileError: The file is not there, is no zip, is damaged, lacks one of them, or claims too much.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            for name in names:
                if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name.replace("\\", "/")).parts:
                    raise ModelFileError(
                        f"{path} has an entry {name[:80]!r}, which leads out of it: Keras wrote no such file."
                    )
            if len(entries) > _ENTRIES:
                raise ModelFileError(f"{path} has {len(entries):,} entries; a file of Keras has a few.")
            return {wanted: _content(path, archive, entries, wanted) for wanted in (CONFIGURATION, METADATA, WEIGHTS)}
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} is not there. Check the path.") from error
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, ModelFileError):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelFileError(
            f"{path} is truncated or damaged, or no zip ({reason}). Take another copy of it."
        ) from error


def _content(path: Path, archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], wanted: str) -> bytes:
    found = [entry for entry in entries if entry.filename == wanted]
    if len(found) != 1:
        raise ModelFileError(
            f"{path} has {len(found)} entries {wanted!r}; expected one: a .keras file is a zip of {CONFIGURATION}, "
            f"{METADATA} and {WEIGHTS}."
        )
    (entry,) = found
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 1:
        raise ModelFileError(f"{path}: its entry {wanted!r} is encrypted or packed in a way that Keras does not use.")
    room = path.stat().st_size
    if entry.compress_size > room or entry.file_size > _MOST_PACKED * max(entry.compress_size, 1024):
        raise ModelFileError(
            f"{path}: its entry {wanted!r} claims to unpack from {entry.compress_size:,} to {entry.file_size:,} bytes. "
            "Take another copy of it."
        )
    if wanted != WEIGHTS and entry.file_size > MAX_TEXT_BYTES:
        raise ModelFileError(
            f"{path}: its entry {wanted!r} has {entry.file_size:,} bytes; at most {MAX_TEXT_BYTES:,} are read."
        )
    return archive.read(entry)
