"""Checkpoints that these tests write, read back: every dtype, parts, shards, both forms, compressed or not."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import tf1_writer as tf
from holdfast.errors import ConversionError, MissingLibraryError, ModelFileError
from holdfast.interop.tf1.checkpoint import Checkpoint, Variable, list_variables
from holdfast.interop.tf1.crc32c import crc32c
from tf1_writer import Array

PARTS = {"parts": [(0, 70), (70, 10), (80, 20)]}


def arrays() -> dict[str, Array]:
    rng = np.random.default_rng(3)
    found: dict[str, Array] = {}
    for name in tf.DTYPES:
        kind = np.dtype(name).kind
        if kind in "fc":
            found[f"all/{name}"] = (rng.standard_normal((2, 3)) * (1 + 1j if kind == "c" else 1)).astype(name)
        elif kind == "b":
            found[f"all/{name}"] = np.array([[True, False, True]])
        else:
            limits = np.iinfo(name)
            found[f"all/{name}"] = np.array([limits.min, limits.max, 5], name)
    found["scalar"] = np.array(2.5, np.float32)
    found["empty"] = np.zeros((0, 3), np.float32)
    found["parts"] = rng.standard_normal((100, 3)).astype(np.float32)
    found["rnn/basic_lstm_cell/kernel"] = rng.standard_normal((5, 12)).astype(np.float32)
    return found


Write = Callable[[Path, dict[str, Array]], None]
FORMS: dict[str, Write] = {
    "v2": lambda path, a: tf.write_v2(path, a, PARTS),
    "v2, three shards": lambda path, a: tf.write_v2(path, a, PARTS, shards=3),
    "v2, compressed": lambda path, a: tf.write_v2(path, a, PARTS, snappy=True),
    "v1": lambda path, a: tf.write_v1(path, a, PARTS),
    "v1, not compressed": lambda path, a: tf.write_v1(path, a, PARTS, snappy=False),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_variable_comes_back(form: str, tmp_path: Path) -> None:
    written = arrays()
    FORMS[form](tmp_path / "model.ckpt-7", written)
    checkpoint = Checkpoint(tmp_path / "model.ckpt-7")
    assert set(checkpoint) == set(written)
    assert len(checkpoint) == len(written)
    for name, array in written.items():
        found = checkpoint.read(name)
        assert checkpoint.variables[name] == Variable(array.shape, found.dtype)
        assert found.numpy().dtype == array.dtype
        np.testing.assert_array_equal(found.numpy(), array)
        found.zero_()  # its own memory, not the file's


def test_bfloat16(tmp_path: Path) -> None:
    written = torch.tensor([1.0, -2.5, 3e38], dtype=torch.bfloat16)
    raw = written.view(torch.int16).numpy()
    entries = {b"": tf.header(), b"x": tf.entry(raw, 0).replace(tf.field(1, 5), tf.field(1, 14), 1)}
    (tmp_path / "m.index").write_bytes(tf.table(entries))
    (tmp_path / "m.data-00000-of-00001").write_bytes(raw.tobytes())
    assert torch.equal(Checkpoint(tmp_path / "m").read("x"), written)


def test_the_older_form_in_several_files(tmp_path: Path) -> None:
    tf.write_v1(tmp_path / "m-00000-of-00002", {"a": np.ones(3, np.float32)})
    tf.write_v1(tmp_path / "m-00001-of-00002", {"b": np.zeros((2, 1))})
    assert list_variables(tmp_path / "m") == [("a", (3,), torch.float32), ("b", (2, 1), torch.float64)]
    assert torch.equal(Checkpoint(tmp_path / "m").read("b"), torch.zeros(2, 1, dtype=torch.float64))
    (tmp_path / "m-00001-of-00002").unlink()
    with pytest.raises(ModelFileError, match=r"m-00001-of-00002 is not there, and belongs to the checkpoint"):
        Checkpoint(tmp_path / "m")


def test_a_path_may_be_the_index_or_the_folder(tmp_path: Path) -> None:
    tf.write_v2(tmp_path / "model.ckpt-7", {"a": np.ones(3, np.float32)})
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "/elsewhere/model.ckpt-7"\nall_model_checkpoint_paths: "/elsewhere/model.ckpt-6"\n'
    )
    for path in (tmp_path, tmp_path / "checkpoint", tmp_path / "model.ckpt-7.index", tmp_path / "model.ckpt-7"):
        assert [name for name, *_ in list_variables(path)] == ["a"]
        assert Checkpoint(str(path)).path == tmp_path / "model.ckpt-7"


def test_what_is_not_there(tmp_path: Path) -> None:
    for path, text in (
        (tmp_path / "m", f"There is no checkpoint {tmp_path / 'm'}, nor {tmp_path / 'm.index'}. Check the path."),
        (tmp_path, f"{tmp_path} has no file 'checkpoint' that names one. Give its own path."),
    ):
        with pytest.raises(ModelFileError) as caught:
            Checkpoint(path)
        assert str(caught.value) == text
    tf.write_v2(tmp_path / "m", {"kernel": np.ones(3, np.float32)})
    with pytest.raises(ModelFileError) as caught:
        Checkpoint(tmp_path / "m").read("kernl")
    assert str(caught.value) == (
        f"{tmp_path / 'm'} has no variable 'kernl': did you mean 'kernel'? list_variables lists its variables."
    )


def test_strings_are_listed_and_not_read(tmp_path: Path) -> None:
    entries = {b"": tf.header(), b"words": tf.field(1, 7) + tf.field(2, tf.shape_of((2,)))}
    (tmp_path / "m.index").write_bytes(tf.table(entries))
    assert list_variables(tmp_path / "m") == [("words", (2,), None)]
    with pytest.raises(ConversionError) as caught:
        Checkpoint(tmp_path / "m").read("words")
    assert (
        str(caught.value) == f"{tmp_path / 'm'} has variable 'words' of a dtype that torch does not have. Leave it out."
    )


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tf.write_v1(tmp_path / "m", {"a": np.ones(3, np.float32)})
    real = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name == "cramjam":
            raise ImportError("No module named 'cramjam'")
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingLibraryError, match=re.escape("pip install 'holdfast[tf1]'")):
        Checkpoint(tmp_path / "m")


@pytest.mark.parametrize("length", [0, 1, 9, 4095, 4096 * 8 - 1, 4096 * 8, 4096 * 8 + 1, 100_003])
def test_check_sums(length: int) -> None:
    data = np.random.default_rng(length).integers(0, 256, length, np.uint8).tobytes()
    assert crc32c(data) == tf.crc32c(data)


def test_the_check_value_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


def test_a_checkpoint_that_tensorflow_wrote(conformance: Callable[[str], Path]) -> None:
    checkpoint = Checkpoint(conformance("tf1-checkpoint"))
    assert len(checkpoint) == 14
    assert checkpoint.variables["rnn/basic_lstm_cell/kernel"] == Variable((4, 8), torch.float32)
    assert all(torch.isfinite(checkpoint.read(name)).all() for name in checkpoint)
    assert checkpoint.read("beta1_power").item() < 0.9


def test_long_lists_of_numbers(tmp_path: Path) -> None:
    """Numbers of one to ten bytes, in pieces that end within some of them."""
    rng = np.random.default_rng(5)
    values = (rng.integers(-(2**63), 2**63 - 1, 400_000) >> rng.integers(0, 63, 400_000)).astype(np.int64)
    tf.write_v1(tmp_path / "m", {"x": values}, snappy=False)
    np.testing.assert_array_equal(Checkpoint(tmp_path / "m").read("x").numpy(), values)
