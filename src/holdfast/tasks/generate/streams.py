"""Tokens for a language model: a text cut into parallel streams and windows, or independent lines.

    text      a b c d e f g h i j k      B = 2 streams, windows of T = 4 steps
    stream 0  a b c d | e f              window k + 1 continues window k, in the same row
    stream 1  g h i j | k .

With the state carried from window to window (``train.carry_state``), the network reads each stream as a whole, and
gradients stop at the edges of the windows: truncated back-propagation through time (Williams & Peng 1990).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from holdfast.data.batch import Batch, row_ranges
from holdfast.data.batches import Indices
from holdfast.data.disk.ahead import read_ahead
from holdfast.data.disk.columns import Column, sizes
from holdfast.data.disk.store import Store
from holdfast.data.vocabulary import BEGIN, END, PADDING
from holdfast.errors import DataError, OptionError

Tokens = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class TokenBatch(Batch):
    """Tokens, and the next token of each.

    Attributes:
        inputs: [B, T], int64.
        lengths: As in :class:`Batch`.
        targets: The next token of each input, [B, T], int64; ``PADDING`` where there is none.
        fresh: Which rows start from a state of zeros, [B], bool; the others continue the same row of the previous
            batch.
        share: The number of tokens in this batch divided by the number in a full window; a loss times this gives all
            tokens the same weight.
        characters: The number of characters of the text in the targets.
    """

    fresh: Tensor
    share: float = 1.0
    characters: float = 0.0

    @property
    def goes_on(self) -> bool:
        """Whether any row continues the previous batch."""
        return not bool(self.fresh.all())


class StoredTokens:
    """The inputs and the targets of all steps of some texts, on disk.

    Args:
        store: A set with the columns ``inputs`` and ``targets``.
        texts: The number of texts.

    Attributes:
        tokens: The number of tokens of the texts, without ``BEGIN`` and ``END``.
    """

    def __init__(self, store: Store, texts: int) -> None:
        self._store = store
        self.count = int(store.sizes("targets").sum())
        self.tokens = self.count - texts

    def part(self, name: str, begin: int, end: int) -> Tokens:
        """The values of the steps from ``begin`` to before ``end``."""
        return self._store.flat(name, begin, end)


class Streams:
    """The windows of every epoch over a text.

    Attributes:
        characters: Number of characters in the text.
    """

    def __init__(
        self,
        texts: Sequence[Tokens] | StoredTokens,
        rows: int,
        steps: int,
        *,
        characters: int,
        vary: bool = False,
        restart: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Cuts the text.

        The texts follow one another, each after ``BEGIN``; ``END`` follows each text except the last, which may be cut
        off. The streams have equal lengths, up to one token.

        Args:
            texts: The tokens of each text, in memory or on disk.
            rows: B, the number of streams, which is the number of rows of every window.
            steps: T, steps per window; the last window of an epoch has the remaining steps.
            characters: Number of characters in the texts.
            vary: Draw the length of each window (Merity et al. 2018): mostly about T, one time in twenty about T / 2,
                scaled so that the number of windows per epoch stays the same.
            restart: Probability that a row of a window starts from a state of zeros, as a prompt does.
            seed: The lengths and restarts depend on the seed and the number of the epoch.

        Raises:
            DataError: The texts have no tokens.
            OptionError: ``rows`` or ``steps`` is below 1.
        """
        for name, value in (("rows", rows), ("steps", steps)):
            if value < 1:
                raise OptionError(f"Streams got {name} = {value}; expected at least 1.")
        self._stored = texts if isinstance(texts, StoredTokens) else None
        values: dict[str, Tokens] = {}
        if not isinstance(texts, StoredTokens):
            values["inputs"] = np.concatenate([np.zeros(0, np.int32), *(_enclosed(t, [BEGIN], []) for t in texts)])
            values["targets"] = np.concatenate([np.zeros(0, np.int32), *(_enclosed(t, [], [END]) for t in texts)])
        count = (self._stored.count if self._stored else len(values["targets"])) - 1  # without the end of the last text
        if count < 1:
            raise DataError("The texts have no tokens; expected at least one to predict.")
        self.rows, self.steps, self.vary, self.restart, self.seed = rows, steps, vary, restart, seed
        self.characters = characters
        self._tokens = count
        self._length = math.ceil(count / rows)
        least, longer = divmod(count, rows)  # the first streams have one step more
        self._lengths = np.array([least + (row < longer) for row in range(rows)])
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._cut = {name: self._streams(each[:count]) for name, each in values.items()}

    def _streams(self, values: Tokens) -> Tensor:
        """The streams [B, length], with padding at the end of shorter streams."""
        cut = np.full((self.rows, self._length), PADDING, np.int32)
        for row, begin, length in zip(cut, self._starts, self._lengths, strict=True):
            row[:length] = values[begin : begin + length]
        return torch.from_numpy(cut)

    def _steps(self, name: str, rows: slice, begin: int, end: int) -> Tensor:
        """The inputs or targets of a window of some streams, [rows, end - begin], int64."""
        if self._stored is None:
            return self._cut[name][rows, begin:end].long()
        steps = np.full((rows.stop - rows.start, end - begin), PADDING, np.int64)
        for row, start, length in zip(steps, self._starts[rows], self._lengths[rows], strict=True):
            part = self._stored.part(name, int(start + min(begin, length)), int(start + min(end, length)))
            row[: len(part)] = part
        return torch.from_numpy(steps)

    @property
    def batch_size(self) -> int:
        """The number of streams, B."""
        return self.rows

    def __len__(self) -> int:
        """The number of windows per epoch."""
        return math.ceil(self._length / self.steps)

    def edges(self, number: int) -> Indices:
        """The first step of each window of an epoch, and the end of the last one: [len(self) + 1].

        Args:
            number: The epoch, from 0.
        """
        count = len(self)
        if not self.vary:
            return np.minimum(np.arange(count + 1) * self.steps, self._length)
        generator = np.random.default_rng((self.seed, number))
        means = np.where(generator.random(count) < 0.95, self.steps, self.steps / 2)
        drawn = np.maximum(generator.normal(means, min(5, self.steps / 4)), 1).cumsum()
        free = self._length - count  # every window has one step; the others are distributed
        inner = np.floor(drawn[:-1] / drawn[-1] * free).astype(np.int64) + np.arange(1, count)
        return np.concatenate([[0], inner, [self._length]])

    def fresh(self, number: int) -> npt.NDArray[np.bool_]:
        """Which rows of each window start from zeros, [len(self), B]: all rows of the first window, and a few others.

        Args:
            number: The epoch, from 0.
        """
        drawn = np.random.default_rng((self.seed, number, 1)).random((len(self), self.rows)) < self.restart
        drawn[0] = True
        return drawn

    def epoch(self, number: int, start: int = 0) -> Iterator[TokenBatch]:
        """The windows of one epoch, from the beginning of the streams to their ends.

        Args:
            number: The epoch, from 0.
            start: The number of windows to skip, to resume within an epoch.

        Raises:
            OptionError: ``start`` is negative or beyond the epoch's windows.
        """
        return (chunks[0] for chunks in self.chunks(number, start, 1, [0]))

    def chunks(self, number: int, start: int, count: int, mine: Sequence[int]) -> Iterator[dict[int, TokenBatch]]:
        """Some chunks of the streams in each window; see :class:`holdfast.tasks.epochs.ChunkedEpochs`.

        Args:
            number: The epoch, from 0.
            start: Number of windows to skip.
            count: The number of chunks of a window.
            mine: The chunks to give, as numbers from 0.

        Raises:
            OptionError: As for :meth:`epoch`.
        """
        if not 0 <= start <= len(self):
            raise OptionError(f"Streams.epoch got start = {start}; expected 0 to {len(self)}, the windows of an epoch.")
        edges, fresh = self.edges(number), torch.from_numpy(self.fresh(number))
        rows = {chunk: slice(*row_ranges(self.rows, count)[chunk]) for chunk in mine}
        wanted = {chunk: part for chunk, part in rows.items() if part.start < part.stop}
        windows = (self._window(int(edges[k]), int(edges[k + 1]), fresh[k], wanted) for k in range(start, len(self)))
        return windows if self._stored is None else read_ahead(windows)

    def _window(self, begin: int, end: int, fresh: Tensor, wanted: dict[int, slice]) -> dict[int, TokenBatch]:
        """Chunks of a window, each with the share of the whole window."""
        tokens = (self._lengths - begin).clip(0, end - begin)
        share = int(tokens.sum()) / (self.rows * self.steps)
        return {
            chunk: TokenBatch(
                self._steps("inputs", rows, begin, end),
                None,
                self._steps("targets", rows, begin, end),
                fresh[rows],
                share=share,
                characters=int(tokens[rows].sum()) * self.characters / self._tokens,
            )
            for chunk, rows in wanted.items()
        }


