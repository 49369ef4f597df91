"""What is done to a valid file: the same for the same number, and a little of everything."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable

HUGE = (2**31 - 1, 2**32 - 1, 2**24, 2**36, 2**48, 2**62, 2**63 - 1, 2**64 - 1, 10**5, 10**7)
DIGITS = (*map(str, HUGE), "9" * 30, "9" * 5000, "-1", "0", "1e400", "nan", "0x10")
NESTS = ("[", '{"a":', "(", "[[", '{"a":[', "a.", "<a>")


def _place(draw: random.Random, data: bytes) -> int:
    """Mostly anywhere; often near the beginning or the end, where headers are."""
    end = max(len(data) - 1, 0)
    return min(end, draw.choice([draw.randint(0, end), draw.randint(0, 64), max(0, end - draw.randint(0, 64))]))


def cut(draw: random.Random, data: bytes) -> bytes:
    return data[: _place(draw, data)]


def flip(draw: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 8])):
        changed[_place(draw, data)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def put(draw: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice([1, 2, 4, 16])):
        changed[_place(draw, data)] = draw.choice([0, 1, 127, 128, 255, draw.randrange(256)])
    return bytes(changed)


def integer(draw: random.Random, data: bytes) -> bytes:
    """A huge number in place of two, four or eight bytes, or of the digits of a number."""
    numbers = list(re.finditer(rb"[0-9]+", data))
    if numbers and draw.random() < 0.5:
        number = draw.choice(numbers)
        return data[: number.start()] + draw.choice(DIGITS).encode() + data[number.end() :]
    size, order = draw.choice([(2, "<"), (4, "<"), (4, ">"), (8, "<"), (8, ">")])
    value = draw.choice(HUGE) % 2 ** (8 * size)
    place = _place(draw, data)
    return data[:place] + struct.pack(order + {2: "H", 4: "I", 8: "Q"}[size], value) + data[place + size :]


def varint(draw: random.Random, data: bytes) -> bytes:
    """A huge number as protobuf, Thrift and LevelDB write it, in place of a byte."""
    value, out = draw.choice(HUGE), bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    place = _place(draw, data)
    return data[:place] + bytes([*out, value]) + data[place + draw.choice([1, len(out) + 1]) :]


def zeros(draw: random.Random, data: bytes) -> bytes:
    place, size = _place(draw, data), draw.choice([4, 16, 64, 512])
    return data[:place] + bytes(min(size, len(data) - place)) + data[place + size :]


def remove(draw: random.Random, data: bytes) -> bytes:
    place = _place(draw, data)
    return data[:place] + data[place + draw.choice([1, 2, 8, 64]) :]


def repeat(draw: random.Random, data: bytes) -> bytes:
    place, size = _place(draw, data), draw.choice([1, 8, 64])
    return data[:place] + data[place : place + size] * draw.choice([2, 5, 1000]) + data[place + size :]


def noise(draw: random.Random, data: bytes) -> bytes:
    place = _place(draw, data)
    return data[:place] + draw.randbytes(draw.choice([1, 4, 100, 3000])) + data[place:]


def nest(draw: random.Random, data: bytes) -> bytes:
    place = _place(draw, data)
    return data[:place] + draw.choice(NESTS).encode() * draw.choice([100, 5000, 100_000]) + data[place:]


def long_line(draw: random.Random, data: bytes) -> bytes:
    place = _place(draw, data)
    return data[:place] + draw.choice([b"a", b",", b"\t", b" ", b"1,", b"\n", b":", b'"']) * 300_000 + data[place:]


def _zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.txt", "text")
    return content.getvalue()


OTHERS = (
    b"",
    b"\0",
    bytes(5000),
    random.Random(0).randbytes(5000),
    b"\xff" * 300,
    pickle.dumps({"a": [1, 2, 3]}),
    gzip.compress(b"text\n" * 100, mtime=0),
    _zipped(),
    b"\x89PNG\r\n\x1a\n" + bytes(100),
    b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(50),
    b"PAR1" + bytes(20) + b"PAR1",
    b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (10,), }".ljust(128) + bytes(40),
    b"\x89HDF\r\n\x1a\n" + bytes(500),
    "a;b\n1,5;x\n".encode("utf-16"),
    b"\xef\xbb\xbfa,b\n1,2\n",
    b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    (200_000).to_bytes(8, "little") + b'{"a":' * 40_000,
    b"\n" * 1000,
)
"""Files of other kinds under this name."""

CHANGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    cut, flip, integer, put, varint, cut, zeros, flip, remove, integer, nest, repeat, put, noise, long_line, integer,
)  # fmt: skip


# A change of what is packed in a file: unpack, change, and pack again so that check sums and sizes are right.

Change = Callable[[bytes], bytes]
Layer = Callable[[bytes, Change], bytes]


def outside(data: bytes, change: Change) -> bytes:
    return change(data)


def in_gzip(data: bytes, change: Change) -> bytes:
    return gzip.compress(change(gzip.decompress(data)), mtime=0)


def in_zip(name: str, inner: Layer = outside) -> Layer:
    def layer(data: bytes, change: Change) -> bytes:
        content = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(content, "w") as new:
            for member in old.infolist():
                body = old.read(member)
                new.writestr(member, inner(body, change) if member.filename.endswith(name) else body)
        return content.getvalue()

    return layer


def in_png(name: bytes) -> Layer:
    def layer(data: bytes, change: Change) -> bytes:
        place = data.index(name)
        size = int.from_bytes(data[place - 4 : place], "big")
        body = name + change(data[place + 4 : place + 4 + size])
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        return data[: place - 4] + chunk + data[place + 8 + size :]

    return layer


def in_header(data: bytes, change: Change) -> bytes:
    """The JSON of a safetensors file."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = change(data[8:end])
    return len(header).to_bytes(8, "little") + header + data[end:]


