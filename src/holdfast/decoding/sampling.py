"""Sampling of tokens from a language model, by seed: temperature, the k most likely tokens, the nucleus.

With the scores s of V tokens and the temperature τ, p = softmax(s / τ). ``top_k`` keeps the k tokens with the highest p
(Fan et al. 2018). ``top_p`` then keeps the nucleus (Holtzman et al. 2020): the fewest tokens, the most likely first,
whose probabilities sum to at least ``top_p``. After each of the two, the probabilities are scaled to sum to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from holdfast.errors import OptionError, ShapeError

WINDOW = 256
"""Steps of a prompt that are read at once, to limit the memory for a long prompt."""

# (tokens [B, T], lengths [B] or None, state or None) -> scores of the next token of each [B, T, V], state
Model = Callable[[Tensor, Tensor | None, Any], tuple[Tensor, Any]]


@dataclass(frozen=True)
class Sampling:
    """How to choose a token.

    Attributes:
        temperature: τ. Below 1, likely tokens become more likely; above 1, less; 0 takes the most likely token.
        top_k: Sample only from the k most likely tokens; 0 for all.
        top_p: Sample only from the nucleus with this probability; 1 for all.

    Raises:
        OptionError: A value is out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise OptionError(f"temperature is {self.temperature}; expected 0 (always the most likely token) or more.")
        if self.top_k < 0:
            raise OptionError(f"top_k is {self.top_k}; expected a number of tokens, or 0 for all.")
        if not 0 < self.top_p <= 1:
            raise OptionError(f"top_p is {self.top_p}; expected a probability above 0, up to 1 for all tokens.")

    def probabilities(self, scores: Tensor) -> Tensor:
        """The probability with which each token is drawn.

        Args:
            scores: [B, V], before softmax; -inf for a token that is not allowed.

        Returns:
            [B, V], float64; each row sums to 1. Of tokens with equal scores, the lower number ranks first.
        """
        if self.temperature == 0:
            return torch.zeros_like(scores, dtype=torch.float64).scatter_(-1, scores.argmax(-1, keepdim=True), 1)
        scaled = scores.double() / self.temperature
        if not self.top_k and self.top_p == 1:
            return scaled.softmax(-1)
        ordered, order = scaled.sort(dim=-1, descending=True, stable=True)
        if self.top_k:
            ordered[:, self.top_k :] = -torch.inf
        p = ordered.softmax(-1)
        if self.top_p < 1:
            p = p.where(p.cumsum(-1) - p < self.top_p, 0)
            p = p / p.sum(-1, keepdim=True)
        return torch.zeros_like(p).scatter_(-1, order, p)


def uniform(seed: int, keys: Sequence[Sequence[int]], length: int) -> Tensor:
    """Random numbers for some samples: each row depends only on the seed and on the key of its sample.

    Args:
        seed: Zero or more.
        keys: The B keys of the samples, whole numbers from 0 on.
        length: Number of random numbers per sample.

    Returns:
        [B, length], float64, from 0 to below 1 in steps of 2^-24.
    """
    rows = [np.random.default_rng((seed, *key)).random(length, dtype=np.float32) for key in keys]
    return torch.from_numpy(np.stack(rows)).double() if rows else torch.zeros(0, length, dtype=torch.float64)


def draw(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """The first token at which the cumulative probability exceeds a number; a token of probability 0 is never drawn.

    Args:
        probabilities: [B, V].
        numbers: [B], from 0 to below 1, from :func:`uniform`.

    Returns:
        [B], int64.
    """
    total = probabilities.double().cumsum(-1)
    return torch.searchsorted(total, numbers.to(total)[:, None] * total[:, -1:], right=True)[:, 0]


@torch.inference_mode()
def generate(
    model: Model,
    prompts: Tensor,
    lengths: Tensor,
    numbers: Tensor,
    sampling: Sampling,
    *,
    end: int | None = None,
    never: Collection[int] = (),
) -> list[list[int]]:
    """Continues prompts, all in one batch.

    Args:
        model: In evaluation mode; reads the prompts, ``WINDOW`` steps at a time, then each new token.
        prompts: [B, T], int64, on the device of the model.
        lengths: Number of tokens of each prompt, [B], from 1 to T.
        numbers: [B, L], from :func:`uniform`; at most L tokens are drawn.
        sampling: How to choose a token.
        end: The token that ends a sample; None to draw L tokens.
        never: Tokens that must not be drawn.

    Returns:
        The new tokens after each prompt, without ``end``.

    Raises:
        ShapeError: A prompt is empty.
    """
    drawn = list(tokens(model, prompts, lengths, numbers, sampling, end=end, never=never))
    rows = torch.stack(drawn, 1).tolist() if drawn else [[] for _ in prompts]
    return [row[: row.index(end)] if end in row else row for row in rows]


@torch.inference_mode()
def tokens(
    model: Model,
    prompts: Tensor,
    lengths: Tensor,
    numbers: Tensor,
    sampling: Sampling,
    *,
    end: int | None = None,
    never: Collection[int] = (),
) -> Iterator[Tensor]:
    """The tokens of :func:`generate` as they are drawn: [B] at each step.

    It stops after the step at which the last sample has drawn ``end``; what a sample draws after its ``end`` does not
    count.

    Args:
        model: As in :func:`generate`, like all other arguments.
        prompts: [B, T].
        lengths: [B].
        numbers: [B, L].
        sampling: How to choose a token.
        end: The token that ends a sample.
        never: Tokens that are never drawn.

    Raises:
        ShapeError: A prompt is empty.
    """
    if not bool((lengths > 0).all()):
        raise ShapeError("A prompt has no tokens; expected at least one, such as the token that begins a text.")
    last, state = _last_scores(model, prompts, lengths)
    excluded = torch.tensor(sorted(never), dtype=torch.int64)
    ended = torch.zeros(len(prompts), dtype=torch.bool)
    for step in range(numbers.shape[1]):
        p = sampling.probabilities(last.cpu().index_fill(1, excluded, -torch.inf))
        drawn = draw(p, numbers[:, step])
        yield drawn
        ended |= drawn == end
        if ended.all() or step + 1 == numbers.shape[1]:
            return
        scores, state = model(drawn[:, None].to(prompts.device), None, state)
        last = scores[:, 0]


def _last_scores(model: Model, prompts: Tensor, lengths: Tensor) -> tuple[Tensor, Any]:
    """The scores after the last token of each prompt, [B, V], and the state."""
    windows, state = [], None
    for begin in range(0, prompts.shape[1], WINDOW):
        window = prompts[:, begin : begin + WINDOW]
        left = (lengths - begin).clamp(0, window.shape[1])
        scores, state = model(window, left, state)
        windows.append(scores[torch.arange(len(scores)), (left - 1).clamp(min=0)])
    return torch.stack(windows)[(lengths - 1) // WINDOW, torch.arange(len(lengths))], state
