"""A file as a table: text (CSV and the like, gzipped or not), Parquet or JSON lines."""

from __future__ import annotations

import io
import json
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.data.readers import delimited
from holdfast.data.readers.compressed import opened
from holdfast.data.readers.encoding import check, decode
from holdfast.data.readers.table_bounds import check_json_lines, check_parquet
from holdfast.data.settings import TableSettings
from holdfast.errors import DataError, HoldfastWarning, MissingLibraryError, did_you_mean

if TYPE_CHECKING:
    import polars

SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")
TEXT_SUFFIXES = (*SUFFIXES, ".jsonl", ".ndjson")
"""The endings of tables that hold texts."""
_OFFSET = re.compile(r"([+-])([0-9]{2}):([0-9]{2})")
_START = 1 << 16
"""Number of bytes that are checked to be text before the whole file is unpacked."""
IN_MEMORY = Path("batch")
"""The path, for messages, of a table that is not in a file."""
BINARY, JSON = (".parquet", ".pq"), (".jsonl", ".ndjson")
"""The endings of Parquet, and of JSON lines."""
_UNNAMED = re.compile(r"Unnamed: [0-9]+(_level_[0-9]+)?|__index_level_[0-9]+__")


@dataclass(frozen=True, eq=False)
class Table:
    """A table and its file.

    Attributes:
        path: The file.
        frame: Rows and columns; in a CSV or TSV file all values are text.
        index: The columns that number or name the rows, like the index that pandas writes: not an input unless a
            recipe names them.
        lines: The line of the file in which each row starts, from 1; None if the file does not have lines.
        separator: The separator of values in a text file.
        first: The number of rows of the file before these; above 0 for a piece of a file.
    """

    path: Path
    frame: polars.DataFrame
    index: tuple[str, ...] = ()
    lines: Sequence[int] | None = None
    separator: str = ""
    first: int = 0

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self.frame.columns

    def where(self, row: int) -> str:
        """The name of a row in messages: its line from 1, or else its number from 0."""
        return self.origin(row) if self.lines is None else f"{self.path}, line {self.lines[row]}"

    def origin(self, row: int) -> str:
        """The name of a row as an example: its number from 0 in the file."""
        return f"{self.path}[{self.first + row}]"

    def head(self, rows: int) -> Table:
        """The first rows."""
        return replace(self, frame=self.frame.head(rows))

    def rows(self, begin: int, end: int) -> Table:
        """Some of the rows; the numbers count from the first one of the table."""
        lines = None if self.lines is None else self.lines[begin:end]
        return replace(self, frame=self.frame[begin:end], lines=lines, first=self.first + begin)

    def without(self, columns: Sequence[str]) -> Table:
        """The table without some columns, where it has them."""
        return replace(self, frame=self.frame.drop(columns, strict=False))

    def check_column(self, name: str, setting: str) -> None:
        """Checks that the column that ``data.SETTING`` names exists.

        Raises:
            DataError: It does not.
        """
        if name not in self.columns:
            raise DataError(f"{self.path} has no column {name!r} (data.{setting}); {did_you_mean(name, self.columns)}")

    def others(self, named: Sequence[str], setting: str) -> list[str]:
        """The columns to read if a recipe names none: all except the index and columns with another use.

        Args:
            named: The columns with another use.
            setting: The setting that names a column to use it, for the message.
        """
        unused = [name for name in self.index if name not in named and self.frame[name].null_count() < len(self.frame)]
        if unused:
            warnings.warn(
                f"{self.path}: the column {', '.join(map(repr, unused))} is not used: it numbers the rows or has no "
                f"name, like the index that pandas writes. To use it, name it in {setting}.",
                HoldfastWarning,
                stacklevel=2,
            )
        return [name for name in self.columns if name not in named and name not in self.index]


def load(path: Path, settings: TableSettings, *, content: bytes | None = None, texts: bool = False) -> Table:
    """Reads a file.

    Args:
        path: The file; its ending says whether it is Parquet, JSON lines or text.
        settings: ``separator``, ``comment`` and ``encoding`` are used.
        content: The uncompressed bytes of a file that is not at the path; None to read the file.
        texts: Whether the values are texts: then a line that starts like a comment is a row.

    Raises:
        DataError: The file cannot be parsed.
        RecipeError: The encoding or the separator is not one.
        MissingLibraryError: polars is not installed.
    """
    check_library(path)
    if path.suffix.lower() in BINARY:
        return _parquet(path, content)
    if content is None:
        with opened(path) as file:
            start = file.read(_START)
            check(path, start, settings.encoding)
            content = start + file.read()
    text = decode(path, content, settings.encoding)
    endings = "".join(path.suffixes[-2:]).lower()
    if ".jsonl" in endings or ".ndjson" in endings:
        return _json_lines(path, text)
    parsed = delimited.parse(path, text, settings, comments=not texts)
    return Table(path, parsed.frame, index_columns(parsed.frame.columns), parsed.lines, parsed.layout.separator)


