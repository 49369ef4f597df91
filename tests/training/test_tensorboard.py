"""TensorBoard's own reader reads what the listener writes."""

import pytest

from holdfast.training import fit
from holdfast.training.listener import Plan
from holdfast.training.tensorboard import TensorBoard
from training.standin import ToyBatches, ToyTask, settings, toy_model

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def scalars(folder, part):
    reader = accumulator.EventAccumulator(str(folder / part))
    reader.Reload()
    return {tag: [(event.step, event.value) for event in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def test_every_row_of_the_history_is_there(tmp_path):
    history = fit(
        toy_model(),
        ToyTask(),
        ToyBatches(),
        ToyBatches(),
        settings(epochs=3, log_every=2),
        listeners=[TensorBoard(tmp_path)],
    )
    epochs = [row for row in history if row["event"] == "epoch"]
    train, validation = scalars(tmp_path, "train"), scalars(tmp_path, "validation")
    for name in epochs[0]["train"]:
        assert train[name] == [(row["step"], pytest.approx(row["train"][name])) for row in epochs]
        assert validation[name] == [(row["step"], pytest.approx(row["validation"][name])) for row in epochs]
    assert [step for step, _ in train["learning_rate"]] == [row["step"] for row in epochs]
    logged = [row for row in history if row["event"] == "log"]
    assert len(train["loss (since the last row)"]) == len(logged) > 0


def test_a_resumed_run_hides_what_came_after_its_checkpoint(tmp_path):
    row = {"event": "epoch", "learning_rate": 0.1, "train": {"loss": 1.0}}
    for done, steps in ((0, (10, 20, 30)), (20, (30, 40))):
        listener = TensorBoard(tmp_path)
        listener.begin(Plan(epochs=4, batches=10, updates=40, done=done, score="loss"))
        for step in steps:
            listener.epoch({**row, "step": step, "train": {"loss": float(step + done)}})
        listener.end()
    assert scalars(tmp_path, "train")["loss"] == [(10, 10.0), (20, 20.0), (30, 50.0), (40, 60.0)]
