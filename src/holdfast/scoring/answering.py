"""From pieces of files to answers: batches by row numbers, and bad rows one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from holdfast.data.pieces import Piece
from holdfast.errors import DataError
from holdfast.predictor import Predictor
from holdfast.scoring.rows import BATCH, windows


@dataclass
class Block:
    """Some rows that were read.

    Attributes:
        pieces: The rows.
        origins: The name of each row.
        bad: The message of each row that cannot be read, by its place in the block.
        batches: What the model reads: the batches of the other rows, in order.
    """

    pieces: Sequence[Piece]
    origins: list[str] = field(default_factory=list)
    bad: dict[int, str] = field(default_factory=dict)
    batches: list[Any] = field(default_factory=list)

    def __len__(self) -> int:
        """The number of rows, bad ones included."""
        return len(self.origins)


def read_block(predictor: Predictor, pieces: Sequence[Piece], *, stop: bool) -> Block:
    """Reads some rows into batches.

    Args:
        predictor: The model and its task.
        pieces: The rows; the first one has a number that is a multiple of ``BATCH``.
        stop: Whether the first bad row is an error.

    Raises:
        DataError: A row cannot be read, and ``stop`` is set: the message of that row.
    """
    try:
        batches = _batches(predictor, pieces)
    except DataError:
        return _careful(predictor, pieces, stop=stop)
    examples, epochs = batches
    return Block(pieces, list(examples.origins), {}, [epochs])


def answers(predictor: Predictor, block: Block, function: Callable[[Any, Any], Any]) -> Iterator[Any]:
    """The value of a function for the model and each batch of a block."""
    for batches in block.batches:
        for batch in batches.epoch(0):
            with torch.inference_mode():
                value = function(predictor.model, batch.to(predictor.device))
            yield value


def _batches(predictor: Predictor, pieces: Sequence[Piece]) -> tuple[Any, Any]:
    """The examples in pieces, and their batches."""
    parts = [piece.examples() for piece in pieces]
    examples = parts[0] if len(parts) == 1 else type(parts[0]).join(parts)
    expected = sum(map(len, pieces))
    if len(examples) != expected:
        raise DataError(f"{pieces[0].origin}: {expected} rows gave {len(examples)} examples. Leave out the short ones.")
    return examples, predictor.task.batches(examples, size=BATCH)


def _careful(predictor: Predictor, pieces: Sequence[Piece], *, stop: bool) -> Block:
    """The same where a row is bad: each batch keeps its row numbers, without the bad ones."""
    block = Block(pieces)
    for window in windows(pieces, BATCH):
        good = list(_good(predictor, window, block, len(block), stop=stop))
        block.origins += [piece.part(row, row + 1).origin for piece in window for row in range(len(piece))]
        if good:
            block.batches.append(_batches(predictor, good)[1])
    return block


def _good(predictor: Predictor, pieces: Sequence[Piece], block: Block, first: int, *, stop: bool) -> Iterator[Piece]:
    """The pieces without bad rows, whose messages are noted; halves them until each bad row is alone."""
    count = sum(map(len, pieces))
    try:
        _batches(predictor, pieces)
    except DataError as error:
        if count == 1:
            if stop:
                raise
            block.bad[first] = str(error)
            return
    else:
        yield from pieces
        return
    half = count // 2
    for begin, end in ((0, half), (half, count)):
        yield from _good(predictor, _between(pieces, begin, end), block, first + begin, stop=stop)


def _between(pieces: Sequence[Piece], begin: int, end: int) -> list[Piece]:
    """The rows from ``begin`` to before ``end`` of several pieces."""
    chosen, passed = [], 0
    for piece in pieces:
        start, stop = max(begin - passed, 0), min(end - passed, len(piece))
        if start < stop:
            chosen.append(piece.part(start, stop))
        passed += len(piece)
    return chosen
