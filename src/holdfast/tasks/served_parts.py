"""Further inputs and answers, for a page that asks a server: what a page cannot compute by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class TableSample:
    """A table of series to begin with.

    Attributes:
        name: Where it is from.
        columns: The values of each column by its name; None for a missing value.
        actual: The targets of the rows ahead [H][C], None for a missing value; None where they are unknown.
    """

    name: str
    columns: dict[str, list[Any]]
    actual: list[list[float | None]] | None = None


@dataclass(frozen=True)
class TableInput:
    """A table of one series or several.

    Attributes:
        targets: The names of the C columns that are forecast.
        quantiles: As for :class:`holdfast.tasks.interface.SeriesInput`.
        window: W, rows that the network reads.
        ahead: H, rows to forecast.
        time_column: The column of times; empty where the rows are numbered.
        id_column: The column with the series of each row; empty for one series per table.
        tables: Tables to begin with, at least one.
    """

    kind: ClassVar[str] = "table"
    targets: tuple[str, ...]
    quantiles: tuple[float, ...]
    window: int
    ahead: int
    time_column: str
    id_column: str
    tables: tuple[TableSample, ...]


@dataclass(frozen=True)
class SoundInput:
    """A recording.

    Attributes:
        rate: Samples per second that the model reads.
        channels: Values per step, where a sequence may also be given as numbers; 0 where it may not.
    """

    kind: ClassVar[str] = "sound"
    rate: int
    channels: int = 0


@dataclass(frozen=True)
class TextAnswer:
    """A text: a translation or a transcript."""

    kind: ClassVar[str] = "written"
