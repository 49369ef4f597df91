"""CTC decoding against all paths of small examples."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import groupby, product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from holdfast.decoding.ctc import beam_search, greedy
from holdfast.errors import OptionError, ShapeError


def scores(rows: int, steps: int, labels: int, *, sharpness: float = 1.0) -> Tensor:
    return (sharpness * torch.randn(rows, steps, labels, dtype=torch.float64)).log_softmax(-1)


def collapsed(path: tuple[int, ...], blank: int = 0) -> tuple[int, ...]:
    return tuple(label for label, _ in groupby(path) if label != blank)


def by_all_paths(log_probs: Tensor, blank: int = 0) -> dict[tuple[int, ...], float]:
    """The probability of each sequence of labels: the sum over all V^T paths."""
    steps, labels = log_probs.shape
    paths = list(product(range(labels), repeat=steps))
    probabilities = log_probs[torch.arange(steps), torch.tensor(paths)].sum(1).exp().tolist()
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path, probability in zip(paths, probabilities, strict=True):
        found[collapsed(path, blank)] += probability
    return found


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize(("steps", "labels"), [(1, 3), (4, 3), (6, 3), (4, 4)])
def test_with_room_for_every_prefix_the_beam_is_exact(steps: int, labels: int, blank: int) -> None:
    log_probs = scores(3, steps, labels)
    for row, hypotheses in zip(log_probs, beam_search(log_probs, beam=200, blank=blank), strict=True):
        expected = by_all_paths(row, blank)
        assert len(hypotheses) == len(expected)
        assert {tuple(one.labels) for one in hypotheses} == expected.keys()
        for one in hypotheses:
            assert one.log_probability == pytest.approx(math.log(expected[tuple(one.labels)]), abs=1e-12)
        ranks = [one.log_probability for one in hypotheses]
        assert ranks == sorted(ranks, reverse=True)


def test_the_sum_over_paths_is_that_of_the_loss() -> None:
    log_probs = scores(1, 6, 4)
    found = beam_search(log_probs, beam=1100)[0]  # more than the 1,093 sequences of at most 6 of 3 labels
    for one in [*found[:20], found[-1]]:
        target = torch.tensor([one.labels])
        loss = F.ctc_loss(log_probs.transpose(0, 1), target, [6], [len(one.labels)], reduction="sum")
        assert one.log_probability == pytest.approx(-float(loss), abs=1e-9)


def test_the_likeliest_labels_need_not_lie_on_the_likeliest_path() -> None:
    # Graves et al. 2006, figure 2: the best path is blank, blank (0.36); "1" has 0.24 + 0.24 + 0.16.
    log_probs = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]]).log()
    assert greedy(log_probs) == [[]]
    best, second = beam_search(log_probs, beam=2)[0]
    assert best.labels == [1]
    assert best.log_probability == pytest.approx(math.log(0.64), abs=1e-6)
    assert second.labels == []


def test_a_prefix_that_left_the_beam_and_came_back_is_the_same_prefix() -> None:
    # With two places, the empty prefix and [1] compete; [1, 2] is in the beam when [1] comes back and grows into it.
    generator = torch.Generator().manual_seed(3)
    for _ in range(50):
        log_probs = (3 * torch.randn(1, 7, 3, generator=generator, dtype=torch.float64)).log_softmax(-1)
        exact = by_all_paths(log_probs[0])
        for beam in (2, 3):
            found = [tuple(one.labels) for one in beam_search(log_probs, beam=beam)[0]]
            assert len(set(found)) == len(found) <= beam
            for one in beam_search(log_probs, beam=beam)[0]:
                assert one.log_probability <= math.log(exact[tuple(one.labels)]) + 1e-12


def test_greedy_gives_the_labels_of_the_best_path() -> None:
    log_probs = scores(40, 6, 3)
    paths = list(product(range(3), repeat=6))
    for row, found in zip(log_probs, greedy(log_probs), strict=True):
        best = paths[int(row[torch.arange(6), torch.tensor(paths)].sum(1).argmax())]
        assert tuple(found) == collapsed(best)


def test_what_lies_past_a_rows_length_changes_nothing() -> None:
    log_probs = scores(3, 9, 4)
    lengths = torch.tensor([9, 4, 0])
    filled = log_probs.clone()
    filled[1, 4:], filled[2] = torch.nan, torch.nan
    assert greedy(filled, lengths) == [greedy(log_probs[b : b + 1, :n])[0] for b, n in enumerate(lengths.tolist())]
    together = beam_search(filled, lengths, beam=5)
    for b, n in enumerate(lengths.tolist()):
        assert together[b] == beam_search(log_probs[b : b + 1, :n], beam=5)[0]
    assert together[2] == [([], 0.0)]


def test_greedy_goes_on_where_the_frames_before_ended() -> None:
    log_probs = scores(8, 11, 3)
    first, second = log_probs[:, :5], log_probs[:, 5:]
    rest = greedy(second, before=first[:, -1].argmax(-1))
    assert [a + b for a, b in zip(greedy(first), rest, strict=True)] == greedy(log_probs)


def test_impossible_labels_are_never_said() -> None:
    log_probs = scores(2, 6, 4)
    log_probs[:, :, 3] = -torch.inf
    log_probs = log_probs.log_softmax(-1)
    for hypotheses in beam_search(log_probs, beam=250):
        assert not any(3 in one.labels for one in hypotheses)
        assert sum(math.exp(one.log_probability) for one in hypotheses) == pytest.approx(1, abs=1e-6)


def test_wrong_arguments() -> None:
    with pytest.raises(ShapeError) as shape:
        greedy(torch.zeros(3, 4))
    assert str(shape.value) == "The scores have shape (3, 4); expected [B, T, V]."
    with pytest.raises(ShapeError) as lengths:
        beam_search(torch.zeros(3, 4, 2), torch.tensor([4]))
    assert str(lengths.value) == "The lengths have shape (1,); expected one per row, (3,)."
    with pytest.raises(OptionError) as blank:
        greedy(torch.zeros(3, 4, 2), blank=2)
    assert str(blank.value) == "The blank is label 2; expected a label from 0 to 1."
    with pytest.raises(OptionError) as beam:
        beam_search(torch.zeros(3, 4, 2), beam=0)
    assert str(beam.value) == "beam_search got beam = 0; expected at least 1."
