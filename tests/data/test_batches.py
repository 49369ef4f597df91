from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from holdfast.data import Batch, Batches, SequenceDataset
from holdfast.errors import OptionError, ShapeError

lengths_of = st.lists(st.integers(1, 12), min_size=1, max_size=40)
ways = st.fixed_dictionaries(
    {
        "batch_size": st.integers(1, 9),
        "shuffle": st.booleans(),
        "seed": st.integers(0, 5),
        "bucket": st.integers(0, 4),
        "drop_last": st.booleans(),
    }
)


def numbered(lengths: list[int], channels: int = 2) -> SequenceDataset:
    """Sequence i holds i + 1 throughout, and is of class i."""
    rows = [np.full((length, channels), index + 1, np.float32) for index, length in enumerate(lengths)]
    return SequenceDataset(rows, torch.arange(len(lengths)))


def classes(batch: Batch) -> list[int]:
    assert batch.targets is not None
    return [int(target) for target in batch.targets]


def padding(batches: Batches) -> int:
    return sum(
        int(batch.inputs.shape[1] * len(batch) - batch.lengths.sum())
        for batch in batches.epoch(0)
        if batch.lengths is not None
    )


def same(one: Batch, other: Batch) -> bool:
    pairs = [(one.inputs, other.inputs), (one.lengths, other.lengths), (one.targets, other.targets)]
    return all((a is None and b is None) or (a is not None and b is not None and torch.equal(a, b)) for a, b in pairs)


@given(lengths_of, ways, st.integers(0, 3))
def test_every_sequence_comes_once_an_epoch(lengths: list[int], way: dict[str, int], number: int) -> None:
    batches = Batches(numbered(lengths), **way)  # type: ignore[arg-type]
    seen = [index for batch in batches.epoch(number) for index in classes(batch)]
    assert len(list(batches.epoch(number))) == len(batches)
    assert len(seen) == len(set(seen))
    left_out = len(lengths) % way["batch_size"] if way["drop_last"] else 0
    assert len(seen) == len(lengths) - left_out


@given(lengths_of, ways)
def test_rows_are_whole_and_padding_is_zero(lengths: list[int], way: dict[str, int]) -> None:
    for batch in Batches(numbered(lengths), **way).epoch(0):  # type: ignore[arg-type]
        told = batch.lengths.tolist() if batch.lengths is not None else [batch.inputs.shape[1]] * len(batch)
        assert max(told) == batch.inputs.shape[1]
        assert (batch.lengths is None) == (len(set(told)) == 1)
        for row, index, length in zip(batch.inputs, classes(batch), told, strict=True):
            assert length == lengths[index]
            assert (row[:length] == index + 1).all()
            assert not row[length:].any()


@given(lengths_of, ways, st.integers(0, 3), st.data())
def test_resuming_gives_the_tail_of_the_epoch(
    lengths: list[int], way: dict[str, int], number: int, data: st.DataObject
) -> None:
    batches = Batches(numbered(lengths), **way)  # type: ignore[arg-type]
    start = data.draw(st.integers(0, len(batches)))
    again = Batches(numbered(lengths), **way)  # type: ignore[arg-type]
    tail = list(again.epoch(number, start))
    whole = list(batches.epoch(number))
    assert len(tail) == len(whole) - start
    assert all(same(one, other) for one, other in zip(whole[start:], tail, strict=True))


@given(lengths_of, ways)
def test_order_tells_what_the_batches_hold(lengths: list[int], way: dict[str, int]) -> None:
    batches = Batches(numbered(lengths), **way)  # type: ignore[arg-type]
    assert [indices.tolist() for indices in batches.order(2)] == [classes(batch) for batch in batches.epoch(2)]


def test_buckets_save_padding() -> None:
    skewed = np.random.default_rng(0).geometric(0.05, 512).tolist()
    plain = padding(Batches(numbered(skewed), 16, shuffle=True))
    bucketed = padding(Batches(numbered(skewed), 16, shuffle=True, bucket=8))
    assert bucketed < plain / 4


def test_bucketed_batches_come_in_no_order_of_length() -> None:
    batches = Batches(numbered(list(range(1, 65))), 4, shuffle=True, bucket=16)
    longest = [batch.inputs.shape[1] for batch in batches.epoch(0)]
    assert longest != sorted(longest)
    assert sorted(longest) == list(range(4, 65, 4))


