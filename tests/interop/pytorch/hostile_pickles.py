"""Damaged files of torch.save: pickles written opcode by opcode, in the zip form and in the old form."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from typing import Any

import torch
from torch import nn

EXECUTED = "HOLDFAST_TEST_EXECUTED"


class Executes:
    """Leaves a mark in the environment when it is unpickled."""

    def __reduce__(self) -> Any:
        return (os.putenv, (EXECUTED, "1"))


class Evaluates:
    def __reduce__(self) -> Any:
        return (eval, (f"__import__('os').environ.__setitem__({EXECUTED!r}, '1')",))


def state_dict() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return nn.ModuleDict({"rnn": nn.LSTM(3, 4), "out": nn.Linear(4, 2)}).state_dict()


def saved(value: Any, *, legacy: bool = False, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not legacy, **options)
    return buffer.getvalue()


def archive(
    pickled: bytes, data: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED, **more: bytes
) -> bytes:
    """A zip as torch.save makes it, around any pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/byteorder", "little")
        for key, content in (data or {}).items():
            file.writestr(f"archive/data/{key}", content)
        for name, content in more.items():
            file.writestr(f"archive/{name}", content)
        file.writestr("archive/version", "3\n")
    return buffer.getvalue()


def legacy(pickled: bytes, data: bytes = b"") -> bytes:
    """A file as torch.save made it before torch 1.6, around any pickle."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    keys = pickle.dumps(["0"], 2)
    return b"".join(pickle.dumps(value, 2) for value in head) + pickled + keys + data


# Pickles, opcode by opcode


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    size = (value.bit_length() + 8) // 8
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def imported(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def tuple_of(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def storage(elements: bytes, key: bytes = text("0"), kind: bytes = imported("torch", "FloatStorage")) -> bytes:
    return tuple_of(text("storage"), kind, key, text("cpu"), elements) + b"Q"


def tensor(elements: int, shape: tuple[int, ...], stride: tuple[int, ...], offset: int = 0, key: str = "0") -> bytes:
    arguments = tuple_of(
        storage(number(elements), text(key)),
        number(offset),
        tuple_of(*map(number, shape)),
        tuple_of(*map(number, stride)),
        b"\x89",
        imported("collections", "OrderedDict") + b")R",
    )
    return imported("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def dict_of(**values: bytes) -> bytes:
    return b"\x80\x02}(" + b"".join(text(name) + value for name, value in values.items()) + b"u."


def called(function: tuple[str, str], *arguments: bytes) -> bytes:
    return dict_of(a=imported(*function) + tuple_of(*arguments) + b"R")


HUGE = {
    "2^40 numbers in a storage of 4 bytes": dict_of(a=tensor(2**40, (2**40,), (1,))),
    "2^62 numbers": dict_of(a=tensor(2**62, (2**62,), (1,))),
    "2^200 numbers": dict_of(a=tensor(2**200, (1,), (1,))),
    "more than there are, under the file's size": dict_of(a=tensor(60, (60,), (1,))),
    "negative numbers": dict_of(a=tensor(-1, (1,), (1,))),
    "a shape beyond the storage": dict_of(a=tensor(1, (1000, 1000), (1000, 1))),
    "a shape that overflows": dict_of(a=tensor(1, (2**31, 2**31, 2**31), (1, 1, 1))),
    "an offset beyond the storage": dict_of(a=tensor(1, (1,), (1,), offset=2**40)),
    "a negative offset": dict_of(a=tensor(1, (1,), (1,), offset=-5)),
    "a negative size": dict_of(a=tensor(1, (-3,), (1,))),
    "a negative stride": dict_of(a=tensor(1, (4,), (-1,))),
    "one number repeated 2^40 times": dict_of(a=tensor(1, (2**20, 2**20), (0, 0))),
    "strides of another rank": dict_of(a=tensor(1, (1,), (1, 1, 1))),
    "a thousand views of all numbers": dict_of(
        **{f"a{k}": tensor(1000, (1000 - k,), (1,), offset=k) for k in range(500)}
    ),
}
PICKLES: dict[str, bytes] = {
    "os.system": called(("os", "system"), text(f"export {EXECUTED}=1")),
    "posix.system": called(("posix", "system"), text("true")),
    "builtins.eval": called(("builtins", "eval"), text("1/0")),
    "__builtin__.exec": called(("__builtin__", "exec"), text("1/0")),
    "subprocess.Popen": called(("subprocess", "Popen"), text("true")),
    "importlib.import_module": called(("importlib", "import_module"), text("antigravity")),
    "torch.hub.load": called(("torch.hub", "load"), text("x/y"), text("z")),
    "torch.load": called(("torch", "load"), text("x")),
    "torch.jit.load": called(("torch.jit", "load"), text("x")),
    "a module of torch.nn": called(("torch.nn.modules.linear", "Linear"), number(10**6), number(10**6)),
    "bytearray of 10 GB": called(("builtins", "bytearray"), number(10**10)),
    "bytearray, as Python 2 wrote it": called(("__builtin__", "bytearray"), number(10**10)),
    "a storage of 10 GB": called(("torch.storage", "UntypedStorage"), number(10**10)),
    "a typed storage of 10 GB": called(("torch.storage", "TypedStorage"), number(10**10)),
    "a tensor of 10 GB": called(("torch", "FloatTensor"), number(10**10)),
    "a Tensor made anew": called(("torch", "Tensor"), number(10**10)),
    "a set": called(("builtins", "set"), b"]"),
    "numpy": called(("numpy.core.multiarray", "_reconstruct"), text("x")),
    "codecs": called(("_codecs", "encode"), text("x"), text("bz2")),
    "a sparse tensor": called(("torch._utils", "_rebuild_sparse_tensor"), b")"),
    "a quantised tensor": called(("torch._utils", "_rebuild_qtensor"), b")"),
    "a tensor without values": called(("torch._utils", "_rebuild_meta_tensor_no_storage"), b")"),
    "a wrapper of tensors": called(("torch._utils", "_rebuild_wrapper_subclass"), b")"),
    "a parameter of what is none": called(("torch._utils", "_rebuild_parameter"), text("x"), b"\x88", b"}"),
    "a tensor of what is none": called(("torch._utils", "_rebuild_tensor_v2"), b")"),
    "a name in two parts": called(("torch", "nn.functional.linear"), b")"),
    "an empty name": called(("", ""), b")"),
    "an object": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "an instance": b"(ios\nsystem\n.",
    "protocol 4": pickle.dumps({"a": 1}, 4),
    "protocol 5": pickle.dumps({"a": b"1"}, 5),
    "a text pickle": pickle.dumps({"a": 1}, 0),
    "an extension": b"\x80\x02\x82\x01.",
    "a global from the stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "a persistent name": b"\x80\x02Pstorage\n.",
    "a module by name": b"\x80\x02" + tuple_of(text("module"), text("os"), text("x"), text("y")) + b"Q.",
    "a storage without its size": b"\x80\x02" + tuple_of(text("storage"), text("x")) + b"Q.",
    "a storage of a text": b"\x80\x02" + storage(text("9")) + b".",
    "a storage of no type": b"\x80\x02" + storage(number(1), kind=text("FloatStorage")) + b".",
    "a storage under a number": b"\x80\x02" + storage(number(1), key=number(0)) + b".",
    "a storage that is not there": dict_of(a=tensor(1, (1,), (1,), key="7")),
    "a storage outside": dict_of(a=tensor(1, (1,), (1,), key="../data.pkl")),
    "tuples in tuples": b"\x80\x02}(" + b")" + b"\x85" * 250_000 + b"Nu.",
    "lists in lists": b"\x80\x02" + b"]" * 3000 + b"a" * 2999 + b".",
    "a tuple as a key": b"\x80\x02}" + number(1) + b"\x85Ns.",
    "a dict as a key": b"\x80\x02}}Ns.",
    "too many parts": b"\x80\x02](" + b"N" * 1_000_000 + b"e.",
    "too many parts on the stack": b"\x80\x02" + b"N" * 5_000_000,
    "a number of 2000 bits": b"\x80\x02" + number(2**2000) + b".",
    "no end": b"\x80\x02}",
    "an empty stack": b"\x80\x02.",
    "a mark alone": b"\x80\x02(.",
    "no mark": b"\x80\x02}t.",
    "memory that was never set": b"\x80\x02h\x05.",
    "a text of 4 GB": b"\x80\x02X\xff\xff\xff\xffabc.",
    "a text that is none": b"\x80\x02X\x02\x00\x00\x00\xff\xfe.",
    "not a pickle": b"what a text file says",
    "nothing": b"",
    "a list": b"\x80\x02].",
    "a number": b"\x80\x02" + number(5) + b".",
    "an empty dict": b"\x80\x02}.",
    "numbers under names": dict_of(a=number(1)),
    "two state dicts": dict_of(
        a=b"}(" + text("x") + tensor(1, (1,), (1,)) + b"u", b=b"}(" + text("x") + tensor(1, (1,), (1,)) + b"u"
    ),
    "a dict whose items are something else": b"\x80\x02ccollections\nOrderedDict\n)R}("
    + text("items")
    + number(3)
    + b"ub.",
    "a dict that holds itself": b"\x80\x02}q\x00" + text("a") + b"h\x00s.",
    **HUGE,
}
