"""Files that are not what they say to be: one clear error each, soon, in little memory, and nothing is executed."""

from __future__ import annotations

import io
import json
import os
import pickle
import pickletools
import resource
import struct
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from holdfast.errors import HoldfastError
from holdfast.interop.pytorch.files import list_layers, read
from holdfast.interop.pytorch.tensors import read_tensors

SECONDS = 2
BYTES = 500 * 2**20
EXECUTED = "HOLDFAST_TEST_EXECUTED"


@pytest.fixture(autouse=True)
def _little_time_and_memory() -> Iterator[None]:
    """What a test does takes at most 2 s of the processor and 500 MB of addresses beyond those in use."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, before[1]))
    start = time.process_time()
    yield
    spent = time.process_time() - start
    resource.setrlimit(resource.RLIMIT_AS, before)
    assert spent < SECONDS
    assert EXECUTED not in os.environ


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


def refused(path: Path) -> str:
    """The message of the one error that every way of reading ends in."""
    messages = set()
    for reader in (read_tensors, list_layers, read):
        with pytest.raises(HoldfastError) as error:
            reader(path)  # type: ignore[operator]
        messages.add(str(error.value))
    (message,) = messages
    assert message.startswith(str(path))
    assert "not enough memory" not in message
    return message


@pytest.mark.parametrize("case", PICKLES)
def test_a_pickle_in_a_zip(case: str, tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(archive(PICKLES[case], {"0": bytes(4000 if case.startswith("a thousand") else 4)}))
    refused(path)


@pytest.mark.parametrize("case", PICKLES)
def test_a_pickle_in_the_old_form(case: str, tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    numbers = 1000 if case.startswith("a thousand") else 1
    path.write_bytes(legacy(PICKLES[case], struct.pack("<q", numbers) + bytes(4 * numbers)))
    refused(path)


@pytest.mark.parametrize("bomb", [Executes(), Evaluates()], ids=["os.putenv", "eval"])
@pytest.mark.parametrize("place", ["alone", "in a dict", "as a hook", "in the metadata"])
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_bomb_that_torch_saved(bomb: Any, place: str, form: str, tmp_path: Path) -> None:
    tensors = OrderedDict(state_dict())
    if place == "in the metadata":
        tensors._metadata = {"": bomb}  # type: ignore[attr-defined]
    elif place == "as a hook":
        hooked = nn.Parameter(torch.zeros(2))
        hooked.bomb = bomb  # type: ignore[attr-defined]
        tensors["x"] = hooked
    value: Any = {"alone": bomb, "in a dict": {"state_dict": tensors, "config": bomb}}.get(place, tensors)
    path = tmp_path / "m.pt"
    path.write_bytes(saved(value, legacy=form == "legacy"))
    assert " holds more than tensors: its pickle asks for " in refused(path)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_whole_model_is_refused_and_what_to_do_is_said(form: str, tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(saved(nn.Sequential(nn.LSTM(2, 3)), legacy=form == "legacy"))
    assert refused(path) == (
        f"{path} holds more than tensors: its pickle asks for torch.nn.modules.container.Sequential, so it may be a "
        "whole model, and opening it could run any code. If you trust the file, open it where that code is "
        "installed and save its state_dict()."
    )


def test_a_scripted_model(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(archive(dict_of(), constants=b"", **{"constants.pkl": b"\x80\x02)."}))
    assert refused(path) == (
        f"{path} is a TorchScript program, which runs code; expected a state dict. If you trust it, save "
        "torch.jit.load(...).state_dict()."
    )


@pytest.mark.parametrize("what", ["the pickle", "a tensor", "something else"])
def test_zip_bombs(what: str, tmp_path: Path) -> None:
    """A gigabyte of zeros takes a megabyte compressed; it is not inflated."""
    zeros = bytes(2**20)
    buffer = io.BytesIO()
    name = {"the pickle": "data.pkl", "a tensor": "data/0", "something else": "readme"}[what]
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        if what != "the pickle":
            file.writestr("archive/data.pkl", dict_of(a=tensor(1, (1,), (1,))), zipfile.ZIP_STORED)
        with file.open(f"archive/{name}", "w", force_zip64=True) as part:
            for _ in range(128):
                part.write(zeros)
    path = tmp_path / "m.pt"
    path.write_bytes(buffer.getvalue())
    assert refused(path) == (
        f"{path} says that {name!r} in it takes 134,217,728 bytes, compressed or beyond the file's end; torch.save "
        "compresses nothing. It is damaged: take another copy of it."
    )


def test_more_parts_than_a_state_dict_has(tmp_path: Path) -> None:
    data = bytearray(saved(state_dict()))
    end = data.rindex(b"PK\x05\x06")
    data[end + 10 : end + 12] = b"\xff\xff"
    path = tmp_path / "m.pt"
    path.write_bytes(data)
    assert refused(path) == f"{path} has more than 65,534 parts: that is no state dict."


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_truncated_anywhere(form: str, tmp_path: Path) -> None:
    data = saved(state_dict(), legacy=form == "legacy")
    path = tmp_path / "m.pt"
    for size in [*range(0, 80, 7), *range(80, len(data) - 1, max(1, len(data) // 40))]:
        path.write_bytes(data[:size])
        refused(path)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_any_byte_of_the_pickle_changed(form: str, tmp_path: Path) -> None:
    """Every one is read as something or refused; none ends in another error."""
    data = saved({"rnn.weight_ih": torch.zeros(4, 1), "rnn.weight_hh": torch.zeros(4, 1)}, legacy=form == "legacy")
    path = tmp_path / "m.pt"
    start = data.index(b"}q") if form == "zip" else data.index(b"rnn.weight_ih") - 8
    for position in range(start, start + 150):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x41]) + data[position + 1 :])
        try:
            read(path)
        except HoldfastError as error:
            assert str(error).startswith((str(path), "The layer '"))  # noqa: PT017 (both ways out are right)


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text_ = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text_) if length is None else length) + text_ + data


def entry(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}}


SAFETENSORS: dict[str, bytes] = {
    "a header of 2^63 bytes": safetensors({}, length=2**63),
    "a header of 100 MB": safetensors({}, length=10**8),
    "a header beyond the end": safetensors({}, length=500),
    "2^60 numbers": safetensors(entry([2**60], 0, 2**62), bytes(8)),
    "a shape that overflows": safetensors(entry([2**62, 4], 0, 8), bytes(8)),
    "a negative size": safetensors(entry([-2], 0, 8), bytes(8)),
    "offsets the wrong way": safetensors(entry([2], 8, 0), bytes(8)),
    "offsets beyond the end": safetensors(entry([2], 8, 16), bytes(8)),
    "another size": safetensors(entry([3], 0, 8), bytes(8)),
    "no such dtype": safetensors(entry([2], 0, 8, "F99"), bytes(8)),
    "nesting": safetensors(b'{"a":' * 100_000),
    "not JSON": safetensors(b"{nothing}"),
    "not text": safetensors(b"{\xff\xfe}"),
    "a list": safetensors(b"[1]"),
    "no tensors": safetensors({}),
    "tensors that overlap": safetensors(
        {**entry([2], 0, 8), "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}, bytes(12)
    ),
}


@pytest.mark.parametrize("case", SAFETENSORS)
def test_safetensors(case: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(SAFETENSORS[case])
    with pytest.raises(HoldfastError) as error:
        read(path)
    assert str(error.value).startswith(str(path))


def _without(name: str) -> dict[str, torch.Tensor]:
    return {own: tensor for own, tensor in state_dict().items() if own != name}


def _with(**tensors: torch.Tensor) -> dict[str, torch.Tensor]:
    return {**state_dict(), **{name.replace("__", "."): tensor for name, tensor in tensors.items()}}


WRONG: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "half a bias": (
        lambda: _without("rnn.bias_hh_l0"),
        "The layer 'rnn' has no bias_hh_l0; expected one of shape (16,): the state dict is incomplete, or of another "
        "kind of layer. Save all of it.",
    ),
    "the other half": (
        lambda: _without("rnn.bias_ih_l0"),
        "The layer 'rnn' has no bias_ih_l0; expected one of shape (16,): the state dict is incomplete, or of another "
        "kind of layer. Save all of it.",
    ),
    "no recurrent weights": (
        lambda: _without("rnn.weight_hh_l0"),
        "The layer 'rnn' has no weight_hh_l0: the state dict is incomplete. Save all of it.",
    ),
    "half a direction": (
        lambda: _with(rnn__weight_ih_l0_reverse=torch.zeros(16, 3)),
        "The layer 'rnn' has no weight_hh_l0_reverse; expected one of shape (16, 4): the state dict is incomplete, or "
        "of another kind of layer. Save all of it.",
    ),
    "a layer left out": (
        lambda: _with(rnn__weight_ih_l2=torch.zeros(16, 4)),
        "The layer 'rnn' has no weight_ih_l1; expected one of shape (16, 4): the state dict is incomplete, or of "
        "another kind of layer. Save all of it.",
    ),
    "layer 9999": (
        lambda: _with(rnn__weight_ih_l9999=torch.zeros(16, 4)),
        "The layer 'rnn' has no weight_ih_l1; expected one of shape (16, 4): the state dict is incomplete, or of "
        "another kind of layer. Save all of it.",
    ),
    "five gates": (
        lambda: _with(rnn__weight_ih_l0=torch.zeros(20, 3), rnn__weight_hh_l0=torch.zeros(20, 4)),
        "The layer 'rnn' has weight_ih_l0 of shape (20, 3) and weight_hh_l0 of shape (20, 4); expected 4 rows for each "
        "gate: 4 gates (LSTM), 3 (GRU) or 1 (RNN).",
    ),
    "gates of two kinds": (
        lambda: _with(rnn__weight_ih_l0=torch.zeros(12, 3)),
        "The layer 'rnn' has weight_ih_l0 of shape (12, 3) and weight_hh_l0 of shape (16, 4); expected 4 rows for each "
        "gate: 4 gates (LSTM), 3 (GRU) or 1 (RNN).",
    ),
    "no units": (
        lambda: _with(rnn__weight_ih_l0=torch.zeros(0, 3), rnn__weight_hh_l0=torch.zeros(0, 0)),
        "The layer 'rnn' has weight_ih_l0 of shape (0, 3); expected two sizes from 1 on.",
    ),
    "a cube": (
        lambda: _with(rnn__weight_ih_l0=torch.zeros(16, 3, 1)),
        "The layer 'rnn' has weight_ih_l0 of shape (16, 3, 1); expected two sizes from 1 on.",
    ),
    "a scalar": (
        lambda: _with(rnn__weight_hh_l0=torch.tensor(1.0)),
        "The layer 'rnn' has weight_hh_l0 of shape (); expected two sizes from 1 on.",
    ),
    "a bias of another size": (
        lambda: _with(rnn__bias_ih_l0=torch.zeros(15)),
        "The layer 'rnn' has bias_ih_l0 of shape (15,); expected (16,).",
    ),
    "a projection that does not fit": (
        lambda: _with(rnn__weight_hr_l0=torch.zeros(3, 4)),
        "The layer 'rnn' has weight_hr_l0 of shape (3, 4); expected (4, hidden_size), as weight_hh_l0 has 4 columns.",
    ),
    "a projection of a GRU": (
        lambda: {
            "weight_ih_l0": torch.zeros(15, 3),
            "weight_hh_l0": torch.zeros(15, 2),
            "weight_hr_l0": torch.zeros(2, 5),
        },
        "The state dict has weight_ih_l0 of shape (15, 3) and weight_hh_l0 of shape (15, 2); expected 5 rows for each "
        "gate: 4 gates (LSTM), 3 (GRU) or 1 (RNN).",
    ),
    "whole numbers": (
        lambda: _with(rnn__weight_ih_l0=torch.zeros(16, 3, dtype=torch.int64)),
        "The layer 'rnn' has weight_ih_l0 of torch.int64; expected real numbers.",
    ),
    "complex numbers": (
        lambda: _with(rnn__weight_ih_l0=torch.zeros(16, 3, dtype=torch.complex64)),
        "The layer 'rnn' has weight_ih_l0 of torch.complex64; expected real numbers.",
    ),
    "a bias where there is none below": (
        lambda: {
            "weight_ih_l0": torch.zeros(4, 3),
            "weight_hh_l0": torch.zeros(4, 1),
            "weight_ih_l1": torch.zeros(4, 1),
            "weight_hh_l1": torch.zeros(4, 1),
            "bias_ih_l1": torch.zeros(4),
        },
        "The state dict has bias_ih_l1, which its other tensors have no place for.",
    ),
    "a cell and a layer": (
        lambda: _with(rnn__weight_ih=torch.zeros(16, 3)),
        "The layer 'rnn' has the tensors of a layer and of a cell; expected those of one of them.",
    ),
    "weights of weight_norm": (
        lambda: _with(rnn__weight_hh_l0_g=torch.zeros(16, 1)),
        "The layer 'rnn' has 'weight_hh_l0_g' beside the tensors of a recurrent layer; expected weight_ih, weight_hh, "
        "weight_hr, bias_ih and bias_hh only. It is not a layer of torch.nn, or its weights are "
        "parametrised: save it after torch.nn.utils.parametrize.remove_parametrizations.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_tensors_that_do_not_fit(case: str, tmp_path: Path) -> None:
    make, message = WRONG[case]
    path = tmp_path / "m.pt"
    path.write_bytes(saved(make()))
    with pytest.raises(HoldfastError) as error:
        read(path)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not there. Check the path."),
        (
            b"",
            "is neither a file of torch.save nor of safetensors; expected one that begins as they do.",
        ),
        (
            pickle.dumps(Executes()),
            "is neither a file of torch.save nor of safetensors; expected one that begins as they do.",
        ),
        (
            b"ustar" * 200,
            "is neither a file of torch.save nor of safetensors; expected one that begins as they do.",
        ),
        (b"PK\x03\x04", "is truncated: its list of parts is missing. Take another copy of it."),
    ],
)
def test_what_is_no_file_of_pytorch(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    if content is not None:
        path.write_bytes(content)
    assert refused(path) == f"{path} {message}"


def test_a_folder(tmp_path: Path) -> None:
    assert refused(tmp_path) == f"{tmp_path} cannot be read: Is a directory."


def test_the_longest_pickle_that_is_read_is_read_in_time(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    pickled = dict_of(**{f"layer{k}.weight": tensor(1, (1,), (1,)) for k in range(3500)})
    assert 75_000 < sum(1 for _ in pickletools.genops(pickled)) < 150_000
    path.write_bytes(archive(pickled, {"0": bytes(4)}))
    assert len(read_tensors(path)) == 3500