class TokenLines:
    """Independent lines, each between ``BEGIN`` and ``END``. Indexing by a list of positions gives a batch.

    Attributes:
        lengths: Steps of each line, [N], int64: its tokens and one more.
    """

    def __init__(self, lines: Sequence[Tokens], characters: int) -> None:
        """Keeps the lines.

        Args:
            lines: The tokens of each line.
            characters: Number of characters in all lines; the end of a line counts as one.
        """
        self._lines, self.on_disk = lines, isinstance(lines, Column)
        self.lengths = sizes(lines) + 1
        self._characters_per_token = characters / max(1, int(self.lengths.sum()))

    def __len__(self) -> int:
        """The number of lines, N."""
        return len(self._lines)

    def __getitems__(self, indices: Sequence[int] | Indices) -> TokenBatch:
        """The lines at these positions, in this order, as one batch."""
        lines = [self._lines[index] for index in indices]
        lengths = torch.tensor([len(line) + 1 for line in lines], dtype=torch.int64)
        longest = int(lengths.max()) if lines else 0
        inputs, targets = (np.full((len(lines), longest), PADDING, np.int64) for _ in range(2))
        for row, line in enumerate(lines):
            inputs[row, : len(line) + 1] = _enclosed(line, [BEGIN], [])
            targets[row, : len(line) + 1] = _enclosed(line, [], [END])
        return TokenBatch(
            torch.from_numpy(inputs),
            None if bool((lengths == longest).all()) else lengths,
            torch.from_numpy(targets),
            torch.ones(len(lines), dtype=torch.bool),
            characters=float(lengths.sum()) * self._characters_per_token,
        )


def _enclosed(tokens: Tokens, before: Sequence[int], after: Sequence[int]) -> Tokens:
    return np.concatenate([before, tokens, after]).astype(np.int32)
