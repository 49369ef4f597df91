"""The benchmarks run and refuse wrong numbers, and the README has their results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import cases, instruction_sets, layers, results, run, table, terminal
from benchmarks.keras_peer import from_keras, reordered, to_keras
from benchmarks.languages import CHINESE, language_of
from benchmarks.products import products, steps_of
from benchmarks.rounds import Wrong, check, in_turn, quartiles, ratio, settle

from holdfast.runtime import _native

ROOT = Path(__file__).resolve().parents[1]
README, RESULTS = ROOT / "README.md", ROOT / "benchmarks" / "results.json"


def command(module: str, *arguments: str | Path) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a short run prints, and the file that it writes."""
    folder = tmp_path_factory.mktemp("benchmarks")
    file = folder / "out" / "results.json"
    return short_run(file, "LSTM, 2 layers (128", "LSTM, one row"), file


def short_run(file: Path, *titles: str) -> str:
    """What a run of the cases with these titles prints, with peers in this environment and one that is missing."""
    peers = ["--peers", "torch.nn", "onnxruntime", "openvino", "--environments", file.parent / "none"]
    isa = ["--isa", instruction_sets.current()]
    return command(
        "benchmarks", "--cases", *titles, *peers, *isa, "--pairs", "2", "--threads", "1", "--json", file, "--resume"
    )


def test_a_short_run(small: tuple[str, Path]) -> None:
    printed, file = small
    results = json.loads(file.read_text("utf-8"))
    assert [case["name"] for case in results["cases"]] == ["LSTM, 2 layers", "LSTM, one row"]
    for case in results["cases"]:
        assert set(case["passes"]) == {"forward", "training"}
        assert 0 < case["largest_difference"] < 1e-4
        for which, found in case["passes"].items():
            assert found["rounds"] == 2
            assert found["ms"] > 0
            # onnxruntime has no training and always uses the best instruction set of the processor.
            other = [cases.ONNXRUNTIME] if which == "forward" and not instruction_sets.limited() else []
            assert list(found["peers"]) == [cases.TORCH, *other, cases.PRODUCTS]
            for name, peer in found["peers"].items():
                assert 0.2 < peer["ratio"] / (peer["ms"] / found["ms"]) < 5
                assert peer["quartiles"][0] <= peer["ratio"] <= peer["quartiles"][1]
                assert terminal.figure(name, peer["ratio"]) in printed
    assert results["threads"] == 1
    missing = {"openvino": "its environment is not there (make bench-peers makes it)"}
    assert results["skipped"] == ({} if instruction_sets.limited() else missing)  # not asked for where it is left out


def test_a_run_that_was_interrupted_continues(small: tuple[str, Path], tmp_path: Path) -> None:
    before = json.loads(small[1].read_text("utf-8"))
    file = tmp_path / "results.json"
    file.write_text(json.dumps({**before, "cases": before["cases"][1:]}), "utf-8")
    short_run(file, "LSTM, 2 layers (128", "LSTM, one row")
    after = json.loads(file.read_text("utf-8"))["cases"]
    assert [case["name"] for case in after] == ["LSTM, one row", "LSTM, 2 layers"]
    assert after[0] == before["cases"][1]


def test_a_run_does_not_continue_results_of_another_machine(small: tuple[str, Path]) -> None:
    with pytest.raises(SystemExit, match=r"has other threads \(1\) than this run \(64\); start again without --resume"):
        results.resumed(small[1], 64)


def test_another_instruction_set_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    best, *others = _native.instruction_sets()
    if not others:
        pytest.skip(f"only kernels for {best} are compiled")
    file = tmp_path / "results.json"
    asked = ["--cases", "(128, 8, 2, 20)", "--peers", "torch.nn", "onnxruntime", "--pairs", "1", "--threads", "1"]
    command("benchmarks", *asked, "--isa", best, others[-1], "--json", file)
    first, second = json.loads(file.read_text("utf-8"))["cases"]
    assert [first["instruction_set"], second["instruction_set"]] == [best, others[-1]]
    assert list(second["passes"]["forward"]["peers"]) == [cases.TORCH, cases.PRODUCTS]
    assert second["skipped"] == {"onnxruntime": "it has no switch for the instruction set"}
    assert "onnxruntime" in first["passes"]["forward"]["peers"]


def test_avx2_is_measured_too_where_the_best_is_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instruction_sets, "current", lambda: "avx512_bf16")
    assert instruction_sets.wanted() == ["avx512_bf16", "avx2"]
    monkeypatch.setattr(instruction_sets, "current", lambda: "neon")
    assert instruction_sets.wanted() == ["neon"]


