"""UCR/UEA ``.ts`` files: https://www.sktime.net/en/stable/api_reference/file_specifications/ts.html.

A header of ``@`` tags up to ``@data``, then one line per sequence: dimensions separated by ``:``, values by ``,``, the
label last. Lines that start with ``#`` are comments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from holdfast.data.examples import Array, Examples
from holdfast.data.readers.compressed import opened
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets, from_labels
from holdfast.errors import DataError, did_you_mean

_TAGS = (
    "problemname", "timestamps", "missing", "univariate", "dimension", "dimensions", "equallength", "serieslength",
    "classlabel", "targetlabel", "data",
)  # fmt: skip


@dataclass
class _Header:
    """The values of the tags; 0 is an unknown number."""

    labelled: bool = False
    labels: list[str] = field(default_factory=list)
    dimensions: int = 0
    length: int = 0
    equal: bool = False


def read(path: Path, settings: ReadingSettings, targets: Targets = "labels") -> Examples:
    """Reads a ``.ts`` file, plain or gzipped.

    Args:
        path: The file.
        settings: ``missing`` is used.
        targets: What the task learns.

    Returns:
        Sequences [T_i, dimensions] of float64, with targets if ``@classLabel true`` or ``@targetLabel true``.

    Raises:
        DataError: The file breaks the format, has time stamps, numbers as targets where labels are learned, or missing
            values (``?``, where that is an error), or is cut short.
    """
    header = _Header()
    in_data = False
    sequences: list[Array] = []
    labels: list[str] = []
    for number, line in _lines(path):
        where = f"{path}, line {number}"
        if in_data:
            if header.labelled:
                line, _, label = line.rpartition(":")
                labels.append(_checked_label(label.strip(), header, where))
            sequences.append(_sequence(line, header, where, gaps=settings.missing != "error"))
        elif line.startswith("@"):
            in_data = _take_tag(header, line, where, targets)
        else:
            raise DataError(f"{where} comes before @data and is not an @ tag; expected a .ts header first.")
    if not sequences:
        raise DataError(f"{path} holds no sequences{'' if in_data else ': it has no @data line'}.")
    origins = [f"{path}[{index}]" for index in range(len(sequences))]
    read_targets = from_labels(labels if header.labelled else None, origins, targets)
    return Examples(sequences, read_targets, origins, gaps=settings.missing != "error")


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are neither empty nor comments, numbered from 1."""
    kept = []
    with opened(path) as file:
        for number, raw in enumerate(file, start=1):
            line = raw.strip()
            if not line or line.startswith(b"#"):
                continue
            try:
                kept.append((number, line.decode("utf-8-sig" if number == 1 else "utf-8")))
            except UnicodeDecodeError as error:
                raise DataError(f"{path}, line {number} is not UTF-8 text ({error}); expected a .ts file.") from error
    return kept


def _take_tag(header: _Header, line: str, where: str, targets: Targets) -> bool:
    """Takes one tag into the header.

    Returns:
        Whether the tag was ``@data``, after which the sequences follow.
    """
    words = line[1:].split()
    name, values = words[0] if words else "", words[1:]
    tag = name.lower()
    if tag not in _TAGS:
        raise DataError(f"{where} has the unknown tag @{name}; {did_you_mean(tag, _TAGS)}")
    if tag in ("dimension", "dimensions"):
        header.dimensions = _count(values, name, where)
    elif tag == "serieslength":
        header.length = _count(values, name, where)
    elif tag == "univariate":
        if _flag(values, name, where):
            header.dimensions = 1
    elif tag == "equallength":
        header.equal = _flag(values, name, where)
    elif tag == "classlabel":
        header.labelled, header.labels = _flag(values, name, where), values[1:]
    elif tag == "timestamps" and _flag(values, name, where):
        raise DataError(f"{where}: time stamps cannot be read; expected @timeStamps false and values alone.")
    elif tag == "targetlabel" and _flag(values, name, where):
        if targets == "labels":
            raise DataError(
                f"{where}: the file is for regression, each sequence has a number as its target; expected labels, with "
                "@classLabel true."
            )
        header.labelled = True
    return tag == "data"


def _flag(values: list[str], name: str, where: str) -> bool:
    if not values or values[0].lower() not in ("true", "false"):
        raise DataError(f"{where}: @{name} is {' '.join(values) or 'empty'}; expected true or false.")
    return values[0].lower() == "true"


def _count(values: list[str], name: str, where: str) -> int:
    if len(values) != 1 or not values[0].isdecimal() or values[0] == "0":
        raise DataError(f"{where}: @{name} is {' '.join(values) or 'empty'}; expected a number from 1.")
    return int(values[0])


def _checked_label(label: str, header: _Header, where: str) -> str:
    if not label or (header.labels and label not in header.labels):
        known = f"one of {', '.join(header.labels)}" if header.labels else "a label"
        raise DataError(f"{where} ends in {label[:40]!r}; expected {known} after the last ':'.")
    return label


def _sequence(line: str, header: _Header, where: str, *, gaps: bool) -> Array:
    """The values [T, dimensions] of one line; the first line sets an unknown number of dimensions."""
    channels = []
    for dimension, part in enumerate(line.split(":")):
        values = [value.strip() for value in part.split(",")]
        if any(value.lower() in ("?", "nan") for value in values):
            if not gaps:
                raise DataError(
                    f"{where}, dimension {dimension} (from 0) has a missing value. Fill it in, leave the sequence out, "
                    "or set data.missing."
                )
            values = ["nan" if value == "?" else value for value in values]
        try:
            channels.append([float(value) for value in values])
        except ValueError as error:
            raise DataError(
                f"{where}, dimension {dimension} (from 0): {error}; expected numbers separated by ','."
            ) from error
    header.dimensions = header.dimensions or len(channels)
    lengths = sorted({len(channel) for channel in channels})
    if len(channels) != header.dimensions:
        raise DataError(f"{where} has {len(channels)} dimensions; expected {header.dimensions}.")
    if len(lengths) > 1:
        raise DataError(
            f"{where} has dimensions of {lengths[0]} to {lengths[-1]} values; expected the same number in each."
        )
    if header.equal and header.length and lengths != [header.length]:
        raise DataError(f"{where} has {lengths[0]} steps; @seriesLength and @equalLength say {header.length}.")
    return np.array(channels, dtype=np.float64).T