def in_document(name: str) -> Layer:
    """A text in the metadata of a safetensors file."""

    def layer(data: bytes, change: Change) -> bytes:
        def of_header(header: bytes) -> bytes:
            table = json.loads(header)
            text = table["__metadata__"][name].encode()
            table["__metadata__"][name] = change(text).decode("utf-8", "replace")
            return json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()

        return in_header(data, of_header)

    return layer


def in_last_tensor(data: bytes, change: Change) -> bytes:
    """The bytes of the last tensor of a safetensors file."""
    start = 8 + int.from_bytes(data[:8], "little")
    table = json.loads(data[8:start])
    name = max((name for name in table if name != "__metadata__"), key=lambda name: table[name]["data_offsets"])
    first, last = table[name]["data_offsets"]
    body = change(data[start + first : start + last])
    table[name] |= {"data_offsets": [first, first + len(body)], "shape": [len(body)]}
    header = json.dumps(table, separators=(",", ":")).encode()
    return len(header).to_bytes(8, "little") + header + data[start : start + first] + body


def with_digest(layer: Layer) -> Layer:
    """The change with a right digest, as somebody can write who means harm."""

    def sealed(data: bytes, change: Change) -> bytes:
        found = layer(data, change)
        digest = re.search(rb'"holdfast_digest":"([0-9a-f]{64})"', found[:4096])
        if digest is None:
            return found
        start, end = digest.span(1)
        return found[:start] + hashlib.sha256(found[:start] + found[end:]).hexdigest().encode() + found[end:]

    return sealed


def in_ogg(data: bytes, change: Change) -> bytes:
    """The stream, with right check sums of its pages wherever one still begins."""
    changed = bytearray(change(data))
    starts = [match.start() for match in re.finditer(b"OggS", changed)]
    for place in starts:
        table = changed[place + 27 : place + 27 + (changed[place + 26] if place + 26 < len(changed) else 0)]
        end = place + 27 + len(table) + sum(table)
        if end <= len(changed):
            changed[place + 22 : place + 26] = bytes(4)
            changed[place + 22 : place + 26] = _ogg_sum(bytes(changed[place:end])).to_bytes(4, "little")
    return bytes(changed)


def _ogg_sum(page: bytes) -> int:
    """CRC-32 with the polynomial 0x04c11db7, bits not reflected: zlib's with every byte and the result mirrored."""
    mirror = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
    found = zlib.crc32(page.translate(mirror), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{found:032b}"[::-1], 2)


def changed(data: bytes, name: str, number: int, layers: tuple[Layer, ...]) -> tuple[str, bytes | None]:
    """The change of that number of a file.

    Returns:
        What was done, and the bytes; None for a folder in place of the file.
    """
    if number < len(OTHERS) + 1:
        return (f"other {number}", OTHERS[number]) if number < len(OTHERS) else ("folder", None)
    number -= len(OTHERS) + 1
    draw = random.Random(f"{name} {number}")
    change = CHANGES[number % len(CHANGES)]
    layer = layers[number // len(CHANGES) % len(layers)]
    return f"{change.__name__} {number // len(CHANGES) % len(layers)}", layer(
        data, lambda content: change(draw, content)
    )
