"""Checks that a recording is complete, by the size in its header, before a library decodes it.

The library ``soundfile`` reads WAV, AIFF, AU, MP3 and OGG files that were cut short as shorter recordings. Their
headers say how much there should be:

- WAV, RF64, AIFF and AU have the number of bytes of sound. Programs that write to a pipe do not know it. They write 0
  or a number near 2^31 or 2^32, and the sound then extends to the end of the file, as in SoX, FFmpeg and libsndfile.
- MP3 has the number of bytes of the stream in its first frame (Xing, Info or VBRI). If not, the last frame must be
  complete.
- The last page of an OGG stream is marked as the last (RFC 3533).
- FLAC has the number of samples; :mod:`holdfast.data.readers.audio` compares it with the decoded samples.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from holdfast.data.readers import mpeg_frames
from holdfast.errors import DataError

KINDS = "WAV, FLAC, OGG, MP3, AIFF or AU"
_MOST_CHUNKS = 10_000
_LARGEST_PAGE = 27 + 255 + 255 * 255
_LAST_PAGE = 4


@dataclass(frozen=True)
class SizeField:
    """The size field of a header without a size, and the value that makes a library read to the end of the file.

    Attributes:
        place: The first byte of the field.
        value: The field's new bytes.
    """

    place: int
    value: bytes


def check_whole(path: Path) -> SizeField | None:
    """Checks that a recording is of a known kind and as long as its header claims.

    Returns:
        The size field to change, if the header claims 0 bytes and sound follows; else None.

    Raises:
        DataError: The file is cut short, or it is of another kind.
        OSError: It cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = _after_id3(file)
        file.seek(start)
        head = file.read(12)
        if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:] == b"WAVE":
            return _check_chunks(path, file, "WAV", ">" if head[:4] == b"RIFX" else "<", size)
        if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
            return _check_chunks(path, file, "AIFF", ">", size)
        if head[:4] in (b".snd", b"dns."):
            return _check_au(path, head, size)
        if head[:4] == b"OggS":
            _check_ogg(path, file, size)
        elif mpeg_frames.begins(head):
            file.seek(start)
            if fault := mpeg_frames.fault(file.read()):
                raise DataError(f"{path} {fault}")
        elif head[:4] != b"fLaC":
            raise DataError(
                f"{path} cannot be read as a recording: it is damaged or of another kind (expected {KINDS})."
            )
    return None


def _after_id3(file: BinaryIO) -> int:
    """The place of the first byte after tags of ID3v2, https://id3.org/id3v2.4.0-structure."""
    place = 0
    while (head := file.read(10))[:3] == b"ID3" and len(head) == 10:
        low, *rest = (byte & 127 for byte in reversed(head[6:]))
        place += 10 + low + sum(byte << 7 * power for power, byte in enumerate(rest, 1)) + (10 if head[5] & 16 else 0)
        file.seek(place)
    return place


def _check_chunks(path: Path, file: BinaryIO, kind: str, order: str, size: int) -> SizeField | None:
    """Reads the chunks of RIFF and IFF files, from the 13th byte, up to the chunk with the sound."""
    sound, before = (b"data", 0) if kind == "WAV" else (b"SSND", 8)
    large = 0
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            raise DataError(f"{path} is cut short: its {kind} header ends before the sound. Copy it again.")
        name, claimed = head[:4], struct.unpack(f"{order}I", head[4:])[0]
        place = file.tell()
        if name == sound:
            there = size - place - before
            if name == b"data" and claimed == 0xFFFFFFFF and large:
                claimed = large
            if claimed <= before and there > 0 and not _ends_in_chunks(file, place + claimed, order, size):
                return SizeField(place - 4, b"\xff\xff\xff\xff" if kind == "WAV" else bytes(4))
            if claimed - before > there and not _is_open(claimed):
                raise _cut_short(path, f"its {kind} header claims {claimed - before:,} bytes of sound", there)
            return None
        if name == b"ds64":  # RF64: sizes of 64 bits
            sizes = file.read(16)
            large = int.from_bytes(sizes[8:], "little")
        file.seek(place + claimed + claimed % 2)
    raise DataError(f"{path} has more than {_MOST_CHUNKS:,} chunks before its sound; expected a {kind} file.")


def _ends_in_chunks(file: BinaryIO, place: int, order: str, size: int) -> bool:
    """Whether only complete chunks follow: then the file really has 0 bytes of sound."""
    for _ in range(_MOST_CHUNKS):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return place == size
        if not all(32 <= byte < 127 for byte in head[:4]):
            return False
        length = struct.unpack(f"{order}I", head[4:])[0]
        place += 8 + length + length % 2
    return False


def _is_open(claimed: int) -> bool:
    """Whether programs write this size for an unknown size: about the largest number of 31, 32 or 64 bits."""
    return 0x7F000000 <= claimed <= 0x80000000 or 0xFFFF0000 <= claimed <= 0xFFFFFFFF or claimed == 2**64 - 1


def _check_au(path: Path, head: bytes, size: int) -> SizeField | None:
    order = ">" if head[:4] == b".snd" else "<"
    if len(head) < 12:
        raise DataError(f"{path} is cut short within its AU header. Copy it again.")
    start, claimed = struct.unpack(f"{order}2I", head[4:])
    there = size - start
    if there > 0 and (claimed == 0 or _is_open(claimed)):
        return SizeField(8, b"\xff\xff\xff\xff")
    if claimed > there and not _is_open(claimed):
        raise _cut_short(path, f"its AU header claims {claimed:,} bytes of sound", there)
    return None


def _check_ogg(path: Path, file: BinaryIO, size: int) -> None:
    """Checks the last page, which is within the last 65,307 bytes of a complete stream."""
    file.seek(max(0, size - _LARGEST_PAGE))
    tail = file.read()
    place = tail.rfind(b"OggS")
    head = tail[place : place + 27]
    lengths = tail[place + 27 : place + 27 + head[26]] if len(head) == 27 and place >= 0 else b""
    length = 27 + len(lengths) + sum(lengths)
    if len(head) < 27 or len(lengths) < head[26] or place + length > len(tail):
        raise _cut_short(path, f"its last page of OGG takes {length:,} bytes or more", len(tail) - max(place, 0))
    if not head[5] & _LAST_PAGE:
        raise _cut_short(path, f"no page ends the stream of OGG, which continues after the {size:,} bytes of the file")


def _cut_short(path: Path, claim: str, there: int | None = None) -> DataError:
    rest = "" if there is None else f", and {max(there, 0):,} are there"
    return DataError(f"{path} is cut short: {claim}{rest}. Copy or download it again.")
