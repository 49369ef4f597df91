"""Connectionist temporal classification (Graves et al. 2006): from scores per frame to a sequence of labels.

A path has one label, or none (the blank), for each frame. Its labels are what remains after equal neighbours are merged
and blanks are removed. The probability of a sequence of labels is the sum over its paths. The loss is torch's
(``torch.nn.functional.ctc_loss``); this file has the decoding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from holdfast.errors import OptionError, ShapeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NOTHING = -1
"""The number of no prefix: an empty place in a beam, or the parent of the empty prefix."""


class Hypothesis(NamedTuple):
    """A possible sequence of labels for the frames."""

    labels: list[int]
    """The labels, without blanks."""
    log_probability: float
    """Natural logarithm of the probability of its paths, as far as they were in the beam."""


def greedy(
    log_probs: Tensor, lengths: Tensor | None = None, *, blank: int = 0, before: Tensor | None = None
) -> list[list[int]]:
    """The labels of the most likely path.

    Args:
        log_probs: Scores of each label in each frame, [B, T, V]; only their order within a frame matters.
        lengths: Number of frames of each row, [B]; None if all rows have T.
        blank: The number of the blank.
        before: The most likely label of the frame before the first one, [B], if the rows continue earlier frames; else
            None.

    Returns:
        B lists of labels, without blanks.

    Raises:
        ShapeError: The shapes of the arguments do not fit each other.
        OptionError: There is no label ``blank``.
    """
    _check(log_probs, lengths, blank)
    best = log_probs.argmax(-1)
    if before is None:
        before = best.new_full((len(best),), blank)
    earlier = torch.cat([before.to(best)[:, None], best[:, :-1]], 1)
    is_new = (best != blank) & (best != earlier)
    if lengths is not None:
        is_new &= torch.arange(best.shape[1], device=best.device) < lengths.to(best.device)[:, None]
    return [row[kept].tolist() for row, kept in zip(best, is_new, strict=True)]


def beam_search(
    log_probs: Tensor, lengths: Tensor | None = None, *, beam: int = 10, blank: int = 0
) -> list[list[Hypothesis]]:
    """The most likely sequences of labels, by prefix beam search (Graves 2012, Hannun et al. 2014).

    Each frame extends the prefixes in the beam. The probabilities of paths with the same prefix are added, and the most
    likely prefixes stay. If the beam has room for every prefix, the result is exact.

    Args:
        log_probs: Log probabilities of each label in each frame, [B, T, V].
        lengths: Number of frames of each row, [B]; None if all rows have T.
        beam: Number of prefixes to keep per row.
        blank: The number of the blank.

    Returns:
        For each row one to ``beam`` hypotheses, the most likely first.

    Raises:
        ShapeError: The shapes of the arguments do not fit each other.
        OptionError: ``beam`` is below 1, or there is no label ``blank``.
    """
    _check(log_probs, lengths, blank)
    if beam < 1:
        raise OptionError(f"beam_search got beam = {beam}; expected at least 1.")
    scores = log_probs.detach().to("cpu", torch.float64).numpy()
    rows, steps, _ = scores.shape
    frames = np.full(rows, steps) if lengths is None else lengths.cpu().numpy()
    beams = _Beams(rows, beam, blank)
    for step in range(int(frames.max(initial=0))):
        beams.advance(scores[:, step], step < frames)
    return beams.hypotheses()


class _Prefixes:
    """All prefixes so far, as a tree: each has a number, its last label, and the prefix without that label."""

    def __init__(self, blank: int) -> None:
        self._numbers: dict[tuple[int, int], int] = {}
        self._before, self._last = [_NOTHING], [blank]

    def extended(self, prefix: int, label: int) -> int:
        """The number of a prefix with one more label."""
        number = self._numbers.setdefault((prefix, label), len(self._before))
        if number == len(self._before):
            self._before.append(prefix)
            self._last.append(label)
        return number

    def labels(self, prefix: int) -> list[int]:
        """The labels of a prefix."""
        labels = []
        while self._before[prefix] != _NOTHING:
            labels.append(self._last[prefix])
            prefix = self._before[prefix]
        return labels[::-1]


class _Beams:
    """The beams of B rows with K prefixes each, in arrays [B, K].

    ``ended`` is the log probability of the paths of a prefix that end with the blank, ``open`` of those that end with
    its last label. If that label follows, it is a new label after the former, and the same label after the latter.
    """

    def __init__(self, rows: int, beam: int, blank: int) -> None:
        self.blank, self.prefixes = blank, _Prefixes(blank)
        self.ended = np.full((rows, beam), -np.inf)
        self.open = np.full((rows, beam), -np.inf)
        self.ended[:, 0] = 0.0
        self.prefix = np.full((rows, beam), _NOTHING)
        self.prefix[:, 0] = 0
        self.parent = np.full((rows, beam), _NOTHING)
        self.last = np.full((rows, beam), blank)

    def advance(self, scores: Floats, rows: NDArray[np.bool_]) -> None:
        """Reads a frame: its scores [B, V], and which rows have this frame."""
        chosen = np.flatnonzero(rows)
        scores = scores[chosen]
        ended, opened, prefix, parent, last = (
            part[chosen] for part in (self.ended, self.open, self.prefix, self.parent, self.last)
        )
        total = np.logaddexp(ended, opened)
        last_scores = np.take_along_axis(scores, last, 1)
        stay_ended = total + scores[:, self.blank, None]
        stay_open = opened + last_scores
        longer = total[:, :, None] + scores[:, None, :]
        np.put_along_axis(longer, last[:, :, None], (ended + last_scores)[:, :, None], 2)
        longer[:, :, self.blank] = -np.inf
        # A prefix in the beam can also be the extension of a shorter prefix in the beam: add the two probabilities.
        r, k, shorter = np.nonzero((parent[:, :, None] == prefix[:, None, :]) & (parent[:, :, None] != _NOTHING))
        stay_open[r, k] = np.logaddexp(stay_open[r, k], longer[r, shorter, last[r, k]])
        longer[r, shorter, last[r, k]] = -np.inf
        self._keep(chosen, stay_ended, stay_open, longer)

    def _keep(self, rows: Ints, stay_ended: Floats, stay_open: Floats, longer: Floats) -> None:
        """Keeps the most likely of the unchanged prefixes [R, K] and the extended prefixes [R, K, V]."""
        beam, labels = stay_ended.shape[1], longer.shape[2]
        candidates = np.concatenate([np.logaddexp(stay_ended, stay_open), longer.reshape(len(rows), -1)], 1)
        order = np.argpartition(-candidates, beam - 1, axis=1)[:, :beam]
        likely = np.take_along_axis(candidates, order, 1) > -np.inf
        grows = likely & (order >= beam)
        stays = likely & ~grows
        source = np.where(order >= beam, (order - beam) // labels, order)
        label = (order - beam) % labels
        at = (rows[:, None], source)
        prefix = np.where(stays, self.prefix[at], _NOTHING)
        for r, k in np.argwhere(grows).tolist():
            prefix[r, k] = self.prefixes.extended(int(self.prefix[rows[r], source[r, k]]), int(label[r, k]))
        self.parent[rows] = np.where(grows, self.prefix[at], np.where(stays, self.parent[at], _NOTHING))
        self.last[rows] = np.where(grows, label, np.where(stays, self.last[at], self.blank))
        self.ended[rows] = np.where(stays, np.take_along_axis(stay_ended, source, 1), -np.inf)
        grown = np.where(grows, np.take_along_axis(candidates, order, 1), -np.inf)
        self.open[rows] = np.where(stays, np.take_along_axis(stay_open, source, 1), grown)
        self.prefix[rows] = prefix

    def hypotheses(self) -> list[list[Hypothesis]]:
        """The hypotheses in the beam of each row, the most likely first."""
        total = np.logaddexp(self.ended, self.open)
        beams = []
        for prefixes, scores in zip(self.prefix, total, strict=True):
            order = [k for k in np.argsort(-scores, kind="stable") if prefixes[k] != _NOTHING]
            beams.append([Hypothesis(self.prefixes.labels(int(prefixes[k])), float(scores[k])) for k in order])
        return beams


def _check(log_probs: Tensor, lengths: Tensor | None, blank: int) -> None:
    if log_probs.ndim != 3:
        raise ShapeError(f"The scores have shape {tuple(log_probs.shape)}; expected [B, T, V].")
    if lengths is not None and lengths.shape != log_probs.shape[:1]:
        raise ShapeError(
            f"The lengths have shape {tuple(lengths.shape)}; expected one per row, ({log_probs.shape[0]},)."
        )
    if not 0 <= blank < log_probs.shape[2]:
        raise OptionError(f"The blank is label {blank}; expected a label from 0 to {log_probs.shape[2] - 1}.")
