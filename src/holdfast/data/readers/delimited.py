"""Tables as text: CSV and similar formats, with any separator."""

from __future__ import annotations

import csv
import itertools
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.data.readers.table_bounds import check_separated
from holdfast.data.settings import TableSettings
from holdfast.errors import DataError, HoldfastWarning, RecipeError

if TYPE_CHECKING:
    import polars

_SEPARATORS = "\t;|,"
"""Separators that are detected; of several possible ones, the first: a comma may also be the decimal sign."""
_SAMPLE = 200
"""Number of rows used to detect the separator."""
_ALONE = "\x1f"
"""A separator that does not occur in text, for a table of one column."""
_OPENED, _OPENED_BY_TAB = re.compile(r'(?m)(?:^|[\t;|, ])"'), re.compile(r'(?m)(?:^|\t)"')
_CLOSED_BY_TAB = re.compile(r'(?m)"(?:$|\t)')
_NUMBER = re.compile(r"[+-]?[.,]?[0-9]")


@dataclass(frozen=True, eq=False)
class Delimited:
    """A table that was text.

    Attributes:
        frame: The values as text, null where a cell is empty.
        lines: The line of the file in which each row starts, from 1.
        layout: How the rows become values.
    """

    frame: polars.DataFrame
    lines: Sequence[int]
    layout: Layout


@dataclass
class Rows:
    """The rows of a table; a row with quoted line breaks has several lines.

    Attributes:
        numbers: The line of the file in which each row starts, from 1.
        rows: The text of each row; the first has the names of the columns.
        comment: The last comment above them, without its sign.
        quoted: Whether quotes enclose values; else they are ordinary characters.
        skipped: The comments below the names of the columns, each with its line number.
        open: The line in which a quote opens that is never closed, from 1; 0 if there is none.
    """

    numbers: list[int]
    rows: list[str]
    comment: str
    quoted: bool
    skipped: list[tuple[int, str]]
    open: int


@dataclass(frozen=True)
class Layout:
    """How the rows of a table become values.

    Attributes:
        names: The names of the columns, each once.
        separator: The separator of values.
        blanks: Whether the values are separated by blanks, each run of which becomes a tab.
        quoted: As in :class:`Rows`.
    """

    names: tuple[str, ...]
    separator: str
    blanks: bool
    quoted: bool

    def frame(self, path: Path, rows: Sequence[str], numbers: Sequence[int]) -> polars.DataFrame:
        """Rows as a table of text.

        Args:
            path: The file, for messages.
            rows: The text of each row.
            numbers: The line of the file in which each starts, for messages.

        Raises:
            DataError: A row has more values than there are columns, or quotes are out of place.
        """
        import polars

        rows = ["\t".join(row.split()) for row in rows] if self.blanks else rows
        names, separator, quoted = self.names, self.separator, self.quoted
        head = separator.join(str(place) for place in range(len(names)))
        try:
            frame = polars.read_csv(
                "\n".join([head, *rows, ""]).encode("utf-8", "surrogatepass"),
                separator=separator,
                quote_char='"' if quoted else None,
                infer_schema=False,
            )
        except polars.exceptions.PolarsError as error:
            raise _malformed(path, error, rows, numbers, names, separator, quoted) from error
        if frame.height != len(rows):
            raise DataError(f"{path} cannot be read as a table: quotes in it are out of place. Correct or remove them.")
        frame.columns = list(names)
        return frame


