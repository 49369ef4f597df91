"""The formats of answers: how a part is written, and how parts become one file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from holdfast.errors import DataError, MissingLibraryError, OptionError
from holdfast.files.json_values import finite

if TYPE_CHECKING:
    import polars

Format = Literal["parquet", "csv", "jsonl"]
_ENDINGS: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def format_of(out: Path, wanted: Format | None) -> tuple[Format, bool]:
    """The format of answers, and whether they go into one file.

    Args:
        out: A file with the ending of a format, or a folder.
        wanted: The format for a folder; None for Parquet.

    Raises:
        OptionError: The ending is of another format.
        MissingLibraryError: The format needs polars, which is not installed.
    """
    ending = _ENDINGS.get(out.suffix.lower())
    if out.suffix and ending is None and not out.is_dir():
        raise OptionError(
            f"--out is {out}, and no answers are written as {out.suffix}; expected a file that ends in "
            f"{', '.join(_ENDINGS)}, or a folder."
        )
    if ending and wanted and wanted != ending:
        raise OptionError(f"--out is {out}, and --format is {wanted}; leave out --format, or give a folder.")
    chosen = ending or wanted or "parquet"
    if chosen != "jsonl":
        try:
            import polars  # noqa: F401
        except ImportError as error:
            raise MissingLibraryError(
                f"Answers as {chosen} need the library polars, which is not installed: pip install 'holdfast[tables]'."
            ) from error
    return chosen, ending is not None and not out.is_dir()


def write_table(frame: polars.DataFrame, file: IO[bytes], format: Format) -> None:
    """Writes a part as Parquet, with one row group, or as CSV, in which lists are JSON.

    Raises:
        DataError: A column has no form in CSV.
    """
    import polars

    if format == "parquet":
        with _os_errors():
            frame.rechunk().write_parquet(file, row_group_size=max(1, frame.height))
    else:
        if binary := [each.name for each in frame if each.dtype == polars.Binary]:
            raise DataError(
                f"The column {binary[0]!r} holds bytes, which CSV does not have. Leave it out of --keep, or write "
                "Parquet."
            )
        _flat(frame).write_csv(file)


def schema_of(part: Path, format: Format) -> dict[str, polars.DataType]:
    """The names and types of the columns of a part; in CSV all are text."""
    import polars

    if format == "parquet":
        return dict(polars.read_parquet_schema(part))
    return dict.fromkeys(polars.read_csv(part, n_rows=0).columns, polars.String())


def join(parts: Sequence[Path], out: Path, format: Format, rows: int) -> None:
    """Writes parts, one after another, into one file.

    Args:
        parts: At least one part of the format.
        out: The file; it is replaced.
        format: The format.
        rows: Rows of a row group, in Parquet.

    Raises:
        DataError: A column has types in two parts that have no type in common.
    """
    if format == "parquet":
        import polars

        try:
            with _os_errors():
                _joined(parts).sink_parquet(out, row_group_size=rows, maintain_order=True)
        except (polars.exceptions.InvalidOperationError, polars.exceptions.SchemaError) as error:
            raise DataError(
                f"The kept columns of the input have other types in later rows ({str(error).splitlines()[0]}). "
                "Leave them out of --keep, or write a folder."
            ) from error
        return
    with out.open("wb") as target:
        for number, part in enumerate(parts):
            with part.open("rb") as source:
                if format == "csv" and number:
                    source.readline()  # the names of the columns, without line breaks
                shutil.copyfileobj(source, target, 2**20)


@contextmanager
def _os_errors() -> Iterator[None]:
    """Turns the error of polars about a file that cannot be written into Python's."""
    import polars

    try:
        yield
    except polars.exceptions.ComputeError as error:
        raise OSError(str(error)) from error


def _joined(parts: Sequence[Path]) -> polars.LazyFrame:
    """Parts as one table; a column that has another type in a later part gets one that holds both."""
    import polars

    schemas = [polars.read_parquet_schema(part) for part in parts]
    if all(schema == schemas[0] for schema in schemas):
        return polars.scan_parquet(list(parts), glob=False)
    return polars.concat([polars.scan_parquet(part, glob=False) for part in parts], how="vertical_relaxed")


def _flat(frame: polars.DataFrame) -> polars.DataFrame:
    """The table without lists, which CSV does not have, and without line breaks in the names of columns."""
    import polars

    lists = [name for name in frame.columns if frame[name].dtype.is_nested()]
    texts = [polars.Series(name, [_json(value) for value in frame[name].to_list()]) for name in lists]
    names = {name: name.replace("\n", " ").replace("\r", " ") for name in frame.columns}
    return frame.with_columns(texts).rename(names)


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(finite(value), ensure_ascii=False, default=str)
