"""ONNX files that are not what they say to be: one clear error each, soon and in little memory."""

from __future__ import annotations

import contextlib
import re
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from tests.interop.onnx.hostile_files import FILES, TENSORS
from tests.interop.onnx.hostile_graphs import GRAPHS, loop
from tests.interop.onnx.hostile_layers import LAYERS
from tests.interop.onnx.hostile_models import WHOLE, outside
from tests.interop.onnx.models import model, value

from holdfast.errors import HoldfastError
from holdfast.interop.onnx import files as onnx_files

SECONDS = 2
BYTES = 500 * 2**20


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


def computed(*nodes: tuple[str, list[str], str, dict[str, Any]], **tensors: Any) -> bytes:
    """A model that computes of constants alone, and adds x."""
    made = [helper.make_node(op, ins, [out], **attributes) for op, ins, out, attributes in nodes]
    made.append(helper.make_node("Add", ["x", made[-1].output[0]], ["y"]))
    kept = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()]
    return bytes(model(made, [value("x")], [value("y")], kept).SerializeToString())


def doubled(times: int) -> bytes:
    """Constants that are put beside themselves over and over."""
    nodes = [("Concat", [f"v{k}", f"v{k}"], f"v{k + 1}", {"axis": 0}) for k in range(times)]
    return computed(*nodes, v0=np.ones(1000, np.float32))


def multiplied(times: int) -> bytes:
    """Products of large matrices one after the other."""
    nodes = [("MatMul", [f"v{k}", "v0"], f"v{k + 1}", {}) for k in range(times)]
    return computed(*nodes, v0=np.ones((1000, 1000), np.float32))


def summed(times: int) -> bytes:
    """One long vector, summed again and again."""
    nodes = [("ReduceSum", ["v"], f"s{k}", {"keepdims": 0}) for k in range(times)]
    nodes += [("Add", [f"t{k}" if k else "s0", f"s{k}"], f"t{k + 1}", {}) for k in range(times)]
    return computed(*nodes, v=np.ones(2**20, np.float32))


HARMLESS = {
    "a terabyte of zeros, and one added": computed(
        ("ConstantOfShape", ["n"], "z", {}), ("Add", ["z", "one"], "w", {}), n=[2**20, 2**20], one=np.float32(1)
    ),
    "a number expanded to a terabyte": computed(
        ("Expand", ["one", "n"], "z", {}), ("Neg", ["z"], "w", {}), n=[2**20, 2**20], one=np.float32(1)
    ),
    "a number repeated 2^40 times": computed(("Tile", ["one", "n"], "w", {}), n=[2**40], one=np.ones(1, np.float32)),
    "2^50 numbers in a row": computed(
        ("Range", ["a", "b", "c"], "r", {}), ("Cast", ["r"], "w", {"to": 1}), a=0, b=2**50, c=1
    ),
    "2^50 ones in a row": computed(
        ("OneHot", ["a", "b", "c"], "w", {}), a=np.array([0]), b=np.int64(2**50), c=np.float32([0, 1])
    ),
    "padding of 2^50": computed(("Pad", ["one", "n"], "w", {}), n=[0, 2**50], one=np.ones(1, np.float32)),
    "constants that double 50 times": doubled(50),
    "three hundred products of large matrices": multiplied(300),
    "five hundred sums of a million numbers": summed(500),
    "shapes of shapes": computed(
        ("Shape", ["v"], "s0", {}), *(("Concat", [f"s{k}"] * 2, f"s{k + 1}", {"axis": 0}) for k in range(40)), v=[1.0]
    ),
    "a loop of many rounds": loop(1_000_000),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_would_take_long_is_not_computed_on_reading(name: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(HARMLESS[name])
    assert onnx_files.read(tmp_path / "model.onnx").inputs == ("x",)


CASES = {**FILES, **TENSORS, **LAYERS, **GRAPHS}


@pytest.mark.parametrize("name", CASES)
def test_it_ends_in_one_clear_error(name: str, tmp_path: Path) -> None:
    content, message = CASES[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(HoldfastError, match=f"^{re.escape(message.format(path=path))}"):
        onnx_files.read(path)


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 100


@pytest.mark.parametrize("byte", range(0, len(WHOLE), 7))
def test_a_flipped_bit_is_refused_or_harmless(byte: int, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    content = bytearray(WHOLE)
    content[byte] ^= 1 << byte % 8
    path.write_bytes(bytes(content))
    with contextlib.suppress(HoldfastError):  # nothing else may come out of it
        onnx_files.read(path)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(192))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").symlink_to(tmp_path / "secret")
    path = folder / "model.onnx"
    path.write_bytes(outside(location="weights"))
    with pytest.raises(
        HoldfastError, match=r"lies in 'weights'; expected a file in the folder of the model. Refused.$"
    ):
        onnx_files.read(path)


def test_a_file_too_large_for_protobuf_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as handle:
        handle.write(WHOLE)
        handle.truncate(3 * 2**30)  # a hole: it takes no room on the disk
    with pytest.raises(HoldfastError, match=re.escape(f"{path} has 3,221,225,472 bytes; an ONNX file has at most")):
        onnx_files.read(path)


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(HoldfastError, match=r"none.onnx is not there. Check the path.$"):
        onnx_files.read(tmp_path / "none.onnx")
    with pytest.raises(HoldfastError, match=f"^{re.escape(str(tmp_path))} cannot be read: Is a directory.$"):
        onnx_files.read(tmp_path)


def test_constants_of_any_size_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    shape = numpy_helper.from_array(np.array([2**20, 2**20], np.int64), "shape")
    node = helper.make_node("ConstantOfShape", ["shape"], ["y"])
    onnx.save(model([node], [], [value("y")], [shape]), path)
    assert onnx_files.read(path)().shape == (2**20, 2**20)
