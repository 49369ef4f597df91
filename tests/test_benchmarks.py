"""The benchmarks run and refuse wrong numbers, and the README has their results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import cases, layers, run, table
from benchmarks.keras_peer import from_keras, reordered, to_keras
from benchmarks.rounds import Wrong, check, in_turn, ratio

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
    asked = [
        "--cases",
        "2 layers (128",
        "one row",
        "--peers",
        "torch.nn",
        "keras-jax",
        "--pairs",
        "2",
        "--threads",
        "1",
    ]
    where = ["--environments", folder, "--json", folder / "out" / "results.json"]
    return command("benchmarks", *asked, *where), folder / "out" / "results.json"


def test_a_short_run(small: tuple[str, Path]) -> None:
    printed, file = small
    results = json.loads(file.read_text("utf-8"))
    assert [case["name"] for case in results["cases"]] == ["LSTM, 2 layers", "LSTM, one row"]
    for case in results["cases"]:
        assert set(case["passes"]) == {"forward", "training"}
        assert 0 < case["largest_difference"] < 1e-4
        for found in case["passes"].values():
            assert found["rounds"] == 2
            assert found["ms"] > 0
            peer = found["peers"]["torch.nn"]
            assert 0.2 < peer["ratio"] / (peer["ms"] / found["ms"]) < 5
            assert f"{peer['ratio']:.2f}" in printed
    assert results["threads"] == 1
    assert 0 < results["cases"][0]["passes"]["forward"]["gflops"] < results["fma_peak_gflops"]["1"] * 1.2


def test_the_readme_gets_what_was_measured(small: tuple[str, Path], tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.START}\nthe last ones\n{table.END}\nafter\n", "utf-8")
    command("benchmarks.table", small[1], readme)
    text = readme.read_text("utf-8")
    assert text.startswith(f"before\n{table.START}\n")
    assert text.endswith(f"{table.END}\nafter\n")
    assert "the last ones" not in text
    case = json.loads(small[1].read_text("utf-8"))["cases"][0]
    forward, training = (case["passes"][which]["peers"]["torch.nn"]["ratio"] for which in ("forward", "training"))
    (row,) = [line for line in text.splitlines() if line.startswith("| LSTM, 2 layers (128, 8, 2, 20) |")]
    assert f"| {forward:.2f} / {training:.2f} |" in row


def test_the_readme_is_of_the_results() -> None:
    assert table.documented(README.read_text("utf-8")) == table.markdown(json.loads(RESULTS.read_text("utf-8")))


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
        cases.Case("layers", "stream", cell, shape, passes=("step",)),
        cases.Case("layers", "two ways", cell, shape, {"num_layers": 2, "bidirectional": True}),
        cases.Case("memory", "long", cell, shape, peers=(cases.TORCH, cases.RECOMPUTE)),
        cases.Case("variants", "zoneout", cell, shape, {"zoneout_h": 0.5}, peers=(cases.PLAIN,)),
        cases.Case("variants", "states", cell, shape, peers=(cases.PLAIN,), states=True),
    ]
    for case in kinds:
        given = layers.numbers(case)
        contenders = [layers.our_contender(case, given), *(layers.peer(name, case, given) for name in case.peers)]
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


def test_operations_are_those_of_the_equations() -> None:
    one = cases.Case("layers", "", "LSTM", (2, 3, 5, 7))
    assert one.operations(6, "forward") == 2 * 6 * 4 * 7 * (5 + 7)
    assert one.operations(6, "training") == 2 * 6 * 4 * 7 * (2 * 5 + 3 * 7)
    both = cases.Case("layers", "", "GRU", (2, 3, 5, 7), {"num_layers": 2, "bidirectional": True})
    assert both.operations(6, "forward") == 2 * 6 * 3 * 7 * 2 * ((5 + 7) + (14 + 7))


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