def check_library(path: Path) -> None:
    """Checks that polars is installed.

    Raises:
        MissingLibraryError: It is not.
    """
    try:
        import polars  # noqa: F401
    except ImportError as error:
        raise MissingLibraryError(
            f"{path} is a table, and tables need the library polars, which is not installed: "
            "pip install 'holdfast[tables]'."
        ) from error


def index_columns(columns: Sequence[str], index_names: Sequence[str] = ()) -> tuple[str, ...]:
    """The columns that number or name the rows: those without a name, and those of these names."""
    return tuple(name for name in columns if name in index_names or _UNNAMED.fullmatch(name))


def _json_lines(path: Path, text: str) -> Table:
    numbered = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not numbered:
        raise DataError(f"{path} is empty; expected one JSON object per line.")
    return json_table(path, text, [number for number, _ in numbered])


def json_table(path: Path, text: str, lines: Sequence[int], first: int = 0) -> Table:
    """A table from lines of JSON.

    Args:
        path: The file, for messages.
        text: At least one object, one per line; blank lines are skipped.
        lines: The number of each of these lines in the file, from 1.
        first: The number of the first row in the file, from 0.

    Raises:
        DataError: A line is not an object of JSON, or is nested too deep, or there are too many keys.
    """
    import polars

    content = text.encode("utf-8", "surrogatepass")
    check_json_lines(path, content)
    try:
        frame = polars.read_ndjson(content, infer_schema_length=None)
    except polars.exceptions.PolarsError as error:
        raise unreadable(path, error) from error
    known = lines if len(lines) == frame.height else None
    return Table(path, frame, index_columns(frame.columns), known, first=first)


def _parquet(path: Path, content: bytes | None) -> Table:
    import polars

    source = path if content is None else content
    size = path.stat().st_size if content is None else len(content)
    with readable_parquet(path):
        scan = polars.scan_parquet(source, glob=False)
        count, columns = scan.select(polars.len()).collect().item(), len(scan.collect_schema())
        check_parquet(path, int(count), columns, size)
        frame = offsets_as_text(scan.collect())
        index = parquet_index(source, frame.columns)
    return Table(path, frame, index)


@contextmanager
def readable_parquet(path: Path) -> Iterator[None]:
    """Turns the errors of polars for a damaged Parquet file into one; lets polars read times of any offset.

    Raises:
        DataError: polars cannot read the file.
    """
    import polars

    try:
        with _any_zone():
            yield
    # A damaged Parquet file makes polars panic, which is not a PolarsError.
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as error:
        raise unreadable(path, error) from error


def parquet_index(source: Path | bytes, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of a Parquet file that number or name its rows."""
    import polars

    place = io.BytesIO(source) if isinstance(source, bytes) else source  # older versions of polars take no bytes
    description = polars.read_parquet_metadata(place).get("pandas", "")
    return index_columns(columns, _pandas_index(description))


def _pandas_index(description: str) -> list[str]:
    """The index columns in the description that pandas writes into a Parquet file; none if it is damaged."""
    try:
        columns = json.loads(description)["index_columns"] if description else []
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [name for name in columns if isinstance(name, str)] if isinstance(columns, list) else []


def offsets_as_text(frame: polars.DataFrame) -> polars.DataFrame:
    """The table, with times of an offset such as +05:30 as ISO 8601 text: polars cannot compute with them."""
    import polars

    for column in frame:
        kind = column.dtype
        if isinstance(kind, polars.Datetime) and (match := _OFFSET.fullmatch(kind.time_zone or "")):
            sign, hours, minutes = match.groups()
            plain = column.to_physical().cast(polars.Datetime(kind.time_unit))
            local = plain + timedelta(hours=int(sign + hours), minutes=int(sign + minutes))
            frame = frame.with_columns((local.dt.strftime("%Y-%m-%dT%H:%M:%S%.f") + kind.time_zone).alias(column.name))
    return frame


@contextmanager
def _any_zone() -> Iterator[None]:
    """Lets polars read times of an offset such as +05:30, which is not in the database of time zones."""
    name = "POLARS_IGNORE_TIMEZONE_PARSE_ERROR"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def unreadable(path: Path, error: BaseException) -> DataError:
    """The error for a table that polars cannot read."""
    reason = (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
    return DataError(f"{path} cannot be read as a table: it is cut short or malformed ({reason}).")
