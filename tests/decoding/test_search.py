"""The searches against every sequence there is, and against a search written plainly."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from holdfast.decoding import Hypothesis, beam_search, greedy
from holdfast.errors import OptionError

BEGIN, END, VOCABULARY = 0, 1, 5
LIMITS = torch.tensor([4, 1, 3, 4])


@dataclass
class Table:
    """A decoder whose probabilities depend on the sentence and on all tokens so far, which are its state."""

    log_probabilities: dict[tuple[int, ...], Tensor]
    calls: int = 0

    def step(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        state = torch.cat([state, tokens[:, :, None]], 2)
        return torch.stack([torch.stack([self.next(tuple(h)) for h in s]) for s in state.tolist()]), state

    def select(self, state: Tensor, sentences: Tensor, hypotheses: Tensor) -> Tensor:
        return state[sentences[:, None], hypotheses]

    def next(self, tokens: tuple[int, ...]) -> Tensor:
        """The logarithms of the next token's probabilities after (sentence, BEGIN, ...); BEGIN cannot come again."""
        if tokens not in self.log_probabilities:
            scores = 2 * torch.randn(VOCABULARY, dtype=torch.float64)
            scores[BEGIN] = -math.inf
            self.log_probabilities[tokens] = torch.log_softmax(scores, 0)
        return self.log_probabilities[tokens]

    def total(self, sentence: int, tokens: tuple[int, ...]) -> float:
        """The logarithm of the probability of tokens after BEGIN."""
        whole = (sentence, BEGIN, *tokens)
        return sum(float(self.next(whole[: 2 + i])[token]) for i, token in enumerate(tokens))


def begun(limits: Tensor) -> Tensor:
    return torch.arange(len(limits))[:, None, None]


def ranked(total: float, length: int, length_penalty: float) -> float:
    return total / ((5 + length) / 6) ** length_penalty


def every(table: Table, sentence: int, limit: int, length_penalty: float) -> list[Hypothesis]:
    """All sequences up to the limit, ended, or cut at it, the best first."""
    found = []
    for length in range(1, limit + 1):
        for tokens in itertools.product(range(VOCABULARY), repeat=length):
            ended = tokens[-1] == END
            total = table.total(sentence, tokens) if BEGIN not in tokens and END not in tokens[:-1] else -math.inf
            if total > -math.inf and (ended or length == limit):
                kept = list(tokens[:-1] if ended else tokens)
                found.append(Hypothesis(kept, total, ranked(total, length, length_penalty), ended))
    return sorted(found, key=lambda hypothesis: -hypothesis.score)


def plain_search(table: Table, sentence: int, limit: int, beam: int, length_penalty: float) -> list[Hypothesis]:
    """A beam search of one sentence, on Python lists."""
    live: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    kept: list[Hypothesis] = []
    for length in range(1, limit + 1):
        following = [(table.total(sentence, (*t, v)), (*t, v)) for _, t in live for v in range(VOCABULARY)]
        following = sorted((pair for pair in following if pair[0] > -math.inf), reverse=True)
        for total, tokens in following[:beam]:
            if tokens[-1] == END or length == limit:
                body = list(tokens[:-1] if tokens[-1] == END else tokens)
                kept.append(Hypothesis(body, total, ranked(total, length, length_penalty), tokens[-1] == END))
        live = [pair for pair in following if pair[1][-1] != END][:beam]
        if len(kept) >= beam or not live:
            break
    return sorted(kept, key=lambda hypothesis: -hypothesis.score)[:beam]


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [(h.tokens, h.ended) for h in found] == [(h.tokens, h.ended) for h in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, rel=1e-12)
        assert one.score == pytest.approx(other.score, rel=1e-12)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 2.0])
def test_a_wide_beam_finds_what_trying_every_sequence_finds(length_penalty: float) -> None:
    table = Table({})
    beam = VOCABULARY ** int(LIMITS.max())
    results = beam_search(table, begun(LIMITS), LIMITS, begin=BEGIN, end=END, beam=beam, length_penalty=length_penalty)
    for sentence, limit in enumerate(LIMITS.tolist()):
        assert_same(results[sentence], every(table, sentence, limit, length_penalty))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("beam", [1, 2, 3, 7])
def test_a_narrow_beam_finds_what_a_plain_search_finds(beam: int, seed: int) -> None:
    torch.manual_seed(seed)
    table, limits = Table({}), torch.tensor([6, 1, 3, 5, 6, 2])
    results = beam_search(table, begun(limits), limits, begin=BEGIN, end=END, beam=beam, length_penalty=0.8)
    for sentence, limit in enumerate(limits.tolist()):
        assert_same(results[sentence], plain_search(table, sentence, limit, beam, 0.8))


def test_a_beam_of_one_is_greedy() -> None:
    table, limits = Table({}), torch.arange(1, 21)
    taken = greedy(table, begun(limits), limits, begin=BEGIN, end=END)
    results = beam_search(table, begun(limits), limits, begin=BEGIN, end=END, beam=1)
    assert {hypothesis.ended for hypothesis in taken} == {True, False}
    for one, several in zip(taken, results, strict=True):
        assert_same([one], several)
        ended = [END] if one.ended else []
        assert one.log_probability == pytest.approx(table.total(taken.index(one), (*one.tokens, *ended)), rel=1e-12)


def test_one_call_a_step_for_all_sentences_and_hypotheses() -> None:
    table, limits = Table({}), torch.full((16,), 6)
    greedy(table, begun(limits), limits, begin=BEGIN, end=END)
    assert table.calls <= 6
    table.calls = 0
    beam_search(table, begun(limits), limits, begin=BEGIN, end=END, beam=4)
    assert table.calls <= 6


def test_a_beam_can_find_what_greed_misses() -> None:
    """The likelier first token leads to unlikely ends."""
    probabilities = {
        (0, BEGIN): [0, 0, 0.6, 0.4, 0],
        (0, BEGIN, 2): [0, 0.3, 0.3, 0.2, 0.2],
        (0, BEGIN, 3): [0, 1, 0, 0, 0],
    }
    table = Table({tokens: torch.tensor(row, dtype=torch.float64).log() for tokens, row in probabilities.items()})
    limits = torch.tensor([2])
    (taken,) = greedy(table, begun(limits), limits, begin=BEGIN, end=END)
    ((best, *_),) = beam_search(table, begun(limits), limits, begin=BEGIN, end=END, beam=2)
    assert taken.tokens[0] == 2
    assert best.tokens == [3]
    assert best.log_probability == pytest.approx(math.log(0.4), rel=1e-12)


def test_no_sentences() -> None:
    limits = torch.zeros(0, dtype=torch.int64)
    assert greedy(Table({}), begun(limits), limits, begin=BEGIN, end=END) == []
    assert beam_search(Table({}), begun(limits), limits, begin=BEGIN, end=END, beam=3) == []


def test_errors() -> None:
    limits = torch.tensor([3, 0])
    message = "A search got a limit of 0 tokens; expected at least 1 for each sentence."
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        greedy(Table({}), begun(limits), limits, begin=BEGIN, end=END)
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        beam_search(Table({}), begun(limits), limits, begin=BEGIN, end=END, beam=2)
    message = "beam_search got beam = 0; expected at least 1."
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        beam_search(Table({}), begun(limits), limits, begin=BEGIN, end=END, beam=0)
