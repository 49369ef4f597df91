"""TensorBoard's own reader reads what the listener writes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.inspect.watching.runs import NAMES, train

from holdfast.data.vocabulary import SPECIAL
from holdfast.inspect import TensorBoard
from holdfast.inspect.watching import tensorboard
from holdfast.training import fit
from holdfast.training.listener import Plan
from training.standin import ToyBatches, ToyTask, settings, toy_model, without_time

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

WRITES = ("weighted", "tag", "sums", "generate", "translate", "transcribe")
EMBEDDED = {
    "texts": ["embedding.table"],
    "weighted": ["embedding.table"],
    "stars": ["embedding.table"],
    "tag": ["words.words", "words.characters"],
    "generate": ["embedding"],
    "translate": ["target_embedding", "source_embedding"],
}


def reader(folder: Path, part: str = "train") -> Any:
    reading = accumulator.EventAccumulator(
        str(folder / part), size_guidance={"tensors": 0, "histograms": 0, "images": 0}
    )
    return reading.Reload()


def scalars(folder: Path, part: str) -> dict[str, list[tuple[int, float]]]:
    reading = reader(folder, part)
    return {tag: [(event.step, event.value) for event in reading.Scalars(tag)] for tag in reading.Tags()["scalars"]}


def test_every_row_of_the_history_is_there(tmp_path: Path) -> None:
    history = fit(
        toy_model(),
        ToyTask(),
        ToyBatches(),
        ToyBatches(),
        settings(epochs=3, log_every=2),
        listeners=[TensorBoard(tmp_path)],
    )
    epochs = [row for row in history if row["event"] == "epoch"]
    training, validation = scalars(tmp_path, "train"), scalars(tmp_path, "validation")
    for name in epochs[0]["train"]:
        assert training[name] == [(row["step"], pytest.approx(row["train"][name])) for row in epochs]
        assert validation[name] == [(row["step"], pytest.approx(row["validation"][name])) for row in epochs]
    assert [step for step, _ in training["learning_rate"]] == [row["step"] for row in epochs]
    logged = [row for row in history if row["event"] == "log"]
    assert len(training["loss (since the last row)"]) == len(logged) > 0
    tags = reader(tmp_path).Tags()["histograms"]
    assert set(tags) == {f"weights/{name}" for name, _ in toy_model().named_parameters()}


def test_a_resumed_run_hides_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    row: dict[str, Any] = {"event": "epoch", "epoch": 1, "learning_rate": 0.1, "train": {"loss": 1.0}}
    for done, steps in ((0, (10, 20, 30)), (20, (30, 40))):
        listener = TensorBoard(tmp_path)
        listener.begin(Plan(epochs=4, batches=10, updates=40, done=done, score="loss"))
        for step in steps:
            listener.epoch({**row, "step": step, "train": {"loss": float(step + done)}})
        listener.end()
    assert scalars(tmp_path, "train")["loss"] == [(10, 10.0), (20, 20.0), (30, 50.0), (40, 60.0)]


@pytest.mark.parametrize("name", NAMES)
def test_every_task_has_histograms_pictures_texts_and_embeddings(name: str, tmp_path: Path) -> None:
    learned = train(name, tmp_path, [TensorBoard(tmp_path / "board", every=1)])
    reading = reader(tmp_path / "board")
    tags = reading.Tags()
    steps = [row["step"] for row in learned.history if row["event"] == "epoch"]
    named = dict(learned.model.named_parameters())
    assert {f"weights/{name}" for name in named} <= set(tags["histograms"])
    assert [event.step for event in reading.Histograms(f"weights/{next(iter(named))}")] == steps
    gates = [tag for tag in tags["histograms"] if tag.startswith("gates/")]
    states = [tag for tag in tags["histograms"] if tag.startswith("states/")]
    assert {tag.split("/")[2] for tag in gates} == {"input", "forget", "candidate", "output"}
    assert {tag.split("/")[2] for tag in states} == {"hidden", "cell"}
    values = reading.Histograms(next(tag for tag in gates if tag.endswith("forget")))[-1].histogram_value
    assert 0 <= values.min <= values.max <= 1
    assert values.num > 0
    assert tags["images"]
    for tag in tags["images"]:
        assert reading.Images(tag)[-1].encoded_image_string.startswith(b"\x89PNG")
    texts = (
        [event.tensor_proto.string_val[0].decode() for event in reading.Tensors("text/text_summary")]
        if ("text/text_summary" in tags["tensors"])
        else []
    )
    assert bool(texts) == (name in WRITES)
    assert all(line.startswith("    ") for text in texts for line in text.split("\n"))
    _check_embeddings(name, learned, tmp_path / "board" / "train", steps[-1])


def _check_embeddings(name: str, learned: Any, folder: Path, step: int) -> None:
    """The projector's files have the final weights and a token for each of their rows."""
    vocabularies = learned.task.embedded(learned.model)
    assert list(vocabularies) == EMBEDDED.get(name, [])
    config = folder / "projector_config.pbtxt"
    assert config.exists() == bool(vocabularies)
    for place, vocabulary in vocabularies.items():
        assert f'tensor_name: "{place}:{step:05d}"' in config.read_text()
        files = folder / f"{step:05d}" / place.replace("/", "_")
        rows = np.loadtxt(files / "tensors.tsv", delimiter="\t", ndmin=2)
        table = learned.model.get_submodule(place).weight.detach().numpy()
        assert rows == pytest.approx(table, rel=1e-6)
        tokens = (files / "metadata.tsv").read_text("utf-8").rstrip("\n").split("\n")
        assert len(tokens) == len(vocabulary) == len(table)
        assert tokens[: len(SPECIAL)] == SPECIAL
        assert all(token.strip() for token in tokens)


