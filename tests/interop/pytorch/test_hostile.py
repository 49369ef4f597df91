"""Files that are not what they say to be: one clear error each, soon, in little memory, and nothing is executed."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import resource
import struct
import time
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.interop.pytorch.hostile_pickles import (
    EXECUTED,
    PICKLES,
    Evaluates,
    Executes,
    archive,
    dict_of,
    legacy,
    saved,
    state_dict,
    tensor,
)
from tests.interop.pytorch.hostile_tensors import SAFETENSORS, WRONG
from torch import nn

from holdfast.errors import HoldfastError
from holdfast.interop.pytorch.files import list_layers, read
from holdfast.interop.pytorch.pickles import MAX_OPCODES
from holdfast.interop.pytorch.tensors import read_tensors

SECONDS = 2
BYTES = 500 * 2**20


@pytest.fixture(autouse=True)
def _little_time_and_memory() -> Iterator[None]:
    """What a test does takes at most 2 s of the processor and 500 MB of addresses beyond those in use.

    On a slow processor it may take as long as going through the opcodes of the longest pickle that is read 50 times.
    """
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, before[1]))
    start = time.process_time()
    yield
    spent = time.process_time() - start
    resource.setrlimit(resource.RLIMIT_AS, before)
    assert spent < SECONDS or spent < 50 * _seconds_of_opcodes()
    assert EXECUTED not in os.environ


def _seconds_of_opcodes() -> float:
    """The time of the processor that Python's own tool takes for as many opcodes as are read at most."""
    pickle = b"N" * MAX_OPCODES + b"."
    start = time.process_time()
    for _ in pickletools.genops(pickle):
        pass
    return time.process_time() - start


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


@pytest.mark.parametrize("case", SAFETENSORS)
def test_safetensors(case: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(SAFETENSORS[case])
    with pytest.raises(HoldfastError) as error:
        read(path)
    assert str(error.value).startswith(str(path))


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
