"""Series on disk: an item for each series, whose columns are mapped when a part of them is used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.data.disk.blocks import Kind
from holdfast.data.disk.build import Piece
from holdfast.data.disk.cache import files_identity, prepared
from holdfast.data.disk.sequences import reading, together, whole_ids
from holdfast.data.disk.store import Store, facts_of
from holdfast.data.disk.tables import rows_of, table_pieces
from holdfast.data.pieces.tables import settled
from holdfast.data.readers import series as reader
from holdfast.data.readers.series_columns import resolved, target_names
from holdfast.data.readers.table import Table, load
from holdfast.data.series import Series
from holdfast.data.settings import SeriesSettings
from holdfast.data.time_axis import TimeAxis
from holdfast.data.time_form import Form
from holdfast.errors import DataError

_NUMBERS = ("targets", "past", "known")


class _Source:
    """The source of series: tables."""

    def __init__(self, paths: Sequence[Path], settings: SeriesSettings) -> None:
        self._paths, self._settings = paths, settings
        self.about = f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}"

    @property
    def total(self) -> int:
        """The bytes of all tables."""
        return sum(path.stat().st_size for path in self._paths)

    def identity(self) -> Any:
        """The tables, and the use of their columns."""
        kept = SeriesSettings.model_validate(
            {name: getattr(self._settings, name) for name in SeriesSettings.model_fields}
        )
        return ["series", files_identity(self._paths), reading(kept)]

    def verify(self, store: Store) -> None:
        """Checks that no id was found in two pieces."""
        if facts_of(store.facts, "ids", False):
            together(store)

    def pieces(self, position: Any, facts: dict[str, Any]) -> Iterator[Piece]:
        """The series of all tables; a position is the number of the table, and the place in it."""
        start, place = position or (0, None)
        done = sum(path.stat().st_size for path in self._paths[:start])
        for number, path in enumerate(self._paths[start:], start):
            for all_series, after in _series_of(path, self._settings, place):
                for each in all_series:
                    facts = _fitting(each, facts)
                inside = path.stat().st_size if after is None else int(after["byte"])
                yield _piece(all_series, facts, [number + 1, None] if after is None else [number, after], done + inside)
            place = None
            done += path.stat().st_size


def read(paths: Sequence[Path], settings: SeriesSettings) -> tuple[Series, ...]:
    """Tables as series on disk; as :func:`holdfast.data.readers.series.read`.

    A table whose rows are sorted by id is read in pieces, and every other one as a whole.
    """
    reader.check_tables(paths)
    store = prepared(_Source(paths, settings))
    all_series = tuple(_opened(store, row) for row in range(len(store)))
    reader.check_together(all_series)
    return all_series


def _series_of(path: Path, settings: SeriesSettings, position: Any) -> Iterator[tuple[tuple[Series, ...], Any]]:
    """The series of a table, those of whole ids at a time."""
    rows = rows_of(path, settings)
    first = next(table_pieces(rows, None), None)
    known = settings if first is None else resolved(first[0], settings)
    if first is None or not known.id_column:
        yield reader.from_table(load(path, settings), settings), None
        return
    fitting = settled(rows, settings, _unused(first[0], known))
    for table, after in table_pieces(rows, position, partial(_whole_ids, known)):
        yield reader.from_table(table, fitting), after


def _whole_ids(settings: SeriesSettings, table: Table, ended: bool) -> int:
    import polars

    column = table.frame[settings.id_column] if settings.id_column in table.columns else None
    if column is None or column.dtype.is_nested():
        return table.frame.height  # the reader says what is wrong
    return whole_ids(table, column.cast(polars.String).str.strip_chars().fill_null("").to_list(), ended)


def _unused(table: Table, settings: SeriesSettings) -> list[str]:
    """The columns that do not hold numbers of the series."""
    used = {*target_names(table, settings), *settings.past_columns, *settings.known_columns}
    return [name for name in table.columns if name not in used]


def _fitting(series: Series, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that all series share, after a check that this one has them."""
    own = {
        "names": list(series.names),
        "keys": list(series.keys),
        "ids": bool(series.name),
        "columns": {name: getattr(series, name).shape[1] for name in _NUMBERS},
    }
    if facts and facts["names"] != own["names"]:
        raise DataError(
            f"{series.origin} has the columns {', '.join(series.names)} to forecast, and the series before it have "
            f"{', '.join(facts['names'])}; expected the same. Name them in data.target_columns."
        )
    if facts and facts != own:
        raise DataError(f"{series.origin} has other kinds of columns than the series before it. Read them separately.")
    return own


def _piece(all_series: Sequence[Series], facts: dict[str, Any], position: Any, done: int) -> Piece:
    columns: dict[str, list[Any]] = {
        name: [getattr(each, name) for each in all_series] for name, count in facts["columns"].items() if count
    }
    columns["instants"] = [_whole(each.times.instants) for each in all_series]
    columns["offsets"] = [_whole(each.times.offsets) for each in all_series]
    columns["texts"] = [_texts(each) for each in all_series]
    columns["origins"] = [each.origin for each in all_series]
    kinds: dict[str, Kind] = dict.fromkeys(columns, "array")
    return Piece(columns, {**kinds, "texts": "texts", "origins": "text"}, facts, position, done)


def _whole(times: Any) -> Any:
    """Times as whole numbers; numbers stay as they are."""
    if times is None:
        return np.zeros(0, np.int64)
    return times.view(np.int64) if times.dtype.kind in "mM" else times


def _texts(series: Series) -> list[str]:
    form = series.times.form
    about = {"rows": len(series), "time": str(series.times.instants.dtype), "form": vars(form), "first": series.first}
    return [series.name, json.dumps(about), *series.static]


def _opened(store: Store, row: int) -> Series:
    """A series whose columns are mapped."""
    texts = store.item("texts", row)
    about = json.loads(texts[1])
    instants, offsets = store.item("instants", row), store.item("offsets", row)
    if not about["time"].startswith("datetime64"):
        instants = instants.astype(about["time"], copy=False)
    else:
        instants = instants.view(about["time"])
    times = TimeAxis(instants, offsets.view("timedelta64[us]") if len(offsets) else None, Form(**about["form"]))
    sizes = {"targets": about["rows"], "past": about["rows"], "known": len(instants)}
    counts = store.facts["columns"]
    arrays = {name: store.item(name, row) if counts[name] else np.zeros((sizes[name], 0)) for name in _NUMBERS}
    return Series(
        origin=store.origin(row),
        times=times,
        names=tuple(store.facts["names"]),
        first=about["first"],
        name=texts[0],
        static=tuple(texts[2:]),
        keys=(store.facts["keys"][0], store.facts["keys"][1]),
        store=store,
        **arrays,
    )
