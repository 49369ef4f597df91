"""Recordings with what is said in them: a table of paths and texts, or recordings with a text file beside each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.data.readers import audio
from holdfast.data.readers.audio import Floats
from holdfast.data.readers.folders import files_in
from holdfast.data.readers.table_bounds import check_json_lines, check_separated
from holdfast.data.records import Records
from holdfast.errors import DataError, MissingDataError, did_you_mean
from holdfast.recipes.audio import AudioSettings

if TYPE_CHECKING:
    import polars

TABLES = (".csv", ".tsv", ".jsonl")


def read(paths: Sequence[str | Path], settings: AudioSettings) -> Records[Floats, str]:
    """Reads recordings as log-mel energies, and their transcripts where there are any.

    Args:
        paths: Each a table (CSV, TSV or JSONL) with a column ``path`` (relative to the table's folder) and, to train
            on, a column ``text``; a folder of recordings with a text file of the same name beside each; or a
            recording.
        settings: How the sound is read.

    Returns:
        Energies [steps, values] and transcripts; without targets where there are no transcripts.

    Raises:
        MissingDataError: A file is not there.
        DataError: A file cannot be read, or only some recordings have a transcript.
        MissingLibraryError: A library that reads sound is not installed.
    """
    pairs = [pair for path in paths for pair in _pairs(Path(path))]
    bare = [file for file, text in pairs if text is None]
    if bare and len(bare) < len(pairs):
        raise DataError(
            f"{bare[0]} has no transcript, and other recordings have one; expected all or none. Put the text into "
            f"{bare[0].with_suffix('.txt').name} beside it, or leave the recording out."
        )
    energies = [audio.energies(file, settings) for file, _ in pairs]
    texts = None if bare else [text for _, text in pairs if text is not None]
    return Records(energies, texts, [str(file) for file, _ in pairs])


def _pairs(path: Path) -> Iterator[tuple[Path, str | None]]:
    """The recordings that a path names, each with its transcript."""
    if not path.exists():
        raise MissingDataError(f"There is no file or folder {path}. Check the path; it was taken from {Path.cwd()}.")
    if path.is_dir():
        found = files_in(path, audio.SUFFIXES)
        if not found:
            raise DataError(f"{path} holds no recordings ({', '.join(audio.SUFFIXES)}); expected some directly in it.")
        yield from ((file, _beside(file)) for file in found)
    elif path.suffix.lower() in TABLES:
        yield from _listed(path)
    elif path.suffix.lower() in audio.SUFFIXES:
        yield path, _beside(path)
    else:
        raise DataError(
            f"{path} is neither a recording ({', '.join(audio.SUFFIXES)}), nor a table of paths and texts "
            f"({', '.join(TABLES)}), nor a folder."
        )


def _beside(file: Path) -> str | None:
    """The text in the file of the same name, if there is one."""
    place = file.with_suffix(".txt")
    try:
        return place.read_text("utf-8").strip() if place.is_file() else None
    except UnicodeDecodeError as error:
        raise DataError(f"{place} is not text in UTF-8 ({error.reason} at byte {error.start}). Convert it.") from error


def _listed(path: Path) -> Iterator[tuple[Path, str | None]]:
    """The rows of a table."""
    table = _table(path)
    if "path" not in table.columns:
        raise DataError(f"{path} has no column 'path'; {did_you_mean('path', table.columns)}")
    texts = table["text"].to_list() if "text" in table.columns else [None] * table.height
    for row, (name, text) in enumerate(zip(table["path"].to_list(), texts, strict=True)):
        if not name or ("text" in table.columns and text is None):
            raise DataError(f"{path}[{row}] has an empty {'text' if name else 'path'}; fill it in or leave it out.")
        yield path.parent / name, text


def _table(path: Path) -> polars.DataFrame:
    """A table whose values are all text."""
    import polars

    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".jsonl":
            check_json_lines(path, content)
            return polars.read_ndjson(content, infer_schema_length=None).cast(polars.String)
        tabs = path.suffix.lower() == ".tsv"
        separator = "\t" if tabs else ","
        check_separated(path, content, separator)
        return polars.read_csv(content, separator=separator, quote_char=None if tabs else '"', infer_schema=False)
    except (polars.exceptions.PolarsError, OSError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise DataError(f"{path} cannot be read as a table: it is cut short or malformed ({reason}).") from error
