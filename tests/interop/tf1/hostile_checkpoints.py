"""Damaged checkpoints of TensorFlow 1, made byte by byte."""

from __future__ import annotations

import io
import pickle
import random
import zipfile
from collections.abc import Callable

import numpy as np

import tf1_writer as tf

ARRAYS = {
    "rnn/lstm_cell/kernel": np.arange(120, dtype=np.float32).reshape(5, 24),
    "rnn/lstm_cell/bias": np.arange(24, dtype=np.float32),
    "step": np.array([7, -1], np.int64),
}
DATA = b"".join(array.tobytes() for array in ARRAYS.values())
HUGE = 1 << 40
X = np.arange(6, dtype=np.float32)
LARGE = np.zeros(50_000, np.float32)
Files = dict[str, bytes]


def v2(entries: dict[bytes, bytes], data: bytes = X.tobytes(), head: bytes | None = None) -> Files:
    """A checkpoint ``m`` of the newer form."""
    whole = {b"": tf.header() if head is None else head, **entries}
    return {"m.index": tf.table(whole), "m.data-00000-of-00001": data}


def entry(dtype: int = 1, shape: bytes | None = None, **numbers: int) -> bytes:
    """BundleEntryProto, with what its data would have where nothing is said."""
    fields = {"shard": 0, "offset": 0, "size": 24, **numbers}
    out = tf.field(1, dtype) + tf.field(2, tf.shape_of((6,)) if shape is None else shape)
    for number, name in ((3, "shard"), (4, "offset"), (5, "size")):
        out += tf.field(number, fields[name])
    return out + tf.varint(6 << 3 | 5) + tf.masked(tf.crc32c(X.tobytes()))


def in_parts(*parts: tuple[int, int], total: int = 6, missing: bool = False, rank: int = 1) -> Files:
    """A variable of ``total`` values that is kept in these parts."""
    entries, data, slices = {}, b"", b""
    for start, length in parts:
        array = np.ones(max(length, 0), np.float32)
        part = ((start, length),) * rank
        slices += tf.field(7, tf.slice_of(part))
        if not missing:
            entries[tf.slice_key("x", part)] = tf.entry(array, len(data))
        data += array.tobytes()
    whole = tf.field(1, 1) + tf.field(2, tf.shape_of((total,))) + slices
    return v2({b"x": whole, **entries}, data)


def overlapping() -> Files:
    """A variable in many parts, whose data are at one place."""
    entries, slices, rows = {}, b"", len(LARGE)
    of_part = tf.entry(LARGE, 0)
    for number in range(100):
        part = ((number * rows, rows),)
        slices += tf.field(7, tf.slice_of(part))
        entries[b"\0x\0\1" + number.to_bytes(2, "big")] = of_part
    whole = tf.field(1, 1) + tf.field(2, tf.shape_of((rows * 100,))) + slices
    return v2({b"x": whole, **entries}, LARGE.tobytes())


def block_file(content: bytes, compression: int = 0) -> Files:
    """A table with one block of this content, sealed with a right check sum, behind a right index."""
    data = tf.sealed(content, compression)
    index = tf.block([(b"z", tf.varint(0) + tf.varint(len(data) - 5))])
    return {"m": data + index + tf.footer(len(data), len(index) - 5)}


def index_file(handles: list[tuple[bytes, int, int]], blocks: bytes = b"") -> Files:
    """A table whose index says these keys, offsets and sizes."""
    index = tf.block([(key, tf.varint(offset) + tf.varint(size)) for key, offset, size in handles])
    return {"m": blocks + index + tf.footer(len(blocks), len(index) - 5)}


def entries_block(*entries: tuple[int, int, int, bytes]) -> bytes:
    """A block of entries (shared, own, size of the value, bytes) that need not be right."""
    body = b"".join(tf.varint(a) + tf.varint(b) + tf.varint(c) + rest for a, b, c, rest in entries)
    return body + (0).to_bytes(4, "little") + (1).to_bytes(4, "little")


