"""Attention between sequences, as parts of a network."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.errors import OptionError, did_you_mean

Outputs = tuple[Tensor | None, ...]
_SCORES = ("dot", "concat", "additive")
_FAR = 1e9  # what is taken from the score of a step that does not count; half precision ends before
_FAR_HALF = 65504.0


class Attention(nn.Module):
    """Attention without projections: a mean of the values, weighted by how well their keys fit the query.

    The score of query q and key k is ``scale * q . k`` (``"dot"``, Luong et al. 2015), ``weight * sum(tanh(scale *
    (q + k)))`` (``"concat"``), or ``sum(scale * tanh(q + k))`` (``"additive"``, Bahdanau et al. 2015).

    Inputs: queries [B, T, D], values [B, S, V], keys [B, S, D] (the values where left out), and which queries [B, T]
    and values [B, S] count.

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
            score: How a query and a key are compared.
            scale: The shape of ``scale``; None for none.
            causal: Whether a query sees the values up to its own step alone.
            dropout: Of the weights, while training.
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
        seen = _visible(scores, value_mask, self.causal)
        if seen is not None:
            scores = torch.where(seen, scores, scores - (_FAR_HALF if scores.dtype == torch.float16 else _FAR))
        weights = torch.softmax(scores, -1)
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
    """Attention of several heads, each with projections of its own (Vaswani et al. 2017).

    Inputs: queries [B, T, Q], values [B, S, V], keys [B, S, K] (the values where left out); which queries [B, T],
    values [B, S] and keys [B, S] count; and which queries see which values, [B, T, S] or [B, heads, T, S].

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
            heads: How many there are.
            sizes: Q, V and K.
            key_size: Of a head's queries and keys.
            value_size: Of a head's values.
            output_size: O.
            bias: Whether the projections have biases.
            causal: Whether a query sees the values up to its own step alone.
            dropout: Of the weights, while training.
            unseen: What a query gets that sees no value: zeros, or the mean of all by their scores.
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
        for one in (
            None if query_mask is None else query_mask.bool()[:, None, :, None],
            None if key_mask is None else key_mask.bool()[:, None, None],
            None if mask is None else mask.bool()[:, None] if mask.ndim == 3 else mask.bool(),
        ):
            if one is not None:
                seen = one if seen is None else seen & one
        if seen is not None:
            scores = torch.where(seen, scores, scores - (_FAR_HALF if scores.dtype == torch.float16 else _FAR))
        weights = torch.softmax(scores, -1)
        if seen is not None and self.unseen == "zero":
            weights = torch.where(seen, weights, torch.zeros_like(weights))
        found = F.dropout(weights, self.dropout, self.training) @ v
        return self.output(found.transpose(1, 2).flatten(2)), weights

    def _split(self, x: Tensor) -> Tensor:
        """[B, T, heads * size] -> [B, heads, T, size]."""
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(1, 2)


def _visible(scores: Tensor, value_mask: Tensor | None, causal: bool) -> Tensor | None:
    """Which values each query sees, for scores [B, ..., T, S]; None for all."""
    seen = None
    if value_mask is not None:
        seen = value_mask.bool().reshape(value_mask.shape[0], *[1] * (scores.ndim - 2), -1)
    if causal:
        before = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        seen = before if seen is None else seen & before
    return seen