def test_the_readme_gets_what_was_measured(small: tuple[str, Path], tmp_path: Path) -> None:
    readmes = [tmp_path / "README.md", tmp_path / "README.zh-CN.md"]
    for readme in readmes:
        readme.write_text(f"before\n{table.START}\nthe last ones\n{table.END}\nafter\n", "utf-8")
    command("benchmarks.table", small[1], *readmes)
    text, chinese = (readme.read_text("utf-8") for readme in readmes)
    for written in (text, chinese):
        assert written.startswith(f"before\n{table.START}\n")
        assert written.endswith(f"{table.END}\nafter\n")
        assert "the last ones" not in written
    case = json.loads(small[1].read_text("utf-8"))["cases"][0]
    forward, training = (case["passes"][which]["peers"]["torch.nn"]["ratio"] for which in ("forward", "training"))
    (row,) = [line for line in text.splitlines() if line.startswith("| LSTM, 2 layers (128, 8, 2, 20) |")]
    assert f"| {forward:.2f} / {training:.2f} |" in row
    assert row.replace("LSTM, 2 layers", "LSTM，2 层") in chinese.splitlines()


@pytest.mark.parametrize("readme", [README, README.with_suffix(".zh-CN.md")], ids=lambda path: path.name)
def test_the_readme_is_of_the_results(readme: Path) -> None:
    expected = table.markdown(json.loads(RESULTS.read_text("utf-8")), language_of(readme))
    assert table.documented(readme.read_text("utf-8")) == expected


def test_every_case_has_a_chinese_name() -> None:
    assert {CHINESE.label(case.name) for case in cases.all_cases()} >= {"LSTM，2 层，双向", "GRU，单个序列"}
    with pytest.raises(KeyError):
        CHINESE.label("LSTM, 3 layers")


def test_peers_that_are_not_there_are_named(tmp_path: Path) -> None:
    settings = run.Settings(1, 1, 1.0, ["keras-jax"], tmp_path)
    case = cases.Case("layers", "LSTM", "LSTM", (2, 3, 4, 5), peers=("torch.nn", "keras-jax"))
    found = run.measure(case, settings)
    assert found["skipped"] == {"keras-jax": "its environment is not there (make bench-peers makes it)"}
    assert found["passes"]["forward"]["peers"] == {}


def test_no_speed_for_wrong_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    right = layers.Layer.answers

    def wrong(self: layers.Layer) -> dict[str, np.ndarray]:
        found = dict(right(self))
        if self.name == "torch.nn":
            found["weight_hh_l0"] = found["weight_hh_l0"] * np.float32(1.001)
        return found

    monkeypatch.setattr(layers.Layer, "answers", wrong)
    case = cases.Case("layers", "LSTM", "LSTM", (2, 3, 4, 5))
    found = run.measure(case, run.Settings(1, 1, 1.0, None, tmp_path))
    assert found["passes"] == {}
    assert found["wrong"].startswith("compared with torch.nn, weight_hh_l0 differs by 1.0e-03 of the largest value;")


def test_nan_is_wrong() -> None:
    with pytest.raises(Wrong, match=r"output differs by nan of the largest value; 1e-04 is allowed\."):
        check({"output": np.float32([1, np.nan])}, {"output": np.float32([1, 2])}, 1e-4)


@pytest.mark.parametrize("shape", [(6, 9, 5, 7), (3, 1, 2, 4)])
@pytest.mark.parametrize("cell", cases.GATES)
def test_every_kind_of_case_agrees_with_its_peers(cell: str, shape: tuple[int, int, int, int]) -> None:
    kinds = [
        cases.Case("layers", "loop", cell, shape, peers=(cases.TORCH, cases.CELL_LOOP)),
        cases.Case("layers", "lengths", cell, shape, uneven=shape[1] > 1),
        cases.Case("layers", "stream", cell, shape, peers=cases.STREAM_PEERS, passes=("step",)),
        cases.Case("layers", "two", cell, shape, cases.TWO_LAYERS, peers=cases.STREAM_PEERS, passes=("step",)),
        cases.Case("layers", "two ways", cell, shape, {"num_layers": 2, "bidirectional": True}),
        cases.Case("cells", "cell", cell, shape, peers=(cases.TORCH,)),
        cases.Case("memory", "long", cell, shape, peers=(cases.TORCH, cases.RECOMPUTE)),
        cases.Case("variants", "zoneout", cell, shape, {"zoneout_h": 0.5}, peers=(cases.PLAIN,)),
        cases.Case("variants", "states", cell, shape, peers=(cases.PLAIN,), states=True),
    ]
    settings = run.Settings(1, 1, 1.0, [cases.TORCH, cases.CELL_LOOP, cases.ONNXRUNTIME], ROOT)
    for case in kinds:
        given = layers.numbers(case)
        skipped: dict[str, str] = {}
        contenders, _ = run.taking_part(case, given, settings, skipped)
        assert [c.name for c in contenders] == ["holdfast", *(name for name in case.peers if name != cases.OPENVINO)]
        assert run.compare(case, given, contenders) < 1e-5, case.name