def v1(**changed: bytes | None) -> Files:
    """A checkpoint of the older form with a variable x of six values, its meta or its part changed."""
    entries = tf.v1_entries({"x": X})
    key = tf.slice_key("x", ((0, -1),))
    for what, value in changed.items():
        where = b"" if what == "meta" else key
        if value is None:
            del entries[where]
        else:
            entries[where] = value
    return {"m": tf.table(entries)}


def meta(shape: tuple[int, ...] = (6,), dtype: int = 1, parts: int = 1) -> bytes:
    slices = tf.field(4, tf.slice_of(((0, -1),))) * parts
    one = tf.field(1, b"x") + tf.field(2, tf.shape_of(shape)) + tf.field(3, dtype) + slices
    return tf.field(1, tf.field(1, one))


def part(values: bytes, name: bytes = b"x", where: bytes | None = None) -> bytes:
    place = tf.slice_of(((0, -1),)) if where is None else where
    return tf.field(2, tf.field(1, name) + tf.field(2, place) + tf.field(3, values))


def written(form: str) -> Files:
    """What a program would have written, by name."""
    if form == "v1":
        return {"m": tf.table(tf.v1_entries(ARRAYS), snappy=True)}
    entries, at = {b"": tf.header()}, 0
    for name, array in ARRAYS.items():
        entries[name.encode()] = tf.entry(array, at)
        at += array.nbytes
    return {"m.index": tf.table(entries), "m.data-00000-of-00001": DATA}


def cut(form: str, name: str, share: float) -> Files:
    files = written(form)
    return {**files, name: files[name][: int(len(files[name]) * share)]}


