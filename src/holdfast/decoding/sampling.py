"""Drawing tokens from a language model: temperature, the k likeliest, the nucleus, by seed.

With the scores s of V tokens and the temperature τ, p = softmax(s / τ). ``top_k`` keeps the k tokens of the highest p
(Fan et al. 2018); ``top_p`` then keeps the nucleus (Holtzman et al. 2020): the fewest tokens, likeliest first, whose
probabilities come to at least ``top_p``. What is kept is scaled to come to 1, after each of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from holdfast.errors import OptionError, ShapeError

WINDOW = 256
"""Steps of a prompt that are read at once: a long one does not take much memory."""

# (tokens [B, T], lengths [B] or None, state or None) -> scores of the token after each [B, T, V], state
Model = Callable[[Tensor, Tensor | None, Any], tuple[Tensor, Any]]


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen.

    Attributes:
        temperature: τ: below 1 the likely becomes likelier, above 1 less so; 0 takes the likeliest.
        top_k: Only the k likeliest tokens are drawn from; 0 for all.
        top_p: Only the nucleus of this probability is drawn from; 1 for all.

    Raises:
        OptionError: A value is out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise OptionError(f"temperature is {self.temperature}; expected 0 (always the likeliest token) or more.")
        if self.top_k < 0:
            raise OptionError(f"top_k is {self.top_k}; expected a number of tokens, or 0 for all.")
        if not 0 < self.top_p <= 1:
            raise OptionError(f"top_p is {self.top_p}; expected a probability above 0, up to 1 for all tokens.")

    def probabilities(self, scores: Tensor) -> Tensor:
        """What a token is drawn by.

        Args:
            scores: [B, V], before softmax; -inf for a token that must not come.

        Returns:
            [B, V], float64; each row comes to 1. Of equal scores, the token of the lower number comes first.
        """
        if self.temperature == 0:
            return torch.zeros_like(scores, dtype=torch.float64).scatter_(-1, scores.argmax(-1, keepdim=True), 1)
        ordered, order = (scores.double() / self.temperature).sort(dim=-1, descending=True, stable=True)
        if self.top_k:
            ordered[:, self.top_k :] = -torch.inf
        p = ordered.softmax(-1)
        if self.top_p < 1:
            p = p.where(p.cumsum(-1) - p < self.top_p, 0)
            p = p / p.sum(-1, keepdim=True)
        return torch.zeros_like(p).scatter_(-1, order, p)


def uniform(seed: int, keys: Sequence[Sequence[int]], length: int) -> Tensor:
    """The random numbers of some samples: each row depends on the seed and on the sample's key, and on no other row.

    Args:
        seed: Zero or more.
        keys: What tells the samples apart, B of them: whole numbers from 0 on.
        length: Numbers a sample.

    Returns:
        [B, length], float64, from 0 to below 1 in steps of 2^-24.
    """
    rows = [np.random.default_rng((seed, *key)).random(length, dtype=np.float32) for key in keys]
    return torch.from_numpy(np.stack(rows)).double() if rows else torch.zeros(0, length, dtype=torch.float64)


def draw(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """The token at which the probabilities, added up, first exceed a number; one of probability 0 is never drawn.

    Args:
        probabilities: [B, V].
        numbers: [B], from 0 to below 1, as :func:`uniform` gives them.

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
    """Goes on from prompts, all of them side by side.

    Args:
        model: In evaluation mode; it reads the prompts, ``WINDOW`` steps at a time, then each token that it is given.
        prompts: [B, T], int64, on the device of the model.
        lengths: Tokens of each prompt, [B], from 1 to T.
        numbers: [B, L], from :func:`uniform`; L tokens are drawn at most.
        sampling: How a token is chosen.
        end: The token that a sample ends with; None to go on to L tokens.
        never: Tokens that are not drawn.

    Returns:
        What follows each prompt, without the prompt and without ``end``.

    Raises:
        ShapeError: A prompt is empty.
    """
    if not bool((lengths > 0).all()):
        raise ShapeError("A prompt has no tokens; expected at least one, such as the token that begins a text.")
    last, state = _read(model, prompts, lengths)
    barred = torch.tensor(sorted(never), dtype=torch.int64)
    ended = torch.zeros(len(prompts), dtype=torch.bool)
    drawn: list[Tensor] = []
    while len(drawn) < numbers.shape[1]:
        p = sampling.probabilities(last.cpu().index_fill(1, barred, -torch.inf))
        drawn.append(draw(p, numbers[:, len(drawn)]))
        ended |= drawn[-1] == end
        if ended.all():
            break
        scores, state = model(drawn[-1][:, None].to(prompts.device), None, state)
        last = scores[:, 0]
    rows = torch.stack(drawn, 1).tolist() if drawn else [[] for _ in prompts]
    return [row[: row.index(end)] if end in row else row for row in rows]


def _read(model: Model, prompts: Tensor, lengths: Tensor) -> tuple[Tensor, Any]:
    """The scores after the last token of each prompt, [B, V], and the state."""
    found, state = [], None
    for begin in range(0, prompts.shape[1], WINDOW):
        window = prompts[:, begin : begin + WINDOW]
        left = (lengths - begin).clamp(0, window.shape[1])
        scores, state = model(window, left, state)
        found.append(scores[torch.arange(len(scores)), (left - 1).clamp(min=0)])
    return torch.stack(found)[(lengths - 1) // WINDOW, torch.arange(len(lengths))], state
