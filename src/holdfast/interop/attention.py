"""Parts of a network that attend from one sequence to another."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.errors import OptionError, did_you_mean

Outputs = tuple[Tensor | None, ...]
_SCORES = ("dot", "concat", "additive")
_PENALTY = 1e9  # subtracted from the score of a step that does not count
_PENALTY_HALF = 65504.0  # the largest number in half precision


class Attention(nn.Module):
    """Attention without projections: the mean of the values, weighted by the scores of their keys and the query.

    The score of query q and key k is ``scale * q . k`` (``"dot"``, Luong et al. 2015), ``weight * sum(tanh(scale *
    (q + k)))`` (``"concat"``), or ``sum(scale * tanh(q + k))`` (``"additive"``, Bahdanau et al. 2015).

    Inputs: queries [B, T, D], values [B, S, V], keys [B, S, D] (None: the values), and masks of the queries [B, T] and
    values [B, S] that count.

    Outputs: [B, T, V], zero for queries that do not count; and the weights [B, T, S].
    """

    def __init__(
        self,
        score: Literal["dot", "concat", "additive"] = "dot",
        scale: list[int] | None = None,
        causal: bool = False,
        dropout: float = 0.0,
    ) -> None:
        """Builds the parameters.

        Args:
            score: How to compare a query and a key.
            scale: The shape of ``scale``; None for none.
            causal: Whether a query sees only the values up to its own step.
            dropout: The rate for the weights in training.
        """
        super().__init__()
        if score not in _SCORES:
            raise OptionError(f"There is no score {score!r}: {did_you_mean(str(score), _SCORES)}")
        self.score, self.causal, self.dropout = score, causal, dropout
        self.scale = None if scale is None else nn.Parameter(torch.ones(scale))
        self.weight = nn.Parameter(torch.ones([])) if score == "concat" else None

    def forward(
        self,
        queries: Tensor,
        values: Tensor,
        keys: Tensor | None = None,
        query_mask: Tensor | None = None,
        value_mask: Tensor | None = None,
    ) -> Outputs:
        """As the class says."""
        scores = self._scores(queries, values if keys is None else keys)
        weights = _masked_softmax(scores, _visible(scores, value_mask, self.causal))
        outputs = F.dropout(weights, self.dropout, self.training) @ values
        if query_mask is not None:
            outputs = torch.where(query_mask[..., None].bool(), outputs, torch.zeros_like(outputs))
        return outputs, weights

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        scale: Tensor | float = 1.0 if self.scale is None else self.scale
        if self.score == "dot":
            return queries @ keys.transpose(-2, -1) * scale
        both = queries[..., :, None, :] + keys[..., None, :, :]
        if self.weight is not None:
            return self.weight * torch.tanh(scale * both).sum(-1)
        return (scale * torch.tanh(both)).sum(-1)


class MultiHeadAttention(nn.Module):
    """Attention with several heads, each with its own projections (Vaswani et al. 2017).

    Inputs: queries [B, T, Q], values [B, S, V], keys [B, S, K] (None: the values); masks of the queries [B, T], values
    [B, S] and keys [B, S] that count; and a mask of the values that each query sees, [B, T, S] or [B, heads, T, S].

    Outputs: [B, T, O]; and the weights [B, heads, T, S].
    """

    def __init__(
        self,
        heads: int,
        sizes: list[int],
        key_size: int,
        value_size: int,
        output_size: int,
        bias: bool = True,
        causal: bool = False,
        dropout: float = 0.0,
        unseen: Literal["zero", "all"] = "zero",
    ) -> None:
        """Builds the projections.

        Args:
            heads: The number of heads.
            sizes: Q, V and K.
            key_size: The size of a head's queries and keys.
            value_size: The size of a head's values.
            output_size: O.
            bias: Whether the projections have biases.
            causal: Whether a query sees only the values up to its own step.
            dropout: The rate for the weights in training.
            unseen: The result for a query that sees no value: ``"zero"``, or ``"all"`` for the mean of all values
                weighted by their scores.
        """
        super().__init__()
        if unseen not in ("zero", "all"):
            raise OptionError(f"A query that sees nothing gets {unseen!r}; expected 'zero' or 'all'.")
        self.heads, self.causal, self.dropout, self.unseen = heads, causal, dropout, unseen
        self.factor = 1 / math.sqrt(key_size)
        self.query = nn.Linear(sizes[0], heads * key_size, bias)
        self.value = nn.Linear(sizes[1], heads * value_size, bias)
        self.key = nn.Linear(sizes[2], heads * key_size, bias)
        self.output = nn.Linear(heads * value_size, output_size, bias)

    def forward(
        self,
        queries: Tensor,
        values: Tensor,
        keys: Tensor | None = None,
        query_mask: Tensor | None = None,
        value_mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Outputs:
        """As the class says."""
        q = self._split(self.query(queries))
        k, v = self._split(self.key(values if keys is None else keys)), self._split(self.value(values))
        scores = q @ k.transpose(-2, -1) * self.factor  # [B, heads, T, S]
        seen = _visible(scores, value_mask, self.causal)
        for visible in (
            None if query_mask is None else query_mask.bool()[:, None, :, None],
            None if key_mask is None else key_mask.bool()[:, None, None],
            None if mask is None else mask.bool()[:, None] if mask.ndim == 3 else mask.bool(),
        ):
            if visible is not None:
                seen = visible if seen is None else seen & visible
        weights = _masked_softmax(scores, seen)
        if seen is not None and self.unseen == "zero":
            weights = torch.where(seen, weights, torch.zeros_like(weights))
        attended = F.dropout(weights, self.dropout, self.training) @ v
        return self.output(attended.transpose(1, 2).flatten(2)), weights

    def _split(self, x: Tensor) -> Tensor:
        """[B, T, heads * size] -> [B, heads, T, size]."""
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(1, 2)


def _visible(scores: Tensor, value_mask: Tensor | None, causal: bool) -> Tensor | None:
    """The mask of the values that each query sees, for scores [B, ..., T, S]; None for all."""
    seen = None
    if value_mask is not None:
        seen = value_mask.bool().reshape(value_mask.shape[0], *[1] * (scores.ndim - 2), -1)
    if causal:
        earlier = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        seen = earlier if seen is None else seen & earlier
    return seen


def _masked_softmax(scores: Tensor, seen: Tensor | None) -> Tensor:
    """The softmax of scores over their last dimension, with almost no weight where ``seen`` is false."""
    if seen is not None:
        penalty = _PENALTY_HALF if scores.dtype == torch.float16 else _PENALTY
        scores = torch.where(seen, scores, scores - penalty)
    return torch.softmax(scores, -1)
