from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from holdfast.errors import DataError
from holdfast.tasks.tag import sums
from holdfast.tasks.tag.sums import SumEncoder


def test_eight_bits_are_tested_on_every_sum_there_is() -> None:
    train, test = sums.generated(8, 500, seed=0)
    assert len(train) == 500
    assert sorted(test.inputs) == [(a, b) for a in range(128) for b in range(128)]
    assert test.targets == [a + b for a, b in test.inputs]
    assert max(max(pair) for pair in train.inputs) <= 127


@pytest.mark.parametrize("bits", [9, 32, 62])
def test_more_bits_are_tested_on_sums_that_training_never_sees(bits: int) -> None:
    train, test = sums.generated(bits, 20_000, seed=1)
    assert (len(train), len(test)) == (20_000, 10_000)
    held = {tuple(sorted(pair)) for pair in test.inputs}
    assert held.isdisjoint(tuple(sorted(pair)) for pair in train.inputs)
    numbers = np.array(train.inputs + test.inputs, dtype=object)
    assert numbers.max() < 2 ** (bits - 1)
    assert numbers.max() > 2 ** (bits - 1) * 0.99


def test_the_seed_decides_what_is_trained_on_and_not_what_is_tested_on() -> None:
    first, again, other = (sums.generated(16, 50, seed) for seed in (3, 3, 4))
    assert first[0].inputs == again[0].inputs != other[0].inputs
    assert first[1].inputs == again[1].inputs == other[1].inputs


def test_bits_come_lowest_first_and_back() -> None:
    batch = SumEncoder(bits=5).encode(sums.added([(13, 6), (0, 15)], ["a", "b"])).__getitems__([0, 1])
    assert batch.inputs.tolist()[0] == [[1, 0], [0, 1], [1, 1], [1, 0], [0, 0]]
    assert batch.known_targets.tolist() == [[1, 1, 0, 0, 1], [1, 1, 1, 1, 0]]
    assert SumEncoder(bits=5).answers(batch, batch.known_targets) == [
        {"numbers": [13, 6], "sum": 19},
        {"numbers": [0, 15], "sum": 15},
    ]


def test_the_widest_numbers_come_back_exactly() -> None:
    pair = (2**61 - 1, 2**61 - 2)
    batch = SumEncoder(bits=62).encode(sums.added([pair], ["a"])).__getitems__([0])
    assert SumEncoder(bits=62).answers(batch, batch.known_targets) == [{"numbers": list(pair), "sum": sum(pair)}]


def test_lines_are_parsed_and_refused() -> None:
    parsed = SumEncoder(bits=8).parsed(["13 29", " 7+ 8 ", "0\t1"], ["a", "b", "c"])
    assert (parsed.inputs, parsed.targets) == ([(13, 29), (7, 8), (0, 1)], [42, 15, 1])
    for text in ("13", "13 -2", "1 2 3", "", "1.5 2"):
        with pytest.raises(DataError) as error:
            SumEncoder(bits=8).parsed([text], ["line 4"])
        assert str(error.value) == f"line 4 is {text!r}; expected two whole numbers, such as '13 29'."


def test_files_hold_a_sum_a_line(tmp_path: Path) -> None:
    path = tmp_path / "sums.txt"
    path.write_text("13 29\n\n7 + 8\n")
    read = SumEncoder(bits=8).read([path])
    assert (read.inputs, read.origins) == ([(13, 29), (7, 8)], [f"{path}, line 1", f"{path}, line 3"])
    with pytest.raises(DataError) as error:
        SumEncoder(bits=8).read([])
    assert (
        str(error.value) == "There is nothing to add; expected files with two whole numbers per line, such as '13 29'."
    )


def test_numbers_of_too_many_bits_are_refused() -> None:
    with pytest.raises(DataError) as error:
        SumEncoder(bits=8).encode(SumEncoder(bits=8).parsed(["127 127", "1 128"], ["line 1", "line 2"]))
    assert str(error.value) == (
        "line 2 has the number 128; the model was trained on numbers from 0 to 127. Train one with more data.bits."
    )


def test_without_targets_and_with_nothing() -> None:
    dataset = SumEncoder(bits=8).encode(sums.added([(1, 2)], ["a"]).unlabelled())
    assert dataset.__getitems__([0]).targets is None
    assert torch.equal(dataset.__getitems__([0]).inputs[0, :2], torch.tensor([[1.0, 0], [0, 1]]))
    assert len(SumEncoder(bits=8).encode(sums.added([], []))) == 0
