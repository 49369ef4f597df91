"""Attention: for each query, a mean of remembered vectors, weighted by how well each of them fits the query.

With queries q_t, remembered vectors m_s and keys k_s computed from them::

    weight[t, s] = softmax over s of score(q_t, k_s)
    context[t]   = sum over s of weight[t, s] * m_s

The classes differ in the score. One batched product computes the contexts of all queries of a sequence, so a decoder
that does not need the context of one step to compute the next runs over all its steps first (Luong et al. 2015).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from holdfast.errors import OptionError, ShapeError, did_you_mean
from holdfast.layers.chain.special import AttentionKind


@dataclass(frozen=True, eq=False)
class Memory:
    """The remembered vectors of a batch, prepared once for any number of queries.

    Attributes:
        values: [B, S, M], zero past a row's length.
        keys: [B, S, K]; the score compares a query with them.
        padding: [B, S], true past a row's length; None when every row has all S vectors.
    """

    values: Tensor
    keys: Tensor
    padding: Tensor | None

    def select(self, rows: Tensor) -> Memory:
        """The memory of these rows [R] of the batch, in this order."""
        padding = None if self.padding is None else self.padding[rows]
        return Memory(self.values[rows], self.keys[rows], padding)


class Attention(nn.Module, ABC):
    """The base of the classes below; not for direct use.

    Args:
        query_size: Q, values in a query.
        memory_size: M, values in a remembered vector.
    """

    kind: AttentionKind

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.query_size, self.memory_size = query_size, memory_size

    def prepare(self, values: Tensor, lengths: Tensor | None = None) -> Memory:
        """Makes the keys of a batch of sequences.

        Args:
            values: [B, S, M]. Values past a row's length, NaN included, change nothing.
            lengths: Vectors in each row, [B], 0 to S; None when all rows have S.

        Raises:
            ShapeError: The values are not [B, S, M].
        """
        if values.ndim != 3 or values.shape[-1] != self.memory_size:
            raise ShapeError(
                f"{type(self).__name__} values have shape {tuple(values.shape)}; expected (batch, steps, memory_size) "
                f"with memory_size = {self.memory_size}."
            )
        padding = None
        if lengths is not None:
            padding = torch.arange(values.shape[1], device=values.device) >= lengths[:, None]
            values = values.masked_fill(padding[:, :, None], 0)
        return Memory(values, self.keys(values), padding)

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Computes the contexts of queries.

        Args:
            queries: [B, T, Q].
            memory: The result of :meth:`prepare`, with B rows.

        Returns:
            The contexts [B, T, M] and the weights [B, T, S], which are 0 past a row's length and otherwise sum to 1. A
            row of length 0 has zeros in both.

        Raises:
            ShapeError: The queries are not [B, T, Q], or the memory has another number of rows.
        """
        rows = memory.values.shape[0]
        if queries.ndim != 3 or queries.shape[0] != rows or queries.shape[-1] != self.query_size:
            raise ShapeError(
                f"{type(self).__name__} queries have shape {tuple(queries.shape)}; expected (batch, steps, query_size) "
                f"= ({rows}, steps, {self.query_size})."
            )
        scores = self.scores(queries, memory.keys)
        if memory.padding is None:
            weights = torch.softmax(scores, -1)
        else:
            hidden = memory.padding[:, None, :]
            # Not minus infinity: the softmax of a row without vectors would be NaN.
            scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
            weights = torch.softmax(scores, -1).masked_fill(hidden, 0)
        return weights @ memory.values, weights

    def keys(self, values: Tensor) -> Tensor:
        """The keys [B, S, K] for values [B, S, M]; by default the values themselves."""
        return values

    @abstractmethod
    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """How well each key fits each query: [B, T, S].

        Args:
            queries: [B, T, Q].
            keys: [B, S, K].
        """


class DotAttention(Attention):
    """``score(q, m) = qᵀ m``: Luong et al. 2015, equation 8, "dot". It has no parameters.

    Args:
        query_size: Q, values in a query.
        memory_size: M, values in a remembered vector; the same as Q.

    Raises:
        OptionError: The sizes differ.
    """

    kind = "dot"

    def __init__(self, query_size: int, memory_size: int) -> None:
        if query_size != memory_size:
            raise OptionError(
                f"DotAttention got query_size = {query_size} and memory_size = {memory_size}; expected them to be "
                "equal. GeneralAttention takes unequal ones."
            )
        super().__init__(query_size, memory_size)

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """``qᵀ m``, [B, T, S]."""
        return queries @ keys.transpose(1, 2)


class GeneralAttention(Attention):
    """``score(q, m) = qᵀ W m``: Luong et al. 2015, equation 8, "general".

    Args:
        query_size: Q, values in a query.
        memory_size: M, values in a remembered vector.
    """

    kind = "general"

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.key = nn.Linear(memory_size, query_size, bias=False)  # a bias would add the same to all scores of a query

    def keys(self, values: Tensor) -> Tensor:
        """``W m``, [B, S, Q]."""
        keys: Tensor = self.key(values)
        return keys

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """``qᵀ (W m)``, [B, T, S]."""
        return queries @ keys.transpose(1, 2)


class AdditiveAttention(Attention):
    """``score(q, m) = vᵀ tanh(W q + U m + b)``: Bahdanau et al. 2015, appendix A.1.2, with a bias.

    Its intermediate result is [B, T, S, size], so it takes more memory and time than the products above.

    Args:
        query_size: Q, values in a query.
        memory_size: M, values in a remembered vector.
        size: Units of the layer before the tanh; None for Q.
    """

    kind = "additive"

    def __init__(self, query_size: int, memory_size: int, size: int | None = None) -> None:
        super().__init__(query_size, memory_size)
        size = query_size if size is None else size
        self.query = nn.Linear(query_size, size, bias=False)
        self.key = nn.Linear(memory_size, size)
        self.score = nn.Linear(size, 1, bias=False)

    def keys(self, values: Tensor) -> Tensor:
        """``U m + b``, [B, S, size]."""
        keys: Tensor = self.key(values)
        return keys

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """``vᵀ tanh(W q + (U m + b))``, [B, T, S]."""
        scores: Tensor = self.score(torch.tanh(self.query(queries)[:, :, None] + keys[:, None]))
        return scores.squeeze(-1)


ATTENTIONS: dict[str, type[Attention]] = {
    each.kind: each for each in (DotAttention, GeneralAttention, AdditiveAttention)
}


def make_attention(name: str, query_size: int, memory_size: int) -> Attention:
    """Makes an attention by its name in :data:`ATTENTIONS`.

    Args:
        name: ``"dot"``, ``"general"`` or ``"additive"``.
        query_size: Q, values in a query.
        memory_size: M, values in a remembered vector.

    Raises:
        OptionError: There is no such name, or the sizes do not fit.
    """
    if name not in ATTENTIONS:
        raise OptionError(f"There is no attention {name!r}: {did_you_mean(name, ATTENTIONS)}")
    return ATTENTIONS[name](query_size, memory_size)
