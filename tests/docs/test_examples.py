"""Every example runs, and prints what its docstring promises."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast import experiment, recipes

FOLDER = Path(__file__).resolve().parents[2] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
CHECKED = {
    "binary_addition",
    "by_hand",
    "carried_state",
    "classifier",
    "forget_gate",
    "gradient_of_adding",
    "one_layer_four_ways",
    "own_cell",
    "search",
    "sequence_to_sequence",
    "swap_torch",
    "tensorflow_1",
    "units_of_a_text",
    "vanishing_gradient",
}


def output(name: str, tmp_path: Path, *arguments: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    command = [sys.executable, "-W", "error", str(FOLDER / f"{name}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=tmp_path, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_every_example_is_checked_here() -> None:
    assert {path.stem for path in EXAMPLES} == CHECKED


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_short_and_say_what_they_show(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 40
    assert ast.get_docstring(ast.parse(text))


def test_by_hand(tmp_path: Path) -> None:
    lines = output("by_hand", tmp_path).splitlines()
    assert lines == [
        "parameters: 72 + 4 = 76",
        "i = [5.0, 2.0, 1.0]",
        "f = [1.0, 1.0, 0.0]",
        "g = [0.0, 2.0, 1.0]",
        "o = [2.0, 1.0, 0.0]",
        "by hand:  c = [0.0, 4.0, 1.0]  h = [0.0, 4.0, 0.0]",
        "by layer: c = [0.0, 4.0, 1.0]  h = [0.0, 4.0, 0.0]",
        "a sequence of 3 steps: [1, 3, 3] then [1, 3, 1]",
    ]


def test_swap_torch(tmp_path: Path) -> None:
    text = output("swap_torch", tmp_path)
    differences = re.findall(r"largest differences: (\S+) (\S+)", text)
    assert len(differences) == 2
    assert all(float(number) < 1e-12 for pair in differences for number in pair)
    assert "past the first row's length the output is 0.0\n" in text
    assert "[4, 3, 10, 16]\n" in text
    assert "the final one: True\n" in text
    assert re.search(r"^layer 1, reverse: \w+$", text, re.MULTILINE)


def test_own_cell(tmp_path: Path) -> None:
    lines = re.findall(r"step +(\d+)  loss ([\d.]+)  accuracy ([\d.]+)", output("own_cell", tmp_path))
    assert [int(step) for step, _, _ in lines] == [0, 60, 120, 180, 240, 300]
    assert float(lines[0][2]) < 0.7
    assert float(lines[-1][2]) > 0.9
    assert float(lines[-1][1]) < 0.3


def test_search(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="needs optuna: pip install optuna")
    best, pruned = output("search", tmp_path).splitlines()
    found = re.fullmatch(r"accuracy (\S+) with {'cell': '(?:lstm|gru)', 'hidden_size': \d+, 'learning_rate': .*}", best)
    assert found
    assert float(found[1]) > 0.9
    assert re.fullmatch(r"\d+ of 12 trials were stopped early", pruned)


def test_vanishing_gradient(tmp_path: Path) -> None:
    """The order of the cells; test_docs compares the numbers with those of the docs."""
    rows = [re.fullmatch(r"(.{27}) +(.+)", line) for line in output("vanishing_gradient", tmp_path).splitlines()]
    left = {row[1].strip(): [float(number) for number in row[2].split()] for row in rows if row}
    assert left.pop("steps back") == [0, 10, 25, 50, 99]
    assert len(left) == 9
    assert all(fractions[0] == 1 for fractions in left.values())
    fraction = {name: fractions[3] for name, fractions in left.items()}
    assert fraction["RNN, linear, W_hh × 0.9"] == pytest.approx(0.9**50, rel=0.3)
    assert fraction["RNN, linear, W_hh × 1.1"] == pytest.approx(1.1**50, rel=0.3)
    assert fraction["RNN, tanh"] < fraction["RNN, relu"] < fraction["LSTM (forget_bias=1)"]
    assert fraction["LSTM (forget_bias=1)"] > 1e4 * fraction["LSTM, forget_bias=0"]
    assert min(left["LSTM, forget_bias=3"]) > 0.1
    assert min(left["GRU, 3 added to b_iz"]) > 1e-3


def test_carried_state(tmp_path: Path) -> None:
    lines = re.findall(r"update +(\d+)  accuracy ([\d.]+)", output("carried_state", tmp_path, "digits", "60"))
    assert [int(update) for update, _ in lines] == [0, 20, 40, 60]
    assert float(lines[0][1]) < 0.4
    assert float(lines[-1][1]) > 0.85


def test_tensorflow_1(tmp_path: Path) -> None:
    text = output("tensorflow_1", tmp_path, "digits", "60")
    lines = re.findall(r"update +(\d+)  accuracy ([\d.]+)", text)
    assert [int(update) for update, _ in lines] == [0, 20, 40, 60]
    assert float(lines[0][1]) < 0.4
    assert float(lines[-1][1]) > 0.85
    assert text.splitlines()[-1] == (
        "in/weights in/biases out/weights out/biases rnn/basic_lstm_cell/kernel rnn/basic_lstm_cell/bias"
    )


@pytest.fixture(scope="module")
def adding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with short runs of the adding problem, of an RNN and an LSTM."""
    folder = tmp_path_factory.mktemp("adding")
    for cell in ("rnn", "lstm"):
        recipe = recipes.load("adding", ["train.limit=small", f"model.cell={cell}", "data.steps=60"])
        experiment.train(recipe, folder / cell)
    return folder


