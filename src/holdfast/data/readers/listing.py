"""The files in a folder or in a zip archive, by the same names for both; each is read only when needed."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from holdfast.data.readers.compressed import check_ratio, opened
from holdfast.errors import DataError
from holdfast.files.inside import files_inside

# The errors of the library for a damaged archive: its own errors and errors of unpacking; for a damaged list of members
# also errors of impossible names and places; RuntimeError for encrypted members and unknown ways of packing.
_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    OverflowError,
    RuntimeError,
)


@dataclass(frozen=True)
class Listed:
    """A file in a folder or an archive.

    Attributes:
        path: The path of the file; for a member of an archive, a path for messages.
        place: The path within the folder or the archive.
        content: Reads the bytes, uncompressed; raises ``DataError`` if they are damaged.
    """

    path: Path
    place: PurePosixPath
    content: Callable[[], bytes]

    @property
    def suffix(self) -> str:
        """The ending in lower case, without ``.gz``."""
        return PurePosixPath(self.place.name.lower().removesuffix(".gz")).suffix

    @property
    def stem(self) -> str:
        """The name before the ending."""
        return PurePosixPath(self.place.name.removesuffix(".gz")).stem


def listed(path: Path) -> list[Listed]:
    """The files of a folder or a ``.zip`` archive, by name; for any other file, the file itself.

    Hidden files are skipped. A folder around everything in an archive is left out of the places.

    Raises:
        DataError: The archive is damaged.
    """
    if path.suffix.lower() == ".zip" and path.is_file():
        return _archived(path)
    if not path.is_dir():
        return [Listed(path, PurePosixPath(path.name), _reader(path))]
    files = files_inside(path)
    places = [PurePosixPath(file.relative_to(path).as_posix()) for file in files]
    return [Listed(f, place, _reader(f)) for f, place in zip(files, places, strict=True) if not _hidden(place)]


def _hidden(place: PurePosixPath) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in place.parts)


def _reader(path: Path) -> Callable[[], bytes]:
    def content() -> bytes:
        with opened(path) as file:
            return file.read()

    return content


def _archived(path: Path) -> list[Listed]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    except _ZIP_FAULTS as error:
        raise DataError(
            f"{path} is not a zip archive, or a damaged one ({error}). Copy or download it again."
        ) from error
    if sum(member.compress_size for member in archive.infolist()) > path.stat().st_size:
        raise DataError(
            f"{path} is a damaged zip archive: its members claim more bytes than the file has. Copy it again."
        )
    members = sorted(
        member.filename for member in archive.infolist() if PurePosixPath(member.filename).name and not member.is_dir()
    )
    names = [name for name in members if not name.endswith(".gz") and not _hidden(PurePosixPath(name))]
    places = [PurePosixPath(name) for name in names]
    common_folder = len({place.parts[0] for place in places}) == 1 and all(len(place.parts) > 1 for place in places)
    inner = [PurePosixPath(*place.parts[1:]) if common_folder else place for place in places]
    return [Listed(path / n, place, _member(archive, path, n)) for n, place in zip(names, inner, strict=True)]


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> Callable[[], bytes]:
    def content() -> bytes:
        member = archive.getinfo(name)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{path}: {name} in it is packed in an unusual way; expected deflate, the usual way.")
        check_ratio(f"{path}: {name}", member.compress_size, member.file_size)
        try:
            return archive.read(name)
        except _ZIP_FAULTS as error:
            raise DataError(f"{path} cannot be unpacked: {name} in it is damaged or locked ({error}).") from error

    return content