def test_gates_in_the_order_of_keras() -> None:
    def gates(*names: int) -> np.ndarray:
        return np.repeat(np.float32(names), 2)[:, None] * np.ones((1, 3), np.float32)

    r, z, n = 1, 2, 3
    assert np.array_equal(reordered("GRU", gates(r, z, n)), gates(z, r, n))
    given = {"weight_ih_l0": gates(r, z, n), "weight_hh_l0": gates(r, z, n)[:, :2]}
    given |= {"bias_ih_l0": gates(r, z, n)[:, 0], "bias_hh_l0": -gates(r, z, n)[:, 0]}
    kernel, recurrent, bias = to_keras("GRU", given)
    assert (kernel.shape, recurrent.shape, bias.shape) == ((3, 6), (2, 6), (2, 6))
    back = from_keras("GRU", [kernel, recurrent, bias])
    assert all(np.array_equal(back[name], given[name]) for name in given)


def operations(case: cases.Case, rows: list[int], which: str) -> int:
    return sum(2 * left.shape[0] * left.shape[1] * right.shape[1] for left, right, _ in products(case, rows, which))


def test_products_are_those_of_the_equations() -> None:
    one = cases.Case("layers", "", "LSTM", (2, 3, 5, 7))
    assert operations(one, [2, 2, 2], "forward") == 2 * 6 * 4 * 7 * (5 + 7)
    assert operations(one, [2, 2, 2], "training") == 2 * 6 * 4 * 7 * (2 * 5 + 3 * 7)
    both = cases.Case("layers", "", "GRU", (2, 3, 5, 7), {"num_layers": 2, "bidirectional": True})
    forward = 2 * 6 * 3 * 7 * 2 * ((5 + 7) + (14 + 7))
    assert operations(both, [2, 2, 2], "forward") == forward
    assert operations(both, [2, 2, 2], "training") == 3 * forward - 2 * 6 * 3 * 7 * 2 * 5
    uneven = layers.numbers(cases.Case("layers", "", "LSTM", (3, 4, 5, 7), uneven=True))
    assert sorted(uneven.lengths.tolist()) == [2, 3, 4]
    assert steps_of(uneven) == [3, 3, 2, 1]
    for left, right, out in products(one, [2, 2, 1], "training"):
        assert out.shape == (len(left), right.shape[1])


class Recorded:
    def __init__(self, name: str, log: list[str]):
        self.name, self._log = name, log

    def seconds(self, which: str, calls: int, warm: bool) -> float:
        self._log.append(f"{self.name} {which} {calls} {warm}")
        return len(self._log) / 10


def test_contenders_run_in_turn_there_and_back() -> None:
    log: list[str] = []
    both = [Recorded("a", log), Recorded("b", log)]
    times = in_turn(both, "forward", {"a": 1, "b": 4}, 2, lambda text: None)  # type: ignore[arg-type]
    assert log == ["a forward 1 False", "b forward 4 True", "b forward 4 True", "a forward 1 False"]
    assert times == {"a": [0.1, 0.4], "b": [0.2, 0.3]}
    assert ratio(times["a"], times["b"]) == pytest.approx((0.1 / 0.2 + 0.4 / 0.3) / 2)
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0], [1.0] * 5) == [2.0, 4.0]


def test_a_turn_begins_when_the_threads_of_the_last_one_sleep() -> None:
    asleep = threading.Event()

    def spin() -> None:
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass
        asleep.set()

    threading.Thread(target=spin).start()
    settle()
    assert asleep.is_set()


def test_the_table_of_two_instruction_sets() -> None:
    def case(instruction_set: str, torch: float, products: float) -> dict[str, Any]:
        peers = {cases.TORCH: {"ms": 2.0, "ratio": torch}, cases.PRODUCTS: {"ms": 0.5, "ratio": products}}
        if instruction_set == "avx512":
            peers["keras-jax"] = {"ms": 4.0, "ratio": 4.0}
            peers["keras-torch"] = {"ms": 3.0, "ratio": 3.0}
        one = {"ms": 1.0, "rounds": 3, "peers": peers}
        start = {"group": "layers", "name": "LSTM", "shape": [1, 2, 3, 4], "instruction_set": instruction_set}
        return {**start, "passes": {"forward": one}, "skipped": {}}

    measured = results.new(2) | {"cases": [case("avx512", 1.5, 0.75), case("avx2", 1.25, 0.875)]}
    lines = table.markdown(measured).splitlines()
    assert "avx512 and avx2, 2 threads" in lines[0]
    assert lines[-3:] == [
        "| layer (B, T, I, H) | time | of the products | torch.nn | Keras | avx2: of the products | avx2: torch.nn |",
        "|---|---|---|---|---|---|---|",
        "| LSTM (1, 2, 3, 4) | 1 ms | 75 % | 1.50 | 3.00 | 88 % | 1.25 |",
    ]
