from __future__ import annotations

import contextlib
import json
import pickle
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from holdfast.errors import HoldfastWarning, ModelFileError
from holdfast.files import container, storage
from holdfast.interop.format_table import detect_format


@pytest.fixture(autouse=True)
def _in_under_two_seconds() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < 2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def refused(path: Path, kind: str = "model") -> str:
    with pytest.raises(ModelFileError) as error:
        storage.read(path, kind)
    assert str(error.value).startswith(str(path))
    return str(error.value).removeprefix(str(path))


def read_or_refused(path: Path) -> dict[str, torch.Tensor] | None:
    """The tensors of a damaged file that still reads, or None after a proper refusal."""
    with contextlib.suppress(ModelFileError):
        tensors, document = storage.read(path, "model")
        assert isinstance(document, dict)
        assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())
        return tensors
    refused(path)
    return None


OLD = pytest.mark.filterwarnings("ignore:.* has no digest:holdfast.errors.HoldfastWarning")


def raw(path: Path, header: bytes, data: bytes = b"", *, length: int | None = None) -> None:
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)


def with_metadata(path: Path, **metadata: str) -> None:
    save_file({"a": torch.zeros(2)}, path, {f"holdfast_{key}": value for key, value in metadata.items()})


def test_round_trip(path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "transposed": whole.T,
        "shared": whole,
        "row": whole[1],
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "empty": torch.zeros(0, 3),
        "none": torch.zeros(0),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "bytes": torch.arange(7, dtype=torch.uint8),
        "true": torch.tensor([True, False]),
        "gradient": torch.ones(2, requires_grad=True),
        "inf": torch.tensor([float("inf"), float("nan"), -0.0]),
    }
    document = {"cell": "lstm", "sizes": [1, 2], "ü": None, "x": 0.1}
    storage.write(path, tensors, document, "model")
    found, text = storage.read(path, "model")
    assert text == document
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert found[name].contiguous().view(-1).view(torch.uint8).tolist() == (
            tensor.detach().contiguous().view(-1).view(torch.uint8).tolist()
        )


def test_no_tensors(path: Path) -> None:
    storage.write(path, {}, {}, "model")
    assert storage.read(path, "model") == ({}, {})


def test_a_failed_write_leaves_the_old_file_and_no_other(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write(path, {"a": torch.zeros(2)}, {"n": 1}, "model")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("holdfast.files.container.os.fsync", full)
    with pytest.raises(ModelFileError) as error:
        storage.write(path, {"a": torch.ones(2)}, {"n": 2}, "model")
    assert str(error.value) == (
        f"{path} cannot be written: No space left on device. Make room there or choose another folder."
    )
    assert storage.read(path, "model")[1] == {"n": 1}
    assert list(path.parent.iterdir()) == [path]


def test_a_document_that_would_not_be_read_back_is_not_written(path: Path) -> None:
    with pytest.raises(ModelFileError) as error:
        storage.write(path, {}, {"text": "x" * container.MAX_HEADER_BYTES}, "model")
    assert str(error.value).endswith(
        "bytes; at most 1,048,576 are read back. Keep large lists in tensors, not in the document."
    )
    with pytest.raises(ValueError, match="Out of range float"):
        storage.write(path, {}, {"x": float("nan")}, "model")
    assert not path.exists()


def test_what_is_not_there_or_not_a_file(path: Path) -> None:
    assert refused(path) == " is not there. Check the path, or train a model first."
    assert refused(path.parent) == " cannot be read: Is a directory."
    assert refused(path / "x") == " is not there. Check the path, or train a model first."


def test_a_pickle_is_not_opened(path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("code was run",))

    path.write_bytes(pickle.dumps(Bomb()) * 3)
    expected = " is not a safetensors file, or its first bytes are damaged; expected one that Holdfast wrote."
    assert refused(path) == expected
    torch.save({"a": torch.zeros(3)}, path)
    assert refused(path) == expected
    path.write_text("what a text file says")
    assert refused(path) == expected


@OLD
def test_another_kind_version_or_maker(path: Path) -> None:
    storage.write(path, {}, {}, "checkpoint")
    assert refused(path) == " is a checkpoint; expected a model. Give the path of the model."
    with_metadata(path, format="4", kind="model", document="{}")
    assert refused(path) == " has format version 4; this Holdfast reads up to 3: upgrade holdfast."
    save_file({"a": torch.zeros(2)}, path)
    assert refused(path) == " is a safetensors file, but not one that Holdfast wrote."
    for version in ("", "-1", "1e9", "9" * 5000, "²"):
        with_metadata(path, format=version, kind="model", document="{}")
        assert refused(path) == " is a safetensors file, but not one that Holdfast wrote."


def test_truncated_anywhere(path: Path) -> None:
    storage.write(path, {"a": torch.arange(20.0), "b": torch.ones(3, 3)}, {"x": [1, 2]}, "model")
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        message = refused(path)
        assert message.startswith((" is truncated: it has", " is truncated or damaged ("))
    path.write_bytes(data + b"x")
    assert refused(path).startswith(" is truncated or damaged (")


def test_any_bit_changed(path: Path) -> None:
    storage.write(path, {"a": torch.arange(3.0)}, {"x": [1, 2]}, "model")
    data = path.read_bytes()
    for position in range(len(data)):
        for bit in range(8):
            path.write_bytes(data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1 :])
            refused(path)
    for start in range(0, len(data), 8):
        path.write_bytes(data[:start] + bytes(32) + data[start + 32 :])
        refused(path)