def parse(path: Path, text: str, settings: TableSettings, *, comments: bool) -> Delimited:
    """Reads a table.

    Blank lines, comments, and a first line ``sep=;`` (which Excel writes) are skipped. The next line has the names of
    the columns. If that line has numbers, the last comment above has the names, provided that it has as many values. A
    column without a name gets the name that pandas gives it: ``Unnamed: 0`` for the first column.

    Args:
        path: The file, for messages.
        text: The text of the file, with line feeds.
        settings: ``separator`` and ``comment`` are used.
        comments: Whether there may be comments below the names too.

    Raises:
        DataError: There are no columns, a quote is never closed, or a row has more values than there are columns.
        RecipeError: ``separator`` is not a separator.
    """
    table = rows_of(text.split("\n"), settings.comment, quoted=quotes_enclose(text), everywhere=comments)
    check_closed(path, table)
    layout, head = layout_of(path, table, settings)
    rows, numbers = table.rows[head:], table.numbers[head:]
    check_separated(path, len(rows), len(layout.names), len(text))
    return Delimited(layout.frame(path, rows, numbers), numbers, layout)


def check_closed(path: Path, table: Rows) -> None:
    """Raises DataError if a quote is never closed."""
    if table.open:
        raise DataError(f"{path}, line {table.open}, opens a quote that is never closed. The file may be cut short.")


def layout_of(path: Path, table: Rows, settings: TableSettings) -> tuple[Layout, int]:
    """The layout of a table, from its rows or the first of them, and the number of rows above the first one of values.

    Raises:
        DataError: There are no columns.
        RecipeError: ``settings.separator`` is not a separator.
    """
    first_line = re.fullmatch(r"(?i)sep=(.)", table.rows[0]) if table.rows else None
    head = 1 if first_line else 0
    rows = table.rows[head:]
    if not rows:
        raise DataError(f"{path} is empty; expected one line with the names of the columns, and one line per row.")
    separator = settings.separator or (first_line[1] if first_line else _detect_separator(path, rows[: _SAMPLE + 1]))
    if separator.isalnum() or separator in '"\n.+-_':
        raise RecipeError(f"data.separator is {separator!r}; expected a sign such as ',', ';', '|', a tab or a blank.")
    first, comment, blanks = rows[0], table.comment, separator == " "
    if blanks:
        separator, first, comment = "\t", "\t".join(first.split()), "\t".join(comment.split())
    names = [name.strip() for name in _values(first, separator, table.quoted)]
    above = [name.strip() for name in _values(comment, separator, table.quoted)] if comment else []
    if len(above) == len(names) and any(map(_NUMBER.match, names)) and not any(map(_NUMBER.match, above)):
        names = above
    else:
        head += 1
        _check_names(path, table.numbers[head:], table.numbers[head - 1], names)
    layout = Layout(tuple(_unique(names)), separator, blanks, table.quoted)
    check_comments(path, table, layout, settings.comment)
    return layout, head


def _check_names(path: Path, numbers: Sequence[int], line: int, names: Sequence[str]) -> None:
    """Warns if the names of the columns look like values: only numbers, which do not number the columns."""
    try:
        values = [float(name.replace(",", ".")) for name in names]
    except ValueError:
        return
    ascending = all(before < after for before, after in itertools.pairwise(values))
    counting = ascending if values[1:] else values[0] in (0, 1)
    if numbers and not counting:
        warnings.warn(
            f"{path}, line {line}, holds only numbers, and is read as the names of the columns: the first row must "
            "have the names. If it is a row of values, put a line with names above it.",
            HoldfastWarning,
            stacklevel=2,
        )


def check_comments(path: Path, table: Rows, layout: Layout, comment: str) -> None:
    """Warns about comments below the names of the columns that look like rows: they have as many values."""
    count = len(layout.names)
    alike = [
        number
        for number, text in table.skipped
        if count > 1 and len(_values(text, layout.separator, table.quoted)) == count
    ]
    if alike:
        warnings.warn(
            f"{path}, line {alike[0]}, starts with {comment!r} and has as many values as there are columns"
            f"{f', and so have {len(alike) - 1} more' if alike[1:] else ''}; it is skipped as a comment. If it is "
            'a row, set data.comment = "".',
            HoldfastWarning,
            stacklevel=2,
        )


