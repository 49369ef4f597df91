"""One OpenMP runtime in a process, whichever of Holdfast and torch is imported first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from holdfast.runtime import openmp

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the maps of a process are Linux's")

STARTS = int(os.environ.get("HOLDFAST_STARTS", "1"))  # each of a process that must end within two minutes

# Runs kernels on two threads, and torch on two threads, then prints the OpenMP runtimes that are mapped.
USE = """
import re
import numpy as np
from holdfast.runtime import Stream
from holdfast.runtime.network import StreamNetwork
from holdfast.cells.spec import CellSpec
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Recurrent

spec = CellSpec(kind="lstm", input_size=64, hidden_size=512)
arrays = {name + "_l0": np.ones(shape, np.float32) for name, shape in spec.parameter_shapes().items()}
stream = Stream(StreamNetwork(Chain((Recurrent("", (spec,)),)), arrays), 8)
assert np.isfinite(stream.run(np.ones((8, 4, 64), np.float32))).all()
"""
PRINT = """
mapped = {line.split()[-1] for line in open("/proc/self/maps") if re.search(r"lib(g|i|)omp", line)}
print("\\n".join(sorted(mapped)))
"""
TORCH = "import torch; torch.ones(400, 400) @ torch.ones(400, 400)\n"


def mapped_by(program: str) -> list[str]:
    environment = {"OMP_NUM_THREADS": "2", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("order", ["holdfast first", "torch first", "holdfast alone"])
def test_one_runtime_is_loaded(order: str) -> None:
    programs = {"holdfast first": USE + TORCH, "torch first": TORCH + USE, "holdfast alone": USE}
    expected = openmp.of_torch()
    for _ in range(STARTS):
        (mapped,) = mapped_by(programs[order] + PRINT)
        if expected is not None:  # a torch that uses the system's has none
            assert Path(mapped).resolve() == expected.resolve()


def test_the_runtime_of_torch_is_in_its_folder() -> None:
    found = openmp.of_torch()
    inside = [*Path(torch.__file__).parent.glob("lib/libgomp*.so*")]
    assert found is None or not inside or found in inside


@pytest.mark.parametrize("place", ["torch/lib/libgomp.so.1", "torch.libs/libgomp-947d5fa1.so.1.0.0"])
def test_a_torch_that_is_not_imported(place: str, tmp_path: Path) -> None:
    """Both places where torch's wheels have had it; here with a copy, in a folder that is no torch otherwise."""
    source = openmp.of_torch()
    if source is None:
        pytest.skip("this torch has no OpenMP runtime of its own")
    copy = tmp_path / place
    for folder in (copy.parent, tmp_path / "torch"):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, copy)
    (tmp_path / "torch" / "__init__.py").write_text("raise AssertionError('torch is imported')")
    (mapped,) = mapped_by(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + USE + PRINT)
    assert Path(mapped) == copy


def test_without_torch_the_copy_of_a_wheel_comes_before_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "find_spec", lambda name: None)
    assert openmp.of_torch() is None
    tried: list[tuple[str, int]] = []

    def refuse(name: str, mode: int) -> None:
        tried.append((name, mode))
        raise OSError(f"{name} is not there")

    monkeypatch.setattr(openmp.ctypes, "CDLL", refuse)
    openmp.prepare()
    beside = str(Path(openmp.__file__).with_name("libgomp.so.1"))
    visible = os.RTLD_GLOBAL
    assert tried == [
        ("libgomp.so.1", visible | os.RTLD_NOLOAD),
        (beside, visible),
        ("libgomp.so.1", visible),
    ]


def test_one_that_is_loaded_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(openmp.ctypes, "CDLL", lambda name, mode: tried.append(name))
    openmp.prepare()
    assert tried == ["libgomp.so.1"]


def test_other_systems_have_their_own_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(openmp.ctypes, "CDLL", lambda name, mode: pytest.fail(f"{name} is loaded"))
    openmp.prepare()


def test_a_module_torch_without_a_spec_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", type(sys)("torch"))
    assert openmp.of_torch() is None
