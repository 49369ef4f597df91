"""Word vectors from a text file in GloVe's format: ``word v1 ... vn`` per line, gzipped or not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from holdfast.data.readers.compressed import opened
from holdfast.errors import DataError, MissingDataError


def read(path: Path, words: Iterable[str]) -> dict[str, npt.NDArray[np.float32]]:
    """The vectors of words. The file is read line by line, and only the vectors of these words are kept.

    Such files were published with "GloVe: Global Vectors for Word Representation" (Pennington et al. 2014). A first
    line of two integers, as in files of word2vec and fastText, is skipped, and so are words with a space in them.

    Args:
        path: The file, UTF-8.
        words: The words to look for; the first line of a word counts.

    Returns:
        A vector [n] for each of the words that the file has.

    Raises:
        MissingDataError: The file does not exist.
        DataError: A line has another number of values than the first, a value is not a finite number, or the file is
            damaged or not UTF-8.
    """
    if not path.is_file():
        raise MissingDataError(
            f"There is no file of word vectors {path}. Check model.embedding_file; relative paths start at "
            f"{Path.cwd()}."
        )
    wanted, size = set(words), 0
    vectors: dict[str, npt.NDArray[np.float32]] = {}
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            word, *values = line.rstrip(b"\r\n ").split(b" ")
            if number == 1 and len(values) == 1 and word.isdigit() and values[0].isdigit():
                continue
            size = size or len(values)
            if len(values) > size and not all(map(_is_number, values[:-size])):
                continue  # the word has a space in it
            if len(values) != size or not size:
                expected = f"{size}, as in the lines before" if size else "at least one"
                raise DataError(
                    f"{path}, line {number}, has {len(values)} values after its word; expected {expected}. The file is "
                    "cut short or of another format: expected `word v1 ... vn` per line."
                )
            try:
                text = word.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError(f"{path}, line {number}, is not UTF-8 text. Convert the file first.") from error
            if text in wanted and text not in vectors:
                vectors[text] = _vector(values, f"{path}, line {number}")
    if not size:
        raise DataError(f"{path} is empty; expected `word v1 ... vn` per line.")
    return vectors


def _vector(values: list[bytes], origin: str) -> npt.NDArray[np.float32]:
    for value in values:
        if not _is_number(value) or abs(float(value)) > float(np.finfo(np.float32).max):
            raise DataError(f"{origin}, holds {value.decode('utf-8', 'replace')!r}; expected a finite number.")
    return np.array([float(value) for value in values], dtype=np.float32)


def _is_number(value: bytes) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False
