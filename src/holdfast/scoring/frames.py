"""Answers as tables: the columns of a part, and their types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from holdfast.data.pieces import Piece
from holdfast.errors import DataError
from holdfast.scoring.answering import Block

if TYPE_CHECKING:
    import polars

OnError = Literal["stop", "skip", "null"]
"""What happens to a row that cannot be read: an error, no answer, or an answer of nulls and the error."""


def kept_columns(block: Block, names: Sequence[str]) -> polars.DataFrame:
    """The columns of the files that are kept, one row per row of the block; null in a row that cannot be read.

    Raises:
        DataError: The files have different columns.
    """
    import polars

    frames = [frame for piece in block.pieces for frame in _readable(piece, names)]
    try:
        return polars.concat(frames, how="vertical_relaxed")
    except polars.exceptions.PolarsError as error:
        raise DataError(
            f"{block.origins[0]}: the columns to keep have other types than in the files before it ({error})."
        ) from error


def _readable(piece: Piece, names: Sequence[str]) -> list[polars.DataFrame]:
    import polars

    try:
        return [piece.columns(names)]
    except DataError:
        if len(piece) == 1:
            return [polars.DataFrame({name: [None] for name in names})]
    half = len(piece) // 2
    return [frame for part in (piece.part(0, half), piece.part(half, len(piece))) for frame in _readable(part, names)]


def answer_frame(columns: Mapping[str, Sequence[Sequence[Any]]], bad: Sequence[int], count: int) -> polars.DataFrame:
    """Answers as a table.

    Args:
        columns: By name the values of each batch, one after another, for the good rows.
        bad: The rows without an answer, which get nulls.
        count: The number of rows.
    """
    import polars

    frame = polars.DataFrame([_column(name, parts) for name, parts in columns.items()])
    if not bad:
        return frame
    good = np.setdiff1d(np.arange(count), np.asarray(bad, np.int64))
    places = polars.Series(np.full(count, -1)).scatter(good, np.arange(len(good)))
    return frame.select(polars.all().gather(polars.lit(places.set(places < 0, None))))


def with_names(kept: polars.DataFrame, answers: polars.DataFrame, taken: Sequence[str]) -> polars.DataFrame:
    """Both tables side by side; a kept column with a name that is taken gets ``_input`` after it."""
    import polars

    names = {*answers.columns, *taken}
    kept = kept.rename({name: f"{name}_input" for name in kept.columns if name in names})
    return polars.concat([kept, answers], how="horizontal")


def _column(name: str, parts: Sequence[Sequence[Any]]) -> polars.Series:
    """The values of one column: numbers, texts, or lists of them."""
    import polars

    if all(isinstance(part, np.ndarray) for part in parts):
        return polars.Series(name, np.concatenate(parts))
    series = polars.Series(name, [value for part in parts for value in part])
    return series.cast(polars.List(polars.String)) if series.dtype == polars.List(polars.Null) else series
