"""A look at files: which task they are for, and the settings that read them. Every guess comes with its reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.data.readers import audio, images, table, tagged
from holdfast.data.readers.compressed import opened
from holdfast.data.readers.folders import holds
from holdfast.data.settings import TaggedSettings
from holdfast.errors import DataError
from holdfast.recipes.columns import Guess, guess_table

_TEST = re.compile(r"(?<![a-z])(test|eval)(?![a-z])", re.IGNORECASE)
_START = 1 << 16
_SHORT = 40
"""Characters: the lines of a list of names are shorter, those of a running text are longer."""


def split_by_name(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The files to train on, and those whose names say that they are for the test (``X_TEST.ts``, ``test.csv``)."""
    test = [path for path in files if _TEST.search(path.name)]
    train = [path for path in files if path not in test]
    return (train, test) if train else (list(files), [])


def guess(files: Sequence[Path]) -> Guess:
    """Guesses the task of files from the first one and from how many there are.

    Raises:
        DataError: A file does not exist, cannot be read, or is of no known kind.
    """
    for path in files:
        if not path.exists():
            raise DataError(f"There is no file {path}. Check the path; relative paths start at {Path.cwd()}.")
    first = files[0]
    if first.is_dir():
        return _folder(first)
    suffix = Path(first.name.lower().removesuffix(".gz")).suffix
    if suffix in images.SUFFIXES or suffix in audio.SUFFIXES:
        raise DataError(f"{first} is a single file without a label; give a folder with one subfolder per label.")
    if suffix in (".conllu", ".conll"):
        return Guess("tag", "the file has a tag for every word")
    if suffix == ".ts":
        return _ts(first)
    if "idx" in first.name:
        return Guess("classify", "the files have images and labels", *_unit())
    if suffix in (".npz", ".npy"):
        return Guess("classify", "the file has arrays", *_standard())
    if suffix in table.TEXT_SUFFIXES and not _is_pairs(first, suffix):
        return guess_table(first)
    return _text(files)


def _standard() -> tuple[dict[str, Any], dict[str, str]]:
    return {"scaling": "standard"}, {"scaling": 'zero mean and unit variance per channel; "none" for none'}


def _unit() -> tuple[dict[str, Any], dict[str, str]]:
    return {"scaling": "unit"}, {"scaling": "pixels from 0 to 1"}


def _ts(path: Path) -> Guess:
    head = _lines(path)
    regression = any(re.match(r"@targetlabel\s+true", line, re.IGNORECASE) for line in head)
    task, reason = ("regress", "@targetLabel says a number") if regression else ("classify", "@classLabel says labels")
    return Guess(task, reason, *_standard())


def _folder(path: Path) -> Guess:
    entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    deep = any(entry.is_dir() for entry in entries)
    if holds(path, audio.SUFFIXES):
        if any(entry.suffix == ".txt" for entry in entries):
            return Guess("transcribe", "there is a text beside each recording")
        if deep:
            return Guess("classify", "there is a folder of recordings for each label")
        raise DataError(
            f"{path} holds recordings without labels or texts; expected LABEL/NAME.wav, or NAME.txt beside."
        )
    if holds(path, images.SUFFIXES):
        if not deep:
            raise DataError(f"{path} holds images without labels; expected one subfolder per label.")
        return Guess("classify", "there is a folder of images for each label", *_unit())
    if not any(entry.suffix == ".txt" for child in (path, *entries) if child.is_dir() for entry in child.iterdir()):
        raise DataError(f"{path} holds no images, recordings or texts. Give files of other kinds one by one.")
    if deep:
        return Guess("classify", "there is a folder of texts for each label", {"unit": "words", "lower": True})
    return _text(sorted(entry for entry in entries if entry.suffix == ".txt"))


def _text(files: Sequence[Path]) -> Guess:
    lines = _lines(files[0])
    if not lines:
        raise DataError(f"{files[0]} holds no text. Give a file with content.")
    if lines[0].startswith("__label__") or files[0].suffix == ".label":
        data = {"unit": "words", "lower": True} | ({} if files[0].suffix == ".label" else {"label_first": True})
        return Guess("classify", "each line begins with its label", data)
    if sum("\t" in line for line in lines) > 0.9 * len(lines):
        several_words = sum(" " in line.split("\t")[0].strip() for line in lines)
        if several_words > 0.2 * len(lines) or not _is_tagged(files[0]):
            return Guess("translate", "each line has a text, a tab and another text")
    if _is_tagged(files[0]):
        return Guess("tag", "each line has a word and its tag")
    lengths = sorted(len(line) for line in lines)
    if len(files) > 1 and lengths[len(lengths) // 2] < _SHORT:
        data = {"unit": "characters"}
        comments = {"unit": 'or "words"'}
        return Guess("classify", "there are several files of short lines, one file per label", data, comments)
    return Guess("generate", "it is running text without labels")


def _is_pairs(path: Path, suffix: str) -> bool:
    """Whether a TSV file has no column names but two texts in each line."""
    lines = _lines(path) if suffix == ".tsv" else []
    words = [len(line.split("\t")[0].split()) for line in lines]
    return bool(lines) and "\t" in lines[0] and words[0] > 1 and all(line.count("\t") >= 1 for line in lines)


def _is_tagged(path: Path) -> bool:
    try:
        sentences = tagged.read([path], TaggedSettings())
    except DataError:
        return False
    return sentences.targets is not None


def _lines(path: Path) -> list[str]:
    """The lines at the start of a text file that are not blank; the last one may be cut short and is left out.

    Raises:
        DataError: The file is not text in UTF-8 or Latin-1.
    """
    with opened(path) as file:
        start = file.read(_START)
    if b"\0" in start:
        raise DataError(f"{path} is of an unknown kind: it is not text. Convert it to CSV, .npz or .ts.")
    text = start.decode("utf-8", "replace")
    lines = text.split("\n")
    if len(start) == _START:
        lines = lines[:-1]
    return [line.rstrip("\r") for line in lines if line.strip()]
