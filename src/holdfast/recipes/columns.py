"""The use of each column of a table, guessed from names and values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.data.readers import audio, table
from holdfast.data.readers.values import MISSING
from holdfast.data.settings import TableSettings
from holdfast.errors import DataError

if TYPE_CHECKING:
    import polars

_TIMES = ("time", "date", "datetime", "timestamp", "ds", "day", "month", "year", "hour", "step", "t")
_LABELS = ("label", "class", "target", "category", "y", "sentiment", "species", "activity", "language", "lang")
_IDS = ("id", "unique_id", "series", "series_id", "store", "sensor", "sequence", "subject", "trial", "item", "item_id")
_TEXTS = ("text", "sentence", "review", "comment", "content", "title", "message", "question", "tweet", "name")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([T ]\d{1,2}:\d{2}.*)?")
_FEW = 0.05
"""Whole numbers are labels where at most this part of the rows has different ones."""
_ROWS = 2000


@dataclass(frozen=True)
class Guess:
    """What files are for.

    Attributes:
        task: The task.
        reason: Why, as the end of a sentence that begins with "because".
        data: The keys of ``[data]`` that read the files.
        comments: A comment for some of these keys.
    """

    task: str
    reason: str
    data: dict[str, Any] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)


def guess_table(path: Path) -> Guess:
    """Guesses the task of a table and the use of its columns.

    Raises:
        DataError: The table cannot be read, or its columns fit no task.
    """
    columns = _Columns(table.load(path, TableSettings()).frame)
    guessed = _guess(path, columns)
    if columns.has_gaps and guessed.task in ("classify", "regress", "forecast") and "unit" not in guessed.data:
        guessed.data["missing"] = "interpolate"
        guessed.comments["missing"] = "values are missing; a line is drawn between their neighbours"
    return guessed


def _guess(path: Path, columns: _Columns) -> Guess:
    if columns.sounds and columns.texts:
        return Guess("transcribe", "each row has a recording and its text")
    if columns.texts:
        return _texts(columns)
    if {"unique_id", "ds", "y"} <= {*columns.frame.columns}:
        return _panel(columns)
    if columns.id and columns.time and not columns.label:
        uses = {"id_column": columns.id, "time_column": columns.time, "target_columns": columns.numbers}
        return Guess("forecast", f"each {columns.id} has rows over time", uses)
    if columns.id and columns.label:
        return _long(columns)
    if columns.label and not columns.time:
        data: dict[str, Any] = {"label_column": columns.label, "scaling": "standard"}
        task = "classify" if columns.is_label(columns.label) else "regress"
        kind = "a label" if task == "classify" else "a number to learn"
        reason = f"each row is a sequence with {kind} in {columns.label!r}"
        return Guess(task, reason, data, {"scaling": "zero mean and unit variance"})
    numbers = [*columns.numbers, *([columns.label] if columns.label in columns.numeric else [])]
    if numbers:
        over = {"time_column": columns.time} if columns.time else {}
        reason = "rows of numbers follow one another in time"
        return Guess("forecast", reason, {**over, "target_columns": numbers})
    raise DataError(
        f"The columns of {path} ({', '.join(columns.frame.columns)}) fit no task. Name the task with --task, and "
        "set the columns in the recipe."
    )


class _Columns:
    """The columns of a table by use; an empty string for a use that no column has.

    Attributes:
        frame: The first rows.
        has_gaps: Whether a value is missing in them.
        numeric: The columns that hold numbers.
        time: The column of times.
        id: The column that says which sequence a row belongs to.
        label: The column to learn.
        texts: The columns of texts.
        sounds: The columns with paths of recordings.
        numbers: The numeric columns without another use.
    """

    def __init__(self, frame: polars.DataFrame) -> None:
        self.frame = frame = frame.head(_ROWS)
        cells = {name: [str(value) for value in frame[name].to_list() if value is not None] for name in frame.columns}
        self._values = {name: [v for v in column if v.strip().lower() not in MISSING] for name, column in cells.items()}
        self.has_gaps = any(len(column) < frame.height for column in self._values.values())
        self.numeric = [name for name in frame.columns if _are_numbers(self._values[name])]
        words = [name for name in frame.columns if name not in self.numeric]
        self.sounds = [name for name in words if self._all(name, lambda v: v.lower().endswith(audio.SUFFIXES))]
        dates = [name for name in words if self._all(name, lambda v: _DATE.fullmatch(v) is not None)]
        self.time = self._named(_TIMES, [*dates, *self.numeric]) or (dates or [""])[0]
        taken = [self.time, *self.sounds]
        texts = [name for name in words if name not in taken and name not in dates and self._is_text(name)]
        self.id = self._named(_IDS, [name for name in frame.columns if name not in [*taken, *texts]], repeated=True)
        free = [name for name in frame.columns if name not in [*taken, self.id, *texts]]
        categories = [name for name in free if name not in self.numeric and name not in dates]
        self.label = self._named(_LABELS, free) or (categories if len(categories) == 1 else [""])[0]
        self.texts = [name for name in texts if name != self.label]
        self.numbers = [name for name in free if name in self.numeric and name != self.label]

    def is_label(self, name: str) -> bool:
        """Whether a column holds labels rather than numbers to learn."""
        values = self._values[name]
        if name not in self.numeric:
            return True
        whole = all(re.fullmatch(r"[+-]?\d+(\.0*)?", value.strip()) for value in values)
        return whole and len(set(values)) <= max(20, _FEW * len(values))

    def changes_within(self, name: str) -> bool:
        """Whether a column has more than one value in a sequence."""
        import polars

        counts = self.frame.group_by(self.id).agg(polars.col(name).n_unique().alias("values"))
        return bool((counts["values"] > 1).any())

    def _named(self, names: tuple[str, ...], among: list[str], *, repeated: bool = False) -> str:
        """The column with the first of these names, in any case."""
        lower = {name.lower(): name for name in reversed(among)}
        for name in names:
            column = lower.get(name, "")
            if column and not (repeated and len(set(self._values[column])) == len(self._values[column])):
                return column
        return ""

    def _all(self, name: str, condition: Any) -> bool:
        return bool(self._values[name]) and all(map(condition, self._values[name]))

    def _is_text(self, name: str) -> bool:
        """Whether a column holds texts rather than labels: several words, or nearly as many values as rows."""
        values = self._values[name]
        words = sum(len(value.split()) for value in values) / max(len(values), 1)
        named = name.lower() in _TEXTS
        return words > (1.2 if named else 2.5) or (named and len(set(values)) > 0.5 * len(values))


def _texts(columns: _Columns) -> Guess:
    text = columns.texts[0]
    if not columns.label:
        raise DataError(
            f"The column {text!r} holds texts, and no column holds labels ({', '.join(columns.frame.columns)}). Name "
            "the task with --task, and the column in data.label_column; a text to go on is a .txt file."
        )
    data = {"unit": "words", "lower": True, "text_column": text, "label_column": columns.label}
    task = "classify" if columns.is_label(columns.label) else "regress"
    return Guess(task, f"each row has a text in {text!r} and what to learn in {columns.label!r}", data)


def _panel(columns: _Columns) -> Guess:
    """A table with the names of Nixtla's libraries: series, times, and what to forecast."""
    others = [name for name in columns.numeric if name not in ("unique_id", "ds", "y")]
    uses: dict[str, Any] = {"id_column": "unique_id", "time_column": "ds", "target_columns": ["y"]}
    comment = "known up to now; known_columns are also known for the rows to forecast, static_columns never change"
    reason = "'unique_id', 'ds' and 'y' are series, times and what to forecast"
    return Guess("forecast", reason, uses | ({"past_columns": others} if others else {}), {"past_columns": comment})


def _long(columns: _Columns) -> Guess:
    data: dict[str, Any] = {"id_column": columns.id, "label_column": columns.label, "scaling": "standard"}
    if columns.time:
        data["time_column"] = columns.time
    comments = {"scaling": "zero mean and unit variance"}
    per_step = columns.changes_within(columns.label)
    if columns.is_label(columns.label) and not per_step:
        return Guess("classify", f"each {columns.id} has rows and one label", data, comments)
    if columns.label not in columns.numeric:
        raise DataError(
            f"The labels in {columns.label!r} change within a sequence of {columns.id!r}, and they are not numbers: "
            "labels for every step of numbers are no task. Number them, or give each sequence one label."
        )
    every = "every row" if per_step else f"each {columns.id}"
    return Guess("regress", f"there is a number to learn for {every}", data, comments)


def _are_numbers(values: list[str]) -> bool:
    try:
        return bool(values) and all(float(value) is not None for value in values)
    except ValueError:
        return False