def test_gradient_of_adding(tmp_path: Path, adding: Path) -> None:
    text = output("gradient_of_adding", tmp_path, str(adding / "rnn"), str(adding / "lstm"))
    head, *rows = (re.split(r"  +", line.strip()) for line in text.splitlines())
    assert head == ["run and weights", "0%", "25%", "50%", "75%", "100%", "90 % within"]
    names = [row[0] for row in rows]
    assert names[:2] == ["rnn, start, hidden", "rnn, trained, hidden"]
    assert names[2:] == [f"lstm, {when}, {state}" for when in ("start", "trained") for state in ("hidden", "cell")]
    by_name = {row[0]: [float(value) for value in row[1:6]] for row in rows}
    assert all(values[0] == 1 for values in by_name.values())
    assert by_name["lstm, start, cell"][4] > 3 * by_name["rnn, start, hidden"][4]
    assert all(0 <= int(row[6].split()[0]) < 60 for row in rows)


def test_forget_gate(tmp_path: Path, adding: Path) -> None:
    lines = output("forget_gate", tmp_path, str(adding / "lstm")).splitlines()
    start = re.fullmatch(r"start: units keep their state for ([\d.]+) steps \(.*\)", lines[0])
    assert start
    assert 3 < float(start[1]) < 5  # 1 / (1 - sigmoid(1)) is 3.7
    assert re.fullmatch(r"cell state of unit \d+ and the first number, read: r = [+-]0\.\d+", lines[2])
    form = r"its (\w+) gate, medians: first mark 0\.\d+, between 0\.\d+, second mark 0\.\d+"
    gates = [re.fullmatch(form, line) for line in lines[5:7]]
    assert [gate and gate[1] for gate in gates] == ["input", "forget"]
    assert re.fullmatch(r"the product of its forget gates between the marks: 0\.\d+, over \d+ steps", lines[7])


def test_units_of_a_text(tmp_path: Path, real_data: Callable[[str], Path]) -> None:
    folder = real_data("tinyshakespeare").parent
    small = ["model.hidden_size=16", "train.max_steps=30"]
    experiment.train(recipes.load("shakespeare", small), tmp_path / "run", data_dir=folder)
    lines = output("units_of_a_text", tmp_path, str(tmp_path / "run")).splitlines()
    form = r"([a-z' ]+?) +unit +(\d+)  r = ([+-][\d.]+) \(chosen by ([+-][\d.]+); by chance ([\d.]+) at most\)"
    rows = [re.fullmatch(form, line) for line in lines]
    assert [row and row[1] for row in rows] == [
        "in a quotation",
        "in a speaker's name",
        "letters of the line",
    ]
    assert all(int(row[2]) < 16 for row in rows if row)


def test_one_layer_four_ways(tmp_path: Path) -> None:
    lines = [line.rsplit(maxsplit=1) for line in output("one_layer_four_ways", tmp_path, "digits", "60").splitlines()]
    assert [name for name, _ in lines] == ["basic LSTM", "LSTM", "GRU", "GRU, dynamic"]
    assert all(float(accuracy) > 0.6 for _, accuracy in lines)
    assert lines[2][1] == lines[3][1]  # the static unroll and the dynamic one


def test_classifier(tmp_path: Path) -> None:
    text = output("classifier", tmp_path, "digits", "100")
    lines = re.findall(r"update +(\d+)  accuracy ([\d.]+)", text)
    assert [int(update) for update, _ in lines] == [0, 20, 40, 60, 80, 100]
    assert float(lines[0][1]) < 0.4
    assert float(lines[-1][1]) > 0.85
    assert text.endswith("final hidden state and last output agree: True\n")


def test_binary_addition(tmp_path: Path) -> None:
    text = output("binary_addition", tmp_path)
    lines = re.findall(r"update +(\d+)  loss ([\d.]+)  sums right ([\d.]+)", text)
    assert [int(update) for update, _, _ in lines] == list(range(0, 601, 100))
    assert float(lines[0][2]) < 0.1
    assert float(lines[-1][2]) == 1
    a, b, total = map(int, re.findall(r"(\d+) \+ (\d+) = (\d+)", text)[0])
    assert a + b == total


def test_sequence_to_sequence(tmp_path: Path) -> None:
    text = output("sequence_to_sequence", tmp_path)
    assert float(text.rsplit(maxsplit=1)[1]) > 0.95
    source, said = (re.findall(r"\d", part) for part in text.partition(";")[0].split("->"))
    assert len(source) == len(said) == 5
