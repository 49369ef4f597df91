"""IDX files of unsigned bytes, the format of MNIST: http://yann.lecun.com/exdb/mnist/ (plain or gzipped).

A file starts with two zero bytes, a byte for the type (8: unsigned byte) and a byte for the number of dimensions;
then each dimension as a big-endian 32-bit number; then the values, the last dimension fastest.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from holdfast.data.examples import Array, Examples
from holdfast.data.readers.compressed import most_bytes, opened
from holdfast.data.readers.layout import arrange
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets, from_labels
from holdfast.errors import DataError

_CHUNK = 1 << 20


def dimensions(path: Path) -> int | None:
    """The number of dimensions of an IDX file (3: images, 1: labels); None for a file that is not IDX.

    Raises:
        DataError: The file is gzipped and damaged.
    """
    with opened(path) as file:
        start = file.read(4)
    return start[3] if len(start) == 4 and start[:3] == b"\0\0\x08" else None


def read(path: Path, settings: ReadingSettings, labels: Path | None = None, targets: Targets = "labels") -> Examples:
    """Reads images and, from a second file, their labels.

    Args:
        path: The file of images, three dimensions.
        settings: ``layout`` is used.
        labels: The file of labels, one dimension; None for images without labels.
        targets: What the task learns.

    Raises:
        DataError: A file is not IDX, is cut short or does not have the size of its header, or there are not as many
            labels as images.
    """
    images = values(path, 3, "images")
    names: list[str] | None = None
    if labels is not None:
        names = [str(value) for value in values(labels, 1, "labels").tolist()]
        if len(names) != len(images):
            raise DataError(f"{labels} holds {len(names)} labels; {path} holds {len(images)} images. Expected as many.")
    origins = [f"{path}[{index}]" for index in range(len(images))]
    return Examples(arrange(images, settings.layout), from_labels(names, origins, targets), origins)


def values(path: Path, rank: int, content: str) -> Array:
    """The values of an IDX file, uint8; memory is allocated only for the bytes in the file.

    Args:
        path: The file.
        rank: The number of its dimensions.
        content: What it holds, for messages.

    Raises:
        DataError: The file is not IDX of that rank, is cut short or does not have the size of its header.
    """
    actual = dimensions(path)
    if actual != rank:
        got = "is not an IDX file of unsigned bytes" if actual is None else f"is an IDX file of {actual} dimensions"
        raise DataError(f"{path} {got}; expected {rank} for {content}.")
    with opened(path) as file:
        header = file.read(4 + 4 * rank)
        if len(header) < 4 + 4 * rank:
            raise DataError(f"{path} is cut short within its header. Copy or download it again.")
        shape = struct.unpack(f">{rank}I", header[4:])
        size = math.prod(shape)
        claim = f"{'x'.join(str(extent) for extent in shape)} values"
        if 0 in shape:
            raise DataError(f"{path} holds no values: its header claims {claim}.")
        if size + len(header) > most_bytes(path):
            raise DataError(
                f"{path} is cut short or damaged: its header claims {claim}, more than the file can hold. "
                "Copy or download it again."
            )
        content_bytes = bytearray()
        while len(content_bytes) <= size and (chunk := file.read(_CHUNK)):
            content_bytes += chunk
    if len(content_bytes) != size:
        got = "more" if len(content_bytes) > size else f"only {len(content_bytes)}"
        raise DataError(f"{path} does not have the right size: its header claims {claim} and {got} follow.")
    return np.frombuffer(content_bytes, dtype=np.uint8).reshape(shape)
