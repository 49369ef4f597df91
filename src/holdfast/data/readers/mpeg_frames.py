"""Checks that all frames of an MP3 file are there (ISO 11172-3 and 13818-3, all layers)."""

from __future__ import annotations

from typing import NamedTuple

_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
"""Sample rates by the two bits of the version: MPEG 1, 2 and 2.5."""
_KBITS = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Kilobits per second for the header values 1 to 14, by whether the file is MPEG 1 and by the layer."""

_MOST_PADDING = 4
_MOST_REST = 2048
"""After the last frame, up to this number of arbitrary bytes is ignored."""
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3")
_ADVICE = "Copy or download it again."
_UNKNOWN_LENGTH = (
    "has a variable bit rate and does not say how long it is (it has no Xing, Info or VBRI tag), so only a part would "
    "be read. Convert it to WAV or FLAC."
)


class _Frame(NamedTuple):
    """The content of a four-byte frame header; ``length`` is the frame in bytes, its header included."""

    version: int
    layer: int
    rate: int
    mono: bool
    length: int


def begins(head: bytes) -> bool:
    """Whether these bytes begin a frame."""
    return len(head) >= 4 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 6 != 0


def fault(data: bytes) -> str:
    """Why a stream would not be read completely, or empty.

    Args:
        data: The file from its first frame on.

    Returns:
        The end of a sentence that starts with the name of the file; empty if all is there, or if the stream does not
        say its length.
    """
    first = _frame(data, 0)
    if first is None:
        return ""
    if claimed := _claimed(data, first):
        if claimed <= len(data):
            return ""
        return f"is cut short: its first frame claims {claimed:,} bytes, and {len(data):,} are there. {_ADVICE}"
    place, now, varies = 0, first, False
    while place + now.length <= len(data):
        place += now.length
        following = _frame(data, place)
        if following is None or following[:3] != first[:3]:
            rest = data[place : place + _MOST_REST]
            if len(rest) == _MOST_REST and not rest.startswith(_TAGS) and any(rest):
                return (
                    f"is damaged: {place:,} bytes of its frames are whole, and {len(data) - place:,} follow. {_ADVICE}"
                )
            return _UNKNOWN_LENGTH if varies else ""
        now = following
        varies = varies or abs(now.length - first.length) > _MOST_PADDING
    return f"is cut short: its last frame takes {now.length:,} bytes, and {len(data) - place:,} are there. {_ADVICE}"


def _frame(data: bytes, place: int) -> _Frame | None:
    """The frame that begins at a place; None if there is none, or if its header has no bit rate."""
    head = data[place : place + 4]
    if len(head) < 4 or not begins(head):
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bits, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or rate == 3 or bits in (0, 15):
        return None
    hertz = _RATES[version][rate]
    bits_a_second = 1000 * _KBITS[version == 3, layer][bits - 1]
    if layer == 1:
        length = 4 * (12 * bits_a_second // hertz + padding)
    else:
        length = (72 if layer == 3 and version != 3 else 144) * bits_a_second // hertz + padding
    return _Frame(version, layer, hertz, head[3] >> 6 == 3, length)


def _claimed(data: bytes, first: _Frame) -> int:
    """The number of bytes of the stream by the tags of the first frame (Xing, Info, VBRI), or 0."""
    side = (32, 17, 9)[(first.version != 3) + first.mono]
    tag = data[4 + side : 4 + side + 16]
    if tag[:4] in (b"Xing", b"Info") and len(tag) == 16:
        flags = int.from_bytes(tag[4:8], "big")
        return int.from_bytes(tag[12:16] if flags & 1 else tag[8:12], "big") if flags & 2 else 0
    tag = data[36:50]
    return int.from_bytes(tag[10:14], "big") if tag[:4] == b"VBRI" and len(tag) == 14 else 0