def test_what_is_wrong_with_a_changed_file_is_said(path: Path) -> None:
    storage.write(path, {"a": torch.arange(3.0)}, {"x": [1, 2]}, "model")
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"\x01")
    message = " is damaged: its content does not match its digest. Take another copy of it."
    assert refused(path) == message
    assert refused(path, "checkpoint") == message
    path.write_bytes(data.replace(b'_format":"3"', b'_format":"1"'))  # says that it has no digest, and has one
    assert refused(path) == message


def test_the_same_content_is_the_same_bytes_and_other_software_reads_them(path: Path) -> None:
    tensors, document = {"b": torch.ones(3, dtype=torch.float64), "a": torch.arange(3.0)}, {"text": 'ü"\\' * 20_000}
    storage.write(path, tensors, document, "model")
    data = path.read_bytes()
    assert int.from_bytes(data[:8], "little") % 8 == 0
    for _ in range(5):  # safetensors alone puts its metadata in an order that differs
        storage.write(path, tensors, document, "model")
        assert path.read_bytes() == data
    assert torch.equal(load_file(path)["a"], tensors["a"])
    assert detect_format(path).name == "holdfast"


def test_a_file_without_a_digest_is_read_with_one_warning(path: Path) -> None:
    with_metadata(path, format="1", kind="model", document="{}")
    with pytest.warns(HoldfastWarning) as found:
        assert storage.read(path, "model")[1] == {}
    assert [str(one.message) for one in found] == [
        f"{path} has no digest: an older Holdfast wrote it, and damage to its numbers cannot be detected. "
        "Write it again to give it one."
    ]
    with_metadata(path, format="0", kind="model", document="{}")
    assert refused(path).startswith(" is damaged: its content does not match its digest")


@pytest.mark.parametrize("length", [0, 1, 2**22, 2**22 + 1, 2**31, 2**63, 2**64 - 1])
def test_claimed_header_sizes(path: Path, length: int) -> None:
    raw(path, b'{"a":1}   ', length=length)
    refused(path)


def describing(dtype: str, shape: list[int], start: int, end: int) -> bytes:
    metadata = {"holdfast_format": "1", "holdfast_kind": "model", "holdfast_document": "{}"}
    tensor = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    return json.dumps({"__metadata__": metadata, "a": tensor}).encode()


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (describing("F32", [2**62, 4], 0, 8), b"x" * 8),
        (describing("F32", [2**40], 0, 2**42), b"x" * 8),
        (describing("F32", [-1], 0, 4), b"x" * 8),
        (describing("F32", [2], 8, 0), b"x" * 8),
        (describing("F32", [2], 4, 12), b"x" * 12),
        (describing("F99", [2], 0, 8), b"x" * 8),
        (describing("F32", [3], 0, 8), b"x" * 8),
        (b"{" * 1000, b""),
        (b'{"a":' * 200_000, b""),
        (b'{"__metadata__":{"holdfast_format":1}}', b""),
        (b'{"__metadata__":[]}', b""),
        (b'{"a":{"dtype":"F32","shape":[' + b"1," * 200_000 + b'1],"data_offsets":[0,4]}}', b"xxxx"),
        (b"{" + b" " * 100, b""),
        (b"{\xff\xfe}", b""),
    ],
)
def test_hostile_headers(path: Path, header: bytes, data: bytes) -> None:
    raw(path, header, data)
    refused(path)


@OLD
@pytest.mark.parametrize(
    "document",
    ["", "{", "[" * 1_000_000, '{"a":' * 120_000, "[1]", "3", "null", '{"a":NaN}', '{"a":' + "9" * 5000 + "}"],
)
def test_hostile_documents(path: Path, document: str) -> None:
    with_metadata(path, format="1", kind="model", document=document)
    assert refused(path).startswith(" is damaged: its document is not ")


@OLD
def test_the_largest_document_is_read_in_time(path: Path) -> None:
    with_metadata(path, format="1", kind="model", document='{"a":[' + "[]," * 340_000 + "[]]}")
    storage.read(path, "model")


@OLD
def test_unaligned_tensors_are_read_or_refused(path: Path) -> None:
    header = {
        "__metadata__": {"holdfast_format": "1", "holdfast_kind": "model", "holdfast_document": "{}"},
        "a": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [3, 11]},
    }
    raw(path, json.dumps(header).encode(), bytes(3) + struct.pack("<2f", 1, 2))
    tensors = read_or_refused(path)
    assert tensors is None or tensors["b"].tolist() == [1, 2]
