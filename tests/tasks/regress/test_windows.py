"""Windows of long sequences: every step once, in order, in the same rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holdfast.data import SequenceDataset
from holdfast.data.batch import Batch
from holdfast.data.batches import Indices
from holdfast.tasks.regress.encoder import StepDataset
from holdfast.tasks.regress.windows import WindowBatches

LENGTHS = [7, 3, 12, 5, 12]


def windows(seed: int = 0) -> WindowBatches:
    """Sequence n has the values 100 n, 100 n + 1, ...; the target of a value is itself plus a half."""
    rows = [100 * n + np.arange(length, dtype=np.float32)[:, None] for n, length in enumerate(LENGTHS)]
    return WindowBatches(StepDataset(SequenceDataset(rows), [torch.from_numpy(row + 0.5) for row in rows]), 2, 4, seed)


def test_each_step_comes_once_and_rows_go_on() -> None:
    batches = list(windows().epoch(0))
    assert len(batches) == len(windows())
    rows: list[list[float]] = []
    ended: list[list[float]] = []
    for batch in batches:
        if batch.fresh:
            ended, rows = ended + rows, [[] for _ in range(len(batch))]
        lengths = [batch.inputs.shape[1]] * len(batch) if batch.lengths is None else batch.lengths.tolist()
        for row, values, targets, length in zip(rows, batch.inputs, batch.known_targets, lengths, strict=True):
            row += values[:length, 0].tolist()
            torch.testing.assert_close(targets[:length], values[:length] + 0.5)
            assert targets[length:].isnan().all()
        assert batch.goes_on != batch.fresh
    ended += rows
    assert sorted(ended) == [(100.0 * n + np.arange(length)).tolist() for n, length in enumerate(LENGTHS)]


def test_the_order_depends_on_seed_and_epoch_and_every_epoch_is_as_long() -> None:
    def order(seed: int, number: int) -> list[float]:
        return [float(batch.inputs[0, 0, 0]) for batch in windows(seed).epoch(number)]

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(0, number)) for number in range(6)}) > 1
    assert len({tuple(order(seed, 0)) for seed in range(6)}) > 1
    assert {len(order(seed, number)) for seed in range(3) for number in range(3)} == {len(windows())}


def test_an_epoch_resumes_at_any_batch() -> None:
    whole = list(windows().epoch(3))
    for start in range(len(whole) + 1):
        rest = list(windows().epoch(3, start))
        assert len(rest) == len(whole) - start
        for ours, theirs in zip(rest, whole[start:], strict=True):
            assert torch.equal(ours.inputs, theirs.inputs)
            assert ours.fresh == theirs.fresh


def test_chunks_read_their_own_rows_and_are_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, read = list(windows().epoch(0)), list[int]()
    getitems = StepDataset.__getitems__

    def noted(dataset: StepDataset, indices: Indices) -> Batch:
        read.append(len(indices))
        return getitems(dataset, indices)

    monkeypatch.setattr(StepDataset, "__getitems__", noted)
    halves = [list(windows().chunks(0, 0, 2, [half])) for half in (0, 1)]
    assert set(read) == {1}
    for batch, first, second in zip(whole, *halves, strict=True):
        rows = [*first.values(), *second.values()]
        assert torch.equal(torch.cat([row.inputs for row in rows]), batch.inputs)
        torch.testing.assert_close(torch.cat([row.known_targets for row in rows]), batch.known_targets, equal_nan=True)
        every = [torch.tensor([row.inputs.shape[1]]) if row.lengths is None else row.lengths for row in rows]
        lengths = torch.full((len(batch),), batch.inputs.shape[1]) if batch.lengths is None else batch.lengths
        assert torch.equal(torch.cat(every), lengths)