def test_tokens_are_written_in_one_line_each() -> None:
    tokens = [" ", "\n", "\t", "", "a\tb", "word", "\u3000"]
    spelled = [tensorboard._spelled(token) for token in tokens]
    assert spelled == ["␣", "\\n", "\\t", "(empty)", "a\\tb", "word", "\u3000"]
    assert len(list(csv.reader(spelled, delimiter="\t"))) == len(tokens)


def test_it_changes_no_bit(tmp_path: Path) -> None:
    plain = train("generate", tmp_path, [])
    watched = train("generate", tmp_path, [TensorBoard(tmp_path / "board", every=1)])
    assert without_time(plain.history) == without_time(watched.history)
    pairs = zip(plain.model.state_dict().values(), watched.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_details_are_limited_by_their_time_and_come_at_the_end_in_any_case(tmp_path: Path) -> None:
    class Clock:
        now = 0.0

        def __call__(self) -> float:
            self.now += 1.0  # each piece of details costs a second of this clock
            return self.now

    history = fit(
        toy_model(),
        ToyTask(),
        ToyBatches(2),
        None,
        settings(epochs=50),
        listeners=[TensorBoard(tmp_path, clock=Clock())],
    )
    events = reader(tmp_path).Histograms("weights/out.weight")
    assert 2 <= len(events) <= 10
    assert events[-1].step == history[-1]["step"]
    assert len(scalars(tmp_path, "train")["loss"]) == 50


def test_values_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    listener = TensorBoard(tmp_path)
    listener.begin(Plan(epochs=1, batches=1, updates=1, done=0, score="loss"))
    listener._histogram("some", torch.tensor([1.0, float("nan"), float("inf"), 2.0]), 1)
    listener._histogram("none", torch.tensor([float("nan")]), 1)
    listener._histogram("empty", torch.zeros(0), 1)
    listener.end()
    reading = reader(tmp_path)
    assert reading.Tags()["histograms"] == ["some"]
    assert reading.Histograms("some")[0].histogram_value.num == 2
