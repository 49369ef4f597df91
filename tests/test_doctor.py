from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
import torch

import holdfast.doctor
from holdfast.cli import main
from holdfast.doctor import diagnose
from holdfast.engines import ENGINES


@pytest.fixture
def native() -> Any:
    return pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


def test_the_facts_are_those_of_this_process(native: Any) -> None:
    facts = diagnose().facts
    assert facts["libraries"]["torch"] in (torch.__version__, torch.__version__.partition("+")[0])  # of 2.8.0+cu128
    assert facts["threads"]["torch"] == torch.get_num_threads()
    assert facts["kernels"]["instruction sets"] == native.instruction_sets()
    assert facts["kernels"]["chosen"] == native.chosen()
    assert facts["engines"].keys() == ENGINES.keys()
    assert facts["engines"]["native"] == ["on cpu"]
    if not torch.cuda.is_available():
        assert facts["engines"]["cudnn"] == "not here: it computes on CUDA, and the input is on cpu."
        assert facts["CUDA"]["devices"].startswith("none: ")
    assert len(facts["threads"]["OpenMP runtimes"]) >= 1


def test_the_features_explain_the_instruction_sets(native: Any) -> None:
    features = diagnose().facts["processor"]["features"]
    if not features:
        pytest.skip("this torch does not tell them")
    needed = {"avx512": {"avx512_bw", "avx512_dq"}, "avx2": {"avx2", "fma3"}, "neon": {"neon"}}
    needed["avx512_bf16"] = needed["avx512"] | {"avx512_bf16"}
    needed["avx512_amx"] = needed["avx512_bf16"] | {"amx_bf16"}
    for isa in native.instruction_sets():
        assert needed.get(isa, set()) <= set(features)


def test_the_command_prints_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["doctor"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found == diagnose().as_dict()
    lines = text.splitlines()
    for section in found.keys() - {"problems"}:
        assert section in lines
    assert "  reference  on cpu" in lines
    assert [line for line in lines if line.startswith("problem: ")] == [f"problem: {p}" for p in found["problems"]]


def test_a_second_copy_of_the_runtime_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def problems(*requirements: str) -> list[str]:
        monkeypatch.setattr(holdfast.doctor, "version", lambda name: "0.1.0")
        monkeypatch.setattr(holdfast.doctor, "requires", lambda name: requirements)
        found: list[str] = []
        holdfast.doctor._check_distributions(found)
        return found

    assert problems("torch>=2.8", "holdfast-runtime==0.1.0") == []
    assert problems("torch>=2.8") == [
        "holdfast-runtime 0.1.0 is installed beside a holdfast 0.1.0 that was compiled here and has the same files. "
        "Keep one: pip uninstall holdfast-runtime, then install Holdfast again."
    ]


def doctor(*, before: str = "", **environment: str) -> dict[str, Any]:
    """What the command says in a process of its own."""
    program = f"{before}\nfrom holdfast.cli import main\nmain(['doctor', '--json'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_without_the_kernels_it_says_what_to_do() -> None:
    found = doctor(before="import sys; sys.modules['holdfast.runtime._native'] = None", HOLDFAST_ISA="")
    assert found["kernels"] == {"instruction sets": [], "chosen": None, "HOLDFAST_ISA": None}
    assert found["engines"]["native"].startswith("not here: Holdfast was installed without its native kernels (")
    (problem,) = found["problems"]
    assert problem.startswith("The native kernels are missing (")
    assert problem.endswith(
        "), so layers on the CPU run on the slower reference. Install a C++ compiler with OpenMP, then install "
        "Holdfast again, without HOLDFAST_NO_NATIVE."
    )


def test_an_instruction_set_that_was_forced_is_a_problem_where_it_is_not_the_best(native: Any) -> None:
    compiled = native.instruction_sets()
    best, last = compiled[0], compiled[-1]
    found = doctor(HOLDFAST_ISA=last)
    assert (found["kernels"]["chosen"], found["kernels"]["HOLDFAST_ISA"]) == (last, last)
    expected = f"HOLDFAST_ISA forces {last}, and this processor has {best}. Unset it for full speed."
    assert found["problems"] == ([] if best == last else [expected])
    found = doctor(HOLDFAST_ISA="sse9")
    assert found["kernels"]["chosen"] is None
    here = ", ".join(found["kernels"]["instruction sets"])
    assert found["problems"] == [
        f"HOLDFAST_ISA is sse9. There are no kernels for 'sse9'; this processor can run: {here}. Without HOLDFAST_ISA, "
        "the best compiled set is used."
    ]


def test_threads_that_share_cores_and_runtimes_that_share_them_are_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    runtimes = [
        {"user_api": "openmp", "filepath": "/torch/lib/libgomp.so.1"},
        {"user_api": "blas", "filepath": "/numpy/libopenblas.so"},
        {"user_api": "openmp", "filepath": "/lib/libomp.so.5"},
    ]
    monkeypatch.setattr(holdfast.doctor, "threadpool_info", lambda: runtimes)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    found = diagnose()
    assert found.facts["threads"]["OpenMP runtimes"] == ["/lib/libomp.so.5", "/torch/lib/libgomp.so.1"]
    assert found.problems[-2:] == [
        "torch uses 3 threads, and this process may use 2 of the cores, so threads wait for one another. Set "
        "OMP_NUM_THREADS=2.",
        "2 OpenMP runtimes are loaded, and their threads compete for the same cores. Use one: build "
        "Holdfast with a compiler that has torch's runtime (GCC for libgomp, Clang for libomp), and import torch "
        "before other libraries.",
    ]


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["numpy>=1.26", 'no-such-library[more]>=2; python_version > "3" and extra == "plots"', "torch"]
    monkeypatch.setattr(holdfast.doctor, "requires", lambda _: asked)
    facts = diagnose().facts
    assert facts["libraries"].keys() == {"numpy", "torch"}
    assert facts["optional libraries: plots"] == {"no-such-library": None}
    assert "  no-such-library  none" in str(diagnose()).splitlines()
