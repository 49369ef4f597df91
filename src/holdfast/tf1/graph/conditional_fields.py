"""``tf.contrib.crf``: linear chains of tags (Lafferty et al. 2001).

x are the scores of tags [B, T, N], A[i, j] is the score of tag j after tag i.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.dtypes import int32
from holdfast.tf1.graph.graph import node, nodes
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.scopes import get_variable
from holdfast.tf1.graph.tensors import Tensor


def _inside(steps: int, lengths: torch.Tensor) -> torch.Tensor:
    return torch.arange(steps) < lengths.unsqueeze(1)


def _unary(x: torch.Tensor, tags: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    picked = x.gather(2, tags.long().unsqueeze(2)).squeeze(2)
    return torch.where(_inside(x.shape[1], lengths), picked, 0).sum(1)


def _binary(tags: torch.Tensor, lengths: torch.Tensor, transitions: torch.Tensor) -> torch.Tensor:
    pairs = transitions[tags[:, :-1].long(), tags[:, 1:].long()]
    return torch.where(_inside(tags.shape[1], lengths)[:, 1:], pairs, 0).sum(1)


def _norm(x: torch.Tensor, lengths: torch.Tensor, transitions: torch.Tensor) -> torch.Tensor:
    inside, sums = _inside(x.shape[1], lengths), x[:, 0]
    for t in range(1, x.shape[1]):
        following = x[:, t] + torch.logsumexp(sums.unsqueeze(2) + transitions, 1)
        sums = torch.where(inside[:, t : t + 1], following, sums)
    return torch.where(lengths > 0, torch.logsumexp(sums, 1), 0)


def _rows(tensor: Tensor) -> tuple[int | None, ...]:
    return (tensor.sizes or (None,))[:1]


@public("contrib.crf.crf_log_likelihood")
def crf_log_likelihood(
    inputs: Any, tag_indices: Any, sequence_lengths: Any, transition_params: Any = None
) -> tuple[Tensor, Tensor]:
    """The log probability [B] of tags, and the scores of transitions.

    Args:
        inputs: The scores of tags [B, T, N].
        tag_indices: Tags [B, T].
        sequence_lengths: Steps in each row [B].
        transition_params: Scores [N, N]; a variable ``transitions`` by default.
    """
    x = convert_to_tensor(inputs)
    if transition_params is None:
        count = None if x.sizes is None else x.sizes[2]
        if count is None:
            raise ValueError(f"The last size of {x.name}, the number of tags, is unknown; give it by set_shape.")
        transition_params = get_variable("transitions", [count, count])
    transitions = convert_to_tensor(transition_params)
    tags, lengths = convert_to_tensor(tag_indices), convert_to_tensor(sequence_lengths)

    def compute(v: torch.Tensor, y: torch.Tensor, n: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        return _unary(v, y, n) + _binary(y, n, a) - _norm(v, n, a)

    return node("CrfLogLikelihood", compute, [x, tags, lengths, transitions], x.dtype, _rows(x)), transitions


@public("contrib.crf.crf_sequence_score")
def crf_sequence_score(inputs: Any, tag_indices: Any, sequence_lengths: Any, transition_params: Any) -> Tensor:
    """The score [B] of tags, without its normalisation."""
    x, tags, lengths, transitions = (
        convert_to_tensor(each) for each in (inputs, tag_indices, sequence_lengths, transition_params)
    )
    return node(
        "CrfSequenceScore", lambda v, y, n, a: _unary(v, y, n) + _binary(y, n, a), [x, tags, lengths, transitions],
        x.dtype, _rows(x),
    )  # fmt: skip


@public("contrib.crf.crf_unary_score")
def crf_unary_score(tag_indices: Any, sequence_lengths: Any, inputs: Any) -> Tensor:
    """The part of :func:`crf_sequence_score` that is of the inputs."""
    tags, lengths, x = (convert_to_tensor(each) for each in (tag_indices, sequence_lengths, inputs))
    return node("CrfUnaryScore", lambda y, n, v: _unary(v, y, n), [tags, lengths, x], x.dtype, _rows(x))


@public("contrib.crf.crf_binary_score")
def crf_binary_score(tag_indices: Any, sequence_lengths: Any, transition_params: Any) -> Tensor:
    """The part of :func:`crf_sequence_score` that is of the transitions."""
    tags, lengths, transitions = (
        convert_to_tensor(each) for each in (tag_indices, sequence_lengths, transition_params)
    )
    return node("CrfBinaryScore", _binary, [tags, lengths, transitions], transitions.dtype, _rows(tags))


@public("contrib.crf.crf_log_norm")
def crf_log_norm(inputs: Any, sequence_lengths: Any, transition_params: Any) -> Tensor:
    """The logarithm [B] of the sum over all tags of the exponentials of their scores."""
    x, lengths, transitions = (convert_to_tensor(each) for each in (inputs, sequence_lengths, transition_params))
    return node("CrfLogNorm", _norm, [x, lengths, transitions], x.dtype, _rows(x))


@public("contrib.crf.viterbi_decode")
def viterbi_decode(score: Any, transition_params: Any) -> tuple[list[int], Any]:
    """The best tags of one sequence, from arrays: scores [T, N] and transitions [N, N]; and their score.

    Example:
        >>> from holdfast.tf1 import graph as tf
        >>> tags, score = tf.contrib.crf.viterbi_decode([[1.0, 0.0], [0.0, 0.5]], [[0.0, 0.0], [0.0, 0.0]])
        >>> tags, float(score)
        ([0, 1], 1.5)
    """
    scores, transitions = np.asarray(score), np.asarray(transition_params)
    best, back = scores[0], np.zeros(scores.shape, dtype=np.int32)
    for t in range(1, len(scores)):
        paths = best[:, None] + transitions
        best, back[t] = scores[t] + paths.max(0), paths.argmax(0)
    tags = [int(best.argmax())]
    for pointers in back[:0:-1]:
        tags.append(int(pointers[tags[-1]]))
    return tags[::-1], best.max()


@public("contrib.crf.crf_decode")
def crf_decode(potentials: Any, transition_params: Any, sequence_length: Any) -> tuple[Tensor, Tensor]:
    """The best tags [B, T], zero past the end of a row, and their scores [B]."""
    x, transitions, lengths = (convert_to_tensor(each) for each in (potentials, transition_params, sequence_length))

    def compute(v: torch.Tensor, a: torch.Tensor, n: torch.Tensor) -> Any:
        tags = torch.zeros(v.shape[:2], dtype=torch.int32)
        scores = torch.zeros(len(v), dtype=v.dtype)
        for row, (values, count) in enumerate(zip(v, n.tolist(), strict=True)):
            if count:
                best, total = viterbi_decode(values[:count].detach().numpy(), a.detach().numpy())
                scores[row] = float(total)
                tags[row, :count] = torch.tensor(best, dtype=torch.int32)
        return tags, scores

    sizes = None if x.sizes is None else x.sizes[:2]
    tags, scores = nodes(
        "CrfDecode", compute, [x, transitions, lengths], [(int32, sizes), (x.dtype, _rows(x))], gradient=False
    )
    return tags, scores