def rows_of(
    lines: Sequence[str], comment: str, *, quoted: bool, everywhere: bool, first: int = 1, names_known: bool = False
) -> Rows:
    """The rows in some lines.

    Args:
        lines: Lines without line breaks.
        comment: What comments start with; empty for no comments.
        quoted: Whether quotes enclose values.
        everywhere: Whether there may be comments below the names of the columns too.
        first: The number of the first line.
        names_known: Whether the lines are below the names of the columns.
    """
    starts: list[int] = []
    ends: list[int] = []
    skipped: list[tuple[int, str]] = []
    above, in_quotes = "", False
    for place, line in enumerate(lines):
        if in_quotes:
            ends[-1] = place + 1
        elif not line.strip(" "):
            continue
        elif comment and line.startswith(comment) and (everywhere or not (starts or names_known)):
            if starts or names_known:
                skipped.append((place + first, line))
            else:
                above = line.lstrip(comment + " ")
            continue
        else:
            starts.append(place)
            ends.append(place + 1)
        if quoted and line.count('"') % 2:
            in_quotes = not in_quotes
    spans = zip(starts, ends, strict=True)
    rows = ["\n".join(lines[start:end]) for start, end in spans] if quoted else [lines[start] for start in starts]
    return Rows(
        [start + first for start in starts], rows, above, quoted, skipped, starts[-1] + first if in_quotes else 0
    )


def quotes_enclose(text: str) -> bool:
    """Whether quotes enclose values. Between tabs they often do not: a text may start with direct speech."""
    if '"' not in text:
        return False
    if "\t" not in text[: text.find("\n") + 1]:
        return bool(_OPENED.search(text))
    return 0 < len(_OPENED_BY_TAB.findall(text)) == len(_CLOSED_BY_TAB.findall(text))


def _values(row: str, separator: str, quoted: bool) -> list[str]:
    """The values of a row."""
    if not quoted:
        return row.split(separator)
    try:
        return next(csv.reader([row], delimiter=separator))
    except csv.Error:  # a value of more than 131,072 characters
        return row.split(separator)


def _detect_separator(path: Path, rows: Sequence[str]) -> str:
    """The separator of values, detected in the names of the columns and some rows."""
    bare = [re.sub(r'"[^"]*"', "", row) for row in rows]
    present = [sign for sign in _SEPARATORS if sign in bare[0]]
    if ".tsv" in "".join(path.suffixes[-2:]).lower() and "\t" in present:
        return "\t"
    fitting = [sign for sign in present if len({row.count(sign) for row in bare}) == 1]
    if fitting or present:
        return fitting[0] if fitting else max(present, key=bare[0].count)
    counts = {len(row.split()) for row in bare}
    return " " if len(counts) == 1 and min(counts) > 1 and len(bare) > 1 else _ALONE


def _unique(names: Sequence[str]) -> list[str]:
    """The names of the columns as in pandas: ``Unnamed: PLACE`` for no name, ``NAME.1`` for a repeated name."""
    unique: dict[str, None] = {}
    counts: dict[str, int] = {}
    for place, name in enumerate(names):
        name = name or f"Unnamed: {place}"
        free, count = name, counts.get(name, 0)
        while free in unique:
            count += 1
            free = f"{name}.{count}"
        unique[free], counts[name] = None, count
    return list(unique)


def _malformed(
    path: Path,
    error: Exception,
    rows: Sequence[str],
    numbers: Sequence[int],
    names: Sequence[str],
    separator: str,
    quoted: bool,
) -> DataError:
    """The error for a table that polars cannot read; it names the first row with too many values."""
    for number, row in zip(numbers, rows, strict=True):
        count = len(_values(row, separator, quoted))
        if count > len(names):
            return DataError(
                f"{path}, line {number}, has {count} values, and there are {len(names)} columns: "
                f"{', '.join(names[:8])}{', ...' if len(names) > 8 else ''}. Correct the line, or set data.separator "
                f"if {separator!r} is not the separator of values."
            )
    reason = str(error).strip().splitlines()[0].rstrip(".")
    return DataError(f"{path} cannot be read as a table: it is cut short or malformed ({reason}).")
