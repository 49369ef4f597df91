"""What lies in a folder or in a zip archive, by the same names for both; read only when asked for."""

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

# What the library ends in for a damaged archive: its own errors and those of unpacking; for a damaged list of members
# also those of names and places that cannot be; RuntimeError for what is encrypted, or packed in an unknown way.
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
        path: Where it is; for messages, where it is in an archive.
        place: Its path within the folder or the archive.
        content: Reads its bytes, uncompressed; a ``DataError`` where they are damaged.
    """

    path: Path
    place: PurePosixPath
    content: Callable[[], bytes]

    @property
    def suffix(self) -> str:
        """The ending in small letters, ``.gz`` left out."""
        return PurePosixPath(self.place.name.lower().removesuffix(".gz")).suffix

    @property
    def stem(self) -> str:
        """The name before the ending."""
        return PurePosixPath(self.place.name.removesuffix(".gz")).stem


def listed(path: Path) -> list[Listed]:
    """The files of a folder or a ``.zip`` archive, by name; of any other file, the file itself.

    Hidden files are passed over. A folder that holds all there is in an archive is not part of the places in it.

    Raises:
        DataError: The archive is damaged.
    """
    if path.suffix.lower() == ".zip" and path.is_file():
        return _archived(path)
    if not path.is_dir():
        return [Listed(path, PurePosixPath(path.name), _reader(path))]
    files = sorted(file for file in path.rglob("*") if file.is_file())
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
        raise DataError(f"{path} is no zip archive, or a damaged one ({error}). Copy or download it again.") from error
    if sum(member.compress_size for member in archive.infolist()) > path.stat().st_size:
        raise DataError(f"{path} is a damaged zip archive: its members claim more bytes than it has. Copy it again.")
    members = sorted(
        member.filename for member in archive.infolist() if PurePosixPath(member.filename).name and not member.is_dir()
    )
    names = [name for name in members if not name.endswith(".gz") and not _hidden(PurePosixPath(name))]
    places = [PurePosixPath(name) for name in names]
    around = len({place.parts[0] for place in places}) == 1 and all(len(place.parts) > 1 for place in places)
    inner = [PurePosixPath(*place.parts[1:]) if around else place for place in places]
    return [Listed(path / n, place, _member(archive, path, n)) for n, place in zip(names, inner, strict=True)]


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> Callable[[], bytes]:
    def content() -> bytes:
        member = archive.getinfo(name)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{path}: {name} in it is packed in an unusual way; expected deflate, as zip programs do.")
        check_ratio(f"{path}: {name}", member.compress_size, member.file_size)
        try:
            return archive.read(name)
        except _ZIP_FAULTS as error:
            raise DataError(f"{path} cannot be unpacked: {name} in it is damaged or locked ({error}).") from error

    return content
