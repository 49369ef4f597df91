"""Several processes end with the bits of one, whatever their number and whatever happens to them."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

import holdfast
from holdfast.data import Batch
from holdfast.data.batch import row_ranges
from holdfast.errors import OptionError, RunError
from holdfast.training import TrainingInterrupted, fit
from holdfast.training.processes import ALONE, Processes, joined, note_begun, noted_run, run_again

from . import together
from .standin import ToyBatches, ToyTask, settings, toy_model


def all_recipes(folder: Path) -> None:
    for name in together.SMALL:
        together.train(name, folder / name, 3)


def test_two_processes_give_the_bits_of_one_in_every_task(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    all_recipes(tmp_path / "one")
    together.run(2, all_recipes, tmp_path / "two")
    for name in together.SMALL:
        together.assert_equal(tmp_path / "one" / name, tmp_path / "two" / name)


EVERY = "train.checkpoint_seconds=0"


def killed(folder: Path) -> None:
    """The first process is killed after an update; the other one notices."""
    try:
        together.train("letters", folder, 4, EVERY, listeners=[together.At(5, signal.SIGKILL)])
    except RunError as error:
        raise SystemExit(7 if "--resume" in str(error) else 8) from error


def resumed(folder: Path) -> None:
    together.train("letters", folder, 4, EVERY, resume=True)


def stopped(folder: Path) -> None:
    """The first process is asked to stop; both do, after the same update."""
    with pytest.raises(TrainingInterrupted, match="after update 6 of 9"):
        together.train("letters", folder, 4, listeners=[together.At(5, signal.SIGINT)])


@pytest.mark.parametrize(("stop", "ends"), [(killed, [-signal.SIGKILL, 7]), (stopped, [0, 0])])
def test_a_run_of_two_goes_on_with_three_or_with_one(tmp_path: Path, stop: object, ends: list[int]) -> None:
    whole, three, one = (tmp_path / name / "run" for name in ("whole", "three", "one"))
    for folder in (whole, three, one):
        folder.parent.mkdir()
    together.train("letters", whole, 4, EVERY if stop is killed else "train.checkpoint_seconds=30")
    together.run(2, stop, three, ends=ends)
    together.run(2, stop, one, ends=ends)
    how = resumed if stop is killed else gone_on
    together.run(3, how, three)
    how(one)
    for folder in (three, one):
        together.assert_equal(whole, folder)


def gone_on(folder: Path) -> None:
    together.train("letters", folder, 4, resume=True)


def test_a_run_of_two_that_has_ended_can_be_resumed(tmp_path: Path) -> None:
    """As torchrun does when a process ends after the last update."""
    run = tmp_path / "run"
    together.run(2, again, run)
    before = together.result(run)[1]
    together.run(2, gone_on, run)
    assert together.result(run)[1] == before


def again(folder: Path) -> None:
    together.train("letters", folder, 4)


def in_any_order(folder: Path) -> None:
    together.train("digits", folder / "digits", 2, "train.exact=false", "model.dropout=0")


def test_without_exact_the_result_is_nearly_the_same(tmp_path: Path) -> None:
    together.train("digits", tmp_path / "one", 1, "model.dropout=0")
    together.run(2, in_any_order, tmp_path)
    (one, rows), (two, other_rows) = together.result(tmp_path / "one"), together.result(tmp_path / "digits")
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-3, atol=1e-4)
    assert rows[-1]["train"]["loss"] == pytest.approx(other_rows[-1]["train"]["loss"], rel=1e-4)


def test_chunks_change_the_order_of_the_sums_and_nothing_else(tmp_path: Path) -> None:
    for chunks in (1, 5):
        together.train("digits", tmp_path / str(chunks), chunks, "model.dropout=0")
    (one, rows), (five, other_rows) = together.result(tmp_path / "1"), together.result(tmp_path / "5")
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, five[name], rtol=1e-3, atol=1e-4)
    for row, other in zip(rows, other_rows, strict=True):
        assert row["train"] == pytest.approx(other["train"], rel=1e-4)


def in_the_first(folder: Path) -> None:
    with joined() as group:
        check_what_is_shared(group, folder)


def check_what_is_shared(group: Processes, folder: Path) -> None:
    assert group.size == 2
    assert group.any(group.rank == 1)
    assert not group.any(False)
    assert group.from_first(lambda: [group.rank, float("inf")]) == [0, float("inf")]
    assert group.gather({group.rank: {"values": torch.full([2], group.rank), "name": "café"}})[1]["name"] == "café"
    assert noted_run() == ""
    group.wait()
    note_begun("runs/x")
    assert noted_run() == "runs/x"
    assert group.in_turn(lambda: (folder / "first").exists() or not (folder / "first").write_text("")) is True

    def fails() -> None:
        raise FirstProcessError

    with pytest.raises(FirstProcessError if group.first else RunError):
        group.from_first(fails)


def fitted_twice() -> None:
    X = np.random.default_rng(0).normal(size=(24, 5, 2)).astype(np.float32)
    y = [0, 1, 2] * 8
    estimator = holdfast.SequenceClassifier(hidden_size=4, max_steps=3, batch_size=8, random_state=None)
    found = []
    for _ in range(2):
        estimator.fit(X, y)
        found.append(estimator.predict_proba(X))
    with joined() as group:
        others = group.gather({group.rank: [torch.from_numpy(each) for each in found]})
    for mine, first in zip(others[1], others[0], strict=True):
        assert torch.equal(mine, first)
    assert not torch.equal(*others[0])
    assert [row["epoch"] for row in estimator.history_] == [1]


def test_an_estimator_is_the_same_in_all_processes() -> None:
    together.run(2, fitted_twice)


class FirstProcessError(Exception):
    """An error of the first process."""


def test_what_the_first_process_computes_reaches_the_others(tmp_path: Path) -> None:
    together.run(2, in_the_first, tmp_path)


def test_alone_there_is_nothing_to_wait_for() -> None:
    with joined() as group:
        assert group is ALONE
        assert group.from_first(lambda: "it") == "it"
        assert group.gather({3: "x"}) == {3: "x"}
        assert group.any(True)


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "nan"])
def test_a_time_to_wait_that_is_no_time_is_refused(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOLDFAST_WAIT_SECONDS", seconds)
    with pytest.raises(OptionError, match="HOLDFAST_WAIT_SECONDS"), joined():
        pass


class ChunkedBatches(ToyBatches):
    def chunks(self, number: int, start: int, count: int, mine: Sequence[int]) -> Iterator[dict[int, Batch]]:
        for batch in self.epoch(number, start):
            yield {chunk: batch.rows(*row_ranges(len(batch), count)[chunk]) for chunk in mine}


def with_batch_norm() -> None:
    with pytest.raises(OptionError, match=r"changes its buffer norm\.running_mean while it trains"):
        fit(toy_model(), ToyTask(), ChunkedBatches(), None, settings(chunks=2))


def test_a_model_that_changes_its_buffers_is_refused() -> None:
    together.run(2, with_batch_norm)


class WholeBatches:
    """Batches that cannot be had in chunks."""

    def __init__(self) -> None:
        self._batches = ToyBatches()

    def __len__(self) -> int:
        return len(self._batches)

    def epoch(self, number: int, start: int = 0) -> Iterator[object]:
        return iter(())


def test_batches_of_your_own_without_chunks_are_refused_by_name() -> None:
    with pytest.raises(OptionError, match="WholeBatches gives whole batches only"):
        fit(toy_model(), ToyTask(), WholeBatches(), None, settings(chunks=2))  # type: ignore[arg-type]


def failed(code: int) -> ChildFailedError:
    return ChildFailedError("holdfast", {1: ProcessFailure(1, 123, code, "<N/A>")})


def test_the_end_of_torchrun_is_an_exit_code_or_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[BaseException | None] = [None, failed(2), SignalException("", signal.SIGINT), failed(-9)]

    def main(command: list[str]) -> None:
        assert command[:2] == ["--nproc-per-node", "2"]
        if (end := ends.pop(0)) is not None:
            raise end

    monkeypatch.setattr("torch.distributed.run.main", main)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert [run_again(2) for _ in range(3)] == [0, 2, 130]
    with pytest.raises(RunError, match=r"Process 1 was ended by signal 9, perhaps for lack of memory.* --resume"):
        run_again(2)