def flipped(form: str, name: str, seed: int) -> Files:
    """One bit is another, somewhere before the footer (which has bytes that mean nothing)."""
    files = written(form)
    data = bytearray(files[name])
    rng = random.Random(seed)
    end = len(data) - (0 if "data" in name else 48)
    data[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return {**files, name: bytes(data)}


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", bytes(10**6))
    return out.getvalue()


class Trap:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        raise_system_exit: Callable[[str], None] = exit
        return raise_system_exit, ("a pickle was opened",)


growing = entries_block(*[(min(k, 4000), 16, 0, b"k" * 16) for k in range(0, 16 * 20_000, 16)])
CASES: dict[str, Callable[[], Files]] = {
    **{f"v2, index cut at {share}": lambda s=share: cut("v2", "m.index", s) for share in (0, 0.1, 0.4, 0.6, 0.8, 0.97)},
    **{f"v2, data cut at {share}": lambda s=share: cut("v2", "m.data-00000-of-00001", s) for share in (0, 0.5, 0.99)},
    **{f"v1, cut at {share}": lambda s=share: cut("v1", "m", s) for share in (0, 0.1, 0.4, 0.6, 0.8, 0.97)},
    **{f"v2, index flipped {seed}": lambda s=seed: flipped("v2", "m.index", s) for seed in range(8)},
    **{f"v2, data flipped {seed}": lambda s=seed: flipped("v2", "m.data-00000-of-00001", s) for seed in range(4)},
    **{f"v1, flipped {seed}": lambda s=seed: flipped("v1", "m", s) for seed in range(8)},
    # what is no checkpoint at all
    "a pickle": lambda: {"m": pickle.dumps(Trap())},
    "a pickle as the index": lambda: {"m.index": pickle.dumps(Trap())},
    "a zip": lambda: {"m": zipped()},
    "zeros": lambda: {"m": bytes(10**6)},
    "text": lambda: {"m.index": b"model_checkpoint_path: 'm'\n" * 40},
    "a footer alone": lambda: {"m": tf.footer(0, 0)},
    "a list of checkpoints that names the root": lambda: {"checkpoint": b'model_checkpoint_path: "/"\n'},
    "a list of checkpoints that leads elsewhere": lambda: {"checkpoint": b'model_checkpoint_path: "../../.."\n'},
    "a list of checkpoints with a zero byte": lambda: {"checkpoint": b'model_checkpoint_path: "m\0"\n'},
    "a list of checkpoints that names none": lambda: {"checkpoint": b"\xff\xfe" * 100},
    # tables
    "an index block behind the end": lambda: {"m": tf.footer(HUGE, 10)},
    "an index block of a huge size": lambda: {"m": bytes(100) + tf.footer(0, HUGE)},
    "numbers in the footer that do not end": lambda: {"m": bytes(100) + b"\xff" * 40 + tf.MAGIC},
    "a block behind the end": lambda: index_file([(b"z", HUGE, 10)]),
    "a block of a huge size": lambda: index_file([(b"z", 0, HUGE)], bytes(50)),
    "a block twice": lambda: index_file([(b"y", 0, 8), (b"z", 0, 8)], tf.block([])),
    "ten thousand times one block": lambda: index_file([(b"z", 0, 8)] * 10_000, tf.block([])),
    "blocks whose keys are not in order": lambda: index_file([(b"z", 0, 8), (b"y", 13, 8)], tf.block([]) * 2),
    "an unknown compression": lambda: block_file(entries_block((0, 0, 0, b"")), 7),
    "a compressed block of four gigabytes": lambda: block_file(tf.varint(2**32 - 1) + bytes(40), 1),
    "a compressed block that copies from before its start": lambda: block_file(tf.varint(64) + b"\xfe\x01\x00", 1),
    "a compressed block that ends too soon": lambda: block_file(tf.varint(60) + b"\x08abc", 1),
    "a compressed block without a length": lambda: block_file(b"\xff" * 12, 1),
    "a block shorter than its restarts": lambda: block_file((2**32 - 1).to_bytes(4, "little")),
    "a block of three bytes": lambda: block_file(b"abc"),
    "a key that shares more than there is": lambda: block_file(entries_block((9, 1, 0, b"a"))),
    "a key longer than the block": lambda: block_file(entries_block((0, HUGE, 0, b"a"))),
    "a value longer than the block": lambda: block_file(entries_block((0, 1, HUGE, b"a"))),
    "a key longer than keys are": lambda: block_file(entries_block((0, 5000, 0, bytes(5000)))),
    "keys that are not in order": lambda: block_file(entries_block((0, 1, 0, b"b"), (0, 1, 0, b"a"))),
    "keys that grow to gigabytes": lambda: {"m.index": block_file(growing)["m"]},
    # the newer form
    "no header": lambda: {"m.index": tf.table({b"x": entry()}), "m.data-00000-of-00001": X.tobytes()},
    "a header that is no message": lambda: v2({b"x": entry()}, head=b"\xff\xff\xff"),
    "a header with a group": lambda: v2({b"x": entry()}, head=b"\x0b\x0c"),
    "no files": lambda: v2({b"x": entry()}, head=tf.header(0)),
    "a million files": lambda: v2({b"x": entry()}, head=tf.header(10**6)),
    "minus one files": lambda: v2({b"x": entry()}, head=tf.field(1, -1)),
    "the other order of bytes": lambda: v2({b"x": entry()}, head=tf.header(1, swapped=True)),
    "a file that is not there": lambda: {"m.index": tf.table({b"": tf.header(2), b"x": entry(shard=1)})},
    "a file beyond the last": lambda: v2({b"x": entry(shard=5)}),
    "a shape of 2^80 values": lambda: v2({b"x": entry(shape=tf.shape_of((2**40, 2**40)))}),
    "a shape of 2^40 values": lambda: v2({b"x": entry(shape=tf.shape_of((2**40,)), size=2**42)}),
    "a shape of 2^80 values but for a zero": lambda: v2({b"x": entry(shape=tf.shape_of((2**40, 0, 2**40)), size=0)}),
    "a shape with a negative size": lambda: v2({b"x": entry(shape=tf.shape_of((-6,)))}),
    "a shape of 300 dimensions": lambda: v2({b"x": entry(shape=tf.shape_of((1,) * 300))}),
    "a shape of unknown rank": lambda: v2({b"x": entry(shape=tf.field(3, 1))}),
    "a shape that is a number": lambda: v2({b"x": tf.field(1, 1) + tf.field(2, 5)}),
    "a dtype that is none": lambda: v2({b"x": entry(dtype=0)}),
    "a dtype beyond all": lambda: v2({b"x": entry(dtype=2**31)}),
    "a dtype that torch has not": lambda: v2({b"x": entry(dtype=21)}),
    "more bytes than the shape has": lambda: v2({b"x": entry(size=28)}),
    "fewer bytes than the shape has": lambda: v2({b"x": entry(size=20)}),
    "a place behind the end": lambda: v2({b"x": entry(offset=4)}),
    "a place far behind the end": lambda: v2({b"x": entry(offset=2**63 - 1)}),
    "other data": lambda: v2({b"x": entry()}, bytes(24)),
    "an entry that is cut": lambda: v2({b"x": entry()[:-2]}),
    "an entry whose field is longer than it": lambda: v2({b"x": tf.varint(2 << 3 | 2) + tf.varint(2**60)}),
    "an entry with a number of eleven bytes": lambda: v2({b"x": b"\x08" + b"\xff" * 11}),
    "a name that is not UTF-8": lambda: v2({b"\xff\xfe": entry()}),
    "parts that are missing": lambda: in_parts((0, 3), (3, 3), missing=True),
    "parts that do not make it up": lambda: in_parts((0, 3), (3, 2)),
    "parts over one another": lambda: in_parts((0, 3), (2, 3), total=6),
    "a part outside": lambda: in_parts((4, 3), (0, 3)),
    "a part before the start": lambda: in_parts((-3, 3), (0, 3)),
    "parts of two dimensions of one": lambda: in_parts((0, 3), (3, 3), rank=2),
    "small parts of something huge": lambda: in_parts((0, 3), (3, 3), total=2**40),
    "a thousand variables that are one": lambda: v2(
        dict.fromkeys((f"x{number:05}".encode() for number in range(1000)), tf.entry(LARGE, 0)), LARGE.tobytes()
    ),
    "ten thousand parts that are one": overlapping,
    "a part twice": lambda: in_parts((0, 3), (0, 3)),
    # the older form
    "no list": lambda: v1(meta=None),
    "an empty list and a value": lambda: v1(meta=b"", part=part(tf.field(5, X.tobytes()))) | {"m.index": b""},
    "a list that is no message": lambda: v1(meta=b"\xff\xff"),
    "a variable of 2^40 values with six": lambda: v1(meta=meta((2**40,))),
    "a variable with a negative size": lambda: v1(meta=meta((-6,))),
    "a dtype that is none, in the list": lambda: v1(meta=meta(dtype=0)),
    "values of another dtype": lambda: v1(meta=meta(dtype=2)),
    "numbers that do not end": lambda: v1(meta=meta(dtype=9), part=part(tf.field(10, b"\xff" * 6))),
    "numbers of seventy bits": lambda: v1(meta=meta(dtype=9), part=part(tf.field(10, (b"\xff" * 9 + b"\x7f") * 5))),
    "ten thousand parts, and one there": lambda: v1(meta=meta(parts=10**4)),
    "no values": lambda: v1(part=None),
    "another variable in its place": lambda: v1(part=part(tf.field(5, X.tobytes()), b"y")),
    "too few values": lambda: v1(part=part(tf.field(5, X.tobytes()[:20]))),
    "too many values": lambda: v1(part=part(tf.field(5, X.tobytes() * 2))),
    "a value that is cut": lambda: v1(part=part(tf.field(5, X.tobytes()[:22]))),
    "values in the wrong list": lambda: v1(part=part(tf.field(6, X.tobytes()))),
    "a value outside": lambda: v1(part=part(tf.field(5, X.tobytes()), where=tf.slice_of(((3, 6),)))),
    "a value of no dimension": lambda: v1(part=part(tf.field(5, X.tobytes()), where=b"")),
    "a value that is no message": lambda: v1(part=b"\x12\xff\xff"),
}
