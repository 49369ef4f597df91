"""Recordings and their transcripts: a table of paths and texts, or recordings with a text file beside each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from holdfast.data.disk.files import Entry, FileSource
from holdfast.data.readers import audio
from holdfast.data.readers.audio import Floats
from holdfast.data.readers.folders import files_in
from holdfast.data.readers.paths import check_paths
from holdfast.data.readers.table import load
from holdfast.data.records import Records
from holdfast.data.settings import AudioSettings, TableSettings
from holdfast.errors import DataError, did_you_mean

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
        MissingDataError: A file does not exist.
        DataError: A file cannot be read, or only some recordings have a transcript.
        MissingLibraryError: A library that reads sound is not installed.
    """
    pairs = pairs_of(paths)
    energies = [audio.energies(file, settings) for file, _ in pairs]
    texts = [text for _, text in pairs if text is not None]
    return Records(energies, texts if len(texts) == len(pairs) else None, [str(file) for file, _ in pairs])


def in_pieces(paths: Sequence[Path], settings: AudioSettings) -> FileSource:
    """The source of recordings and transcripts, which reads them one by one; as :func:`read`."""
    pairs = pairs_of(paths)

    def record(file: Path, text: str | None) -> Records[Floats, str]:
        energies = [audio.energies(file, settings)]
        return Records(energies, None if text is None else [text], [str(file)])

    def entries() -> list[Entry]:
        return [Entry.whole(file, partial(record, file, text)) for file, text in pairs]

    more = [place for file, _ in pairs for place in (file, file.with_suffix(".txt")) if place.is_file()]
    return FileSource("transcripts", paths, settings.model_dump(mode="json"), entries, more)


def pairs_of(paths: Sequence[str | Path]) -> list[tuple[Path, str | None]]:
    """The recordings that paths name, each with its transcript, or none of them with one.

    Raises:
        MissingDataError: A file does not exist.
        DataError: A table cannot be read, or only some recordings have a transcript.
    """
    pairs = [pair for path in paths for pair in _pairs(Path(path))]
    bare = [file for file, text in pairs if text is None]
    if bare and len(bare) < len(pairs):
        raise DataError(
            f"{bare[0]} has no transcript, and other recordings have one; expected all or none. Write the text to "
            f"{bare[0].with_suffix('.txt').name} beside it, or leave the recording out."
        )
    return pairs


def recordings(paths: Sequence[Path]) -> list[Path]:
    """The recordings that paths name, as for :func:`read`.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A path is neither a recording, nor a table of paths, nor a folder of recordings.
    """
    check_paths(paths)
    return [file for path in paths for file, _ in _pairs(path)]


def of_files(files: Sequence[Path], settings: AudioSettings) -> Records[Floats, str]:
    """Recordings as log-mel energies, without transcripts.

    Raises:
        DataError: A file cannot be read.
        MissingLibraryError: A library that reads sound is not installed.
    """
    return Records([audio.energies(file, settings) for file in files], None, [str(file) for file in files])


def _pairs(path: Path) -> Iterator[tuple[Path, str | None]]:
    """The recordings that a path names, each with its transcript."""
    check_paths([path])
    if path.is_dir():
        files = files_in(path, audio.SUFFIXES)
        if not files:
            raise DataError(
                f"{path} holds no recordings ({', '.join(audio.SUFFIXES)}); expected recordings directly in it."
            )
        yield from ((file, _beside(file)) for file in files)
    elif path.suffix.lower() in TABLES:
        yield from _rows(path)
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


def _rows(path: Path) -> Iterator[tuple[Path, str | None]]:
    """The recordings and texts of the rows of a table."""
    table = load(path, TableSettings(), texts=True)
    import polars

    if "path" not in table.columns:
        raise DataError(f"{path} has no column 'path'; {did_you_mean('path', table.columns)}")
    columns = [name for name in ("path", "text") if name in table.columns]
    for name in columns:
        if table.frame[name].dtype.is_nested():
            raise DataError(f"{path}: the column {name!r} holds {table.frame[name].dtype}; expected text.")
    values = table.frame.select(columns).cast(polars.String)
    for row, (name, *text) in enumerate(values.iter_rows()):
        if not name or None in text:
            raise DataError(
                f"{table.where(row)}: there is an empty {'text' if name else 'path'}; fill it in or leave the row out."
            )
        yield path.parent / name, text[0] if text else None