def test_the_order_depends_on_seed_and_epoch() -> None:
    data = numbered([1] * 50)
    orders = {
        (seed, number): tuple(np.concatenate(Batches(data, 8, shuffle=True, seed=seed).order(number)).tolist())
        for seed in (0, 1)
        for number in (0, 1)
    }
    assert len(set(orders.values())) == 4


def test_without_shuffling_the_order_is_that_of_the_data() -> None:
    assert [classes(batch) for batch in Batches(numbered([1, 2, 3, 4, 5]), 2).epoch(7)] == [[0, 1], [2, 3], [4]]
    by_length = Batches(numbered([5, 1, 4, 2, 3]), 2, bucket=2)
    assert [classes(batch) for batch in by_length.epoch(0)] == [[1, 3], [2, 0], [4]]


def test_what_drop_last_leaves_out_does_not_depend_on_length() -> None:
    batches = Batches(numbered([1, 9, 1, 9, 1]), 2, bucket=8, drop_last=True)
    assert sorted(index for batch in batches.epoch(0) for index in classes(batch)) == [0, 1, 2, 3]


def test_no_global_random_state_is_touched() -> None:
    before = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())  # type: ignore[union-attr]
    list(Batches(numbered([3, 1, 2] * 9), 4, shuffle=True, bucket=2).epoch(1, 2))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # type: ignore[arg-type]
    assert random.getstate() == before[2]


def test_global_seeds_do_not_change_the_order() -> None:
    batches = Batches(numbered([1] * 30), 4, shuffle=True)
    torch.manual_seed(1)
    first = np.concatenate(batches.order(0))
    torch.manual_seed(2)
    assert np.array_equal(np.concatenate(batches.order(0)), first)


def test_batches_passed_over_are_not_made() -> None:
    made: list[int] = []

    class Watched(SequenceDataset):
        def __getitems__(self, indices):  # type: ignore[no-untyped-def]
            made.append(len(indices))
            return super().__getitems__(indices)

    batches = Batches(Watched(np.zeros((10, 2, 1), np.float32)), 3).epoch(0, start=2)
    assert not made
    assert len(list(batches)) == 2
    assert made == [3, 1]


def test_equal_lengths_have_no_lengths_and_no_targets_without_labels() -> None:
    batch = SequenceDataset(np.ones((4, 3, 2), np.uint8)).__getitems__([2, 0])
    assert batch.inputs.dtype == torch.float32
    assert (batch.lengths, batch.targets, len(batch)) == (None, None, 2)


def test_one_sequence_is_a_batch_of_one() -> None:
    data = numbered([2, 4])
    assert data[-1].inputs.shape == (1, 4, 2)
    with pytest.raises(IndexError):
        data[2]


def test_to_moves_every_tensor() -> None:
    batch = numbered([2, 4]).__getitems__([0, 1]).to("meta")
    assert batch.lengths is not None
    assert batch.targets is not None
    assert {batch.inputs.device.type, batch.lengths.device.type, batch.targets.device.type} == {"meta"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"batch_size": 0}, "Batches got batch_size = 0; expected at least 1."),
        ({"batch_size": 1, "bucket": -1}, "Batches got bucket = -1; expected at least 0."),
        ({"batch_size": 1, "seed": -1}, "Batches got seed = -1; expected at least 0."),
    ],
)
def test_options_out_of_range(options: dict[str, int], told: str) -> None:
    with pytest.raises(OptionError) as error:
        Batches(numbered([1]), **options)  # type: ignore[arg-type]
    assert str(error.value) == told


def test_a_start_out_of_range_is_told_at_once() -> None:
    with pytest.raises(OptionError) as error:
        Batches(numbered([1, 1, 1]), 2).epoch(0, 3)
    assert str(error.value) == "Batches.epoch got start = 3; expected 0 to 2, the batches of an epoch."


def test_targets_and_origins_are_as_many_as_the_sequences() -> None:
    with pytest.raises(ShapeError) as error:
        SequenceDataset(np.zeros((3, 2, 1)), torch.zeros(2, dtype=torch.int64))
    assert (
        str(error.value)
        == "SequenceDataset got 3 sequences, 2 targets and 0 origins; expected as many of each, or none."
    )
