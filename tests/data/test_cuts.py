"""Windows at random places: every step once per epoch, from a zero state each."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holdfast.data import SequenceDataset, Weighted
from holdfast.data.batch import Batch
from holdfast.data.cuts import CutBatches, window_for
from holdfast.errors import OptionError
from holdfast.settings import TrainSettings
from holdfast.tasks.regress.encoder import StepDataset

LENGTHS = [7, 3, 23, 5, 40]


def dataset(lengths: list[int] | None = None) -> StepDataset:
    """Sequence n has the values 100 n, 100 n + 1, ...; the target of a value is itself plus a half."""
    lengths = LENGTHS if lengths is None else lengths
    rows = [100 * n + np.arange(length, dtype=np.float32)[:, None] for n, length in enumerate(lengths)]
    return StepDataset(SequenceDataset(rows), [torch.from_numpy(row + 0.5) for row in rows])


def cut(window: int = 6, seed: int = 0, batch_size: int = 4, lengths: list[int] | None = None) -> CutBatches:
    settings = TrainSettings(seed=seed, batch_size=batch_size)
    return CutBatches(dataset(lengths), settings, window, no_target=torch.nan)


def rows(batch: Batch) -> list[list[float]]:
    """The values of each row without its padding, whose targets are checked."""
    lengths = [batch.inputs.shape[1]] * len(batch) if batch.lengths is None else batch.lengths.tolist()
    found = []
    for values, targets, length in zip(batch.inputs, batch.known_targets, lengths, strict=True):
        torch.testing.assert_close(targets[:length], values[:length] + 0.5)
        assert targets[length:].isnan().all()
        assert not values[length:].any()
        found.append(values[:length, 0].tolist())
    return found


def test_each_step_comes_once_per_epoch_in_windows_at_other_places() -> None:
    batches, first_cuts = cut(), set()
    for number in range(8):
        epoch = list(batches.epoch(number))
        assert len(epoch) == len(batches)
        windows = sorted(row for batch in epoch for row in rows(batch))
        assert [value for row in windows for value in row] == [
            100.0 * n + step for n, length in enumerate(LENGTHS) for step in range(length)
        ]
        assert max(map(len, windows)) <= 6
        first_cuts.add(len(next(row for row in windows if row[0] == 400)))
    assert len(first_cuts) > 2


@pytest.mark.parametrize(("window", "steps"), [(1, 5), (2, 5), (50, 49), (50, 50), (50, 51), (7, 100)])
def test_the_number_of_windows_depends_on_the_lengths_alone(window: int, steps: int) -> None:
    counts = set()
    for seed in range(20):
        windows = [row for batch in cut(window, seed, lengths=[steps]).epoch(seed) for row in rows(batch)]
        assert all(0 < len(row) <= window for row in windows)
        counts.add(len(windows))
    assert len(counts) == 1


def test_the_order_depends_on_seed_and_epoch() -> None:
    def order(seed: int, number: int) -> list[float]:
        return [row[0] for batch in cut(seed=seed).epoch(number) for row in rows(batch)]

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(seed, number)) for seed in range(3) for number in range(3)}) == 9


def test_an_epoch_resumes_at_any_batch_and_is_shared_in_chunks() -> None:
    whole = [rows(batch) for batch in cut().epoch(3)]
    for start in range(len(whole) + 1):
        assert [rows(batch) for batch in cut().epoch(3, start)] == whole[start:]
        parts = [list(cut().chunks(3, start, 2, [mine])) for mine in range(2)]
        joined = [
            [row for part in both for batch in part.values() for row in rows(batch)]
            for both in zip(*parts, strict=True)
        ]
        assert joined == whole[start:]


def test_windows_have_the_weight_of_their_sequence() -> None:
    weights = np.arange(1.0, 6.0)
    batches = CutBatches(Weighted(dataset(), weights), TrainSettings(batch_size=4), 6, no_target=torch.nan)
    for batch in batches.epoch(0):
        assert batch.weights is not None
        assert [int(row[0]) // 100 + 1 for row in rows(batch)] == batch.weights.tolist()


def test_automatic_windows_are_for_few_long_sequences() -> None:
    cases = {(5000,): 200, (1000,): 125, (300, 20): 50, (50,): 0, (51,): 50, (): 0}
    for lengths, window in cases.items():
        assert window_for("auto", np.array(lengths, dtype=np.int64)) == window
    assert window_for("auto", np.full(15, 400)) == 50
    assert window_for("auto", np.full(16, 400)) == 0
    assert window_for(0, np.array([5000])) == 0
    assert window_for(9, np.array([5000] * 30)) == 9
    with pytest.raises(OptionError, match=r"^CutBatches got window = 0; expected at least 1\.$"):
        cut(0)
