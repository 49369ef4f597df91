"""Searches for the most likely sequence of tokens, greedy or with a beam, for any model that scores tokens.

Each step calls the decoder once for all hypotheses of all sentences. A finished sentence leaves the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from holdfast.errors import OptionError

State = TypeVar("State")


class Decoder(Protocol[State]):
    """What a search needs of a model: one step for N sentences with K hypotheses each."""

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Advances every hypothesis by one token.

        Args:
            tokens: The latest token of each hypothesis, [N, K], int64.
            state: The state of those hypotheses.

        Returns:
            The log probabilities of each next token [N, K, V] (minus infinity for a token that is not allowed), and the
            state after the step.
        """

    def select(self, state: State, sentences: Tensor, hypotheses: Tensor) -> State:
        """The state of the hypotheses that continue.

        Args:
            state: The state of N sentences with K hypotheses each.
            sentences: [N'], the sentences that continue, ascending.
            hypotheses: [N', K'], for each new hypothesis, the old hypothesis of the same sentence that it continues.

        Returns:
            The state of N' sentences with K' hypotheses each.
        """


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that a search found.

    Attributes:
        tokens: The tokens, without the begin token and the end token.
        log_probability: The logarithm of its probability, with the end token.
        score: Hypotheses are ranked by this; see :func:`beam_search`.
        ended: Whether the sequence has an end; false if it was cut at its limit.
    """

    tokens: list[int]
    log_probability: float
    score: float
    ended: bool


def greedy(decoder: Decoder[State], state: State, limits: Tensor, *, begin: int, end: int) -> list[Hypothesis]:
    """Takes the most likely token at every step.

    Args:
        decoder: The model that scores the tokens.
        state: Its state before the first step, with one hypothesis per sentence.
        limits: Largest number of tokens for each sentence, with the end token: [N], at least 1.
        begin: The token that every sequence begins with.
        end: The token that ends a sequence.

    Returns:
        One hypothesis per sentence; its score is the logarithm of its probability.

    Raises:
        OptionError: A limit is below 1.
    """
    results: list[Hypothesis | None] = [None] * _count(limits)
    sentences = torch.arange(len(limits), device=limits.device)
    tokens = torch.full_like(limits, begin)[:, None]
    history, totals = tokens[:, :0], torch.zeros_like(tokens, dtype=torch.float64)
    while len(sentences):
        log_probabilities, state = decoder.step(tokens, state)
        best, tokens = log_probabilities[:, 0].max(-1, keepdim=True)
        history, totals = torch.cat([history, tokens], 1), totals + best
        done = (tokens[:, 0] == end) | (limits[sentences] == history.shape[1])
        if done.any():
            rows = zip(sentences[done].tolist(), history[done].tolist(), totals[done, 0].tolist(), strict=True)
            for sentence, chosen, total in rows:
                results[sentence] = _hypothesis(chosen, total, total, end)
            stays = (~done).nonzero()[:, 0]
            state = decoder.select(state, stays, torch.zeros_like(stays)[:, None])
            sentences, tokens, history, totals = sentences[stays], tokens[stays], history[stays], totals[stays]
    return [hypothesis for hypothesis in results if hypothesis is not None]


def beam_search(
    decoder: Decoder[State],
    state: State,
    limits: Tensor,
    *,
    begin: int,
    end: int,
    beam: int,
    length_penalty: float = 0.0,
) -> list[list[Hypothesis]]:
    """Keeps the most likely hypotheses at every step.

    A hypothesis that ends, or reaches its limit, is kept if it is among the ``beam`` most likely ones of its sentence
    at that step. A sentence is finished when ``beam`` hypotheses are kept. They are ranked by Wu et al. 2016, equation
    14, without the coverage penalty; the length includes the end token::

        score = log_probability / ((5 + length) / 6) ** length_penalty

    Args:
        decoder: The model that scores the tokens.
        state: Its state before the first step, with one hypothesis per sentence.
        limits: Largest number of tokens for each sentence, with the end token: [N], at least 1.
        begin: The token that every sequence begins with.
        end: The token that ends a sequence.
        beam: Number of hypotheses to keep per sentence, at least 1; with 1 this is :func:`greedy`.
        length_penalty: The exponent; 0 ranks by probability only, larger values favour longer results.

    Returns:
        For each sentence up to ``beam`` hypotheses, the best score first; at least one if the decoder allows any token.

    Raises:
        OptionError: A limit or ``beam`` is below 1.
    """
    if beam < 1:
        raise OptionError(f"beam_search got beam = {beam}; expected at least 1.")
    kept: list[list[Hypothesis]] = [[] for _ in range(_count(limits))]
    sentences = torch.arange(len(limits), device=limits.device)
    tokens = torch.full_like(limits, begin)[:, None]
    history, totals = tokens[:, :, None][:, :, :0], torch.zeros_like(tokens, dtype=torch.float64)
    while len(sentences):
        log_probabilities, state = decoder.step(tokens, state)
        # A hypothesis can end in one way, so among 2 * beam candidates at least ``beam`` continue.
        totals, parents, tokens = _best_extensions(totals, log_probabilities, 2 * beam)
        history = torch.cat([history.gather(1, _wide(parents, history)), tokens[:, :, None]], 2)
        length = history.shape[2]
        penalty = ((5 + length) / 6) ** length_penalty
        ended, cut = tokens == end, limits[sentences] == length
        closes = (ended | cut[:, None]) & (totals > -torch.inf)
        closes[:, beam:] = False
        closing = sentences[:, None].expand_as(closes)[closes].tolist()
        for sentence, row, total in zip(closing, history[closes].tolist(), totals[closes].tolist(), strict=True):
            kept[sentence].append(_hypothesis(row, total, total / penalty, end))
        totals, ranks = totals.masked_fill(ended, -torch.inf).topk(min(beam, totals.shape[1]))
        enough = torch.tensor([len(kept[sentence]) >= beam for sentence in sentences.tolist()], device=limits.device)
        stays = (~(enough | cut) & (totals[:, 0] > -torch.inf)).nonzero()[:, 0]
        sentences, totals, ranks = sentences[stays], totals[stays], ranks[stays]
        tokens, parents = tokens[stays].gather(1, ranks), parents[stays].gather(1, ranks)
        history = history[stays].gather(1, _wide(ranks, history))
        state = decoder.select(state, stays, parents)
    return [sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)[:beam] for hypotheses in kept]


def _best_extensions(totals: Tensor, log_probabilities: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The most likely hypotheses of each sentence that are one token longer.

    Args:
        totals: The log probability of each hypothesis, [N, K].
        log_probabilities: The log probabilities of each next token, [N, K, V].
        count: Largest number of results C per sentence.

    Returns:
        Their log probabilities, the hypotheses that they extend, and their last tokens, [N, C] each.
    """
    vocabulary = log_probabilities.shape[-1]
    candidates = (totals[:, :, None] + log_probabilities).flatten(1)
    totals, chosen = candidates.topk(min(count, candidates.shape[1]))
    return totals, chosen // vocabulary, chosen % vocabulary


def _count(limits: Tensor) -> int:
    """The number of sentences, after a check of their limits."""
    if len(limits) and int(limits.min()) < 1:
        raise OptionError(f"A search got a limit of {int(limits.min())} tokens; expected at least 1 for each sentence.")
    return len(limits)


def _wide(ranks: Tensor, history: Tensor) -> Tensor:
    """Positions [N, K] in the form that ``gather`` needs to select from ``history [N, .., t]``: [N, K, t]."""
    return ranks[:, :, None].expand(-1, -1, history.shape[2])


def _hypothesis(tokens: list[int], log_probability: float, score: float, end: int) -> Hypothesis:
    ended = tokens[-1] == end
    return Hypothesis(tokens[:-1] if ended else tokens, log_probability, score, ended)
