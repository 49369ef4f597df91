"""Images: a folder with one subfolder per label, a folder of unlabelled images, or a single image."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.data.examples import Array, Examples
from holdfast.data.readers.folders import listing
from holdfast.data.readers.layout import arrange
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets, from_labels
from holdfast.errors import DataError, HoldfastWarning, MissingLibraryError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".tif", ".tiff", ".webp")
MOST_PIXELS = 30_000_000
"""The limit for one image: decoding takes up to 15 bytes per pixel. With 16 bits per channel, half of it."""

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_FAULTS = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError, struct.error)
"""What Pillow raises for a damaged file."""
_MOST_SCANS = 64
"""The limit for a JPEG file. Each scan takes time for the whole image, and programs write about ten."""
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # of JPEG; does not occur within the coded image
_START_OF_SCAN, _END_OF_IMAGE, _START_OF_IMAGE = 0xDA, 0xD9, 0xD8
_ORIENTATION = 0x0112  # EXIF; the values are those of the table below
_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # tags of TIFF
_RED_GREEN_BLUE = (0.299, 0.587, 0.114)  # ITU-R 601-2, as Pillow's own conversion


def read(path: Path, settings: ReadingSettings, targets: Targets = "labels") -> Examples:
    """Reads images as greyscale, 0 black to 255 white, and arranges them as sequences.

    Images of 8 bits or fewer are uint8. Those of 9 to 16 bits per channel keep their full depth: float32, where the
    largest number that their bits can hold is 255. EXIF's orientation is applied, and transparency is ignored. Of an
    animation or several pages only the first is read, with a ``HoldfastWarning``.

    Args:
        path: A folder ``ROOT/label/*.png`` (the subfolder's name is the label), a folder ``ROOT/*.png`` without
            labels, or one image file without a label.
        settings: ``layout`` is used.
        targets: What the task learns: the subfolders are named for it.

    Returns:
        The images by label and name, in alphabetical order.

    Raises:
        DataError: There is no image; one is not an image, is cut short, has more than 30 million pixels or numbers of
            another kind; they differ in size; or a subfolder is not named for a target.
        MissingLibraryError: Pillow is not installed.
    """
    files, labels = listing(path, SUFFIXES, "image") if path.is_dir() else ([path], None)
    return pictures(files, labels, settings, targets)


def pictures(
    files: Sequence[Path],
    labels: list[str] | None,
    settings: ReadingSettings,
    targets: Targets,
    first: tuple[tuple[int, ...], Path] | None = None,
) -> Examples:
    """Images as sequences, with the names of their folders as labels; as :func:`read`.

    Args:
        files: The images.
        labels: The label of each, or None.
        settings: ``layout`` is used.
        targets: What the task learns.
        first: Height and width that all must have, and an image that has them; None for those of the first file.
    """
    images: list[Array] = []
    for file in files:
        shape = images[0].shape if images else None
        images.append(_grey(file, first[0], first[1]) if first else _grey(file, shape, files[0]))
    origins = [str(file) for file in files]
    return Examples(arrange(np.stack(images), settings.layout), from_labels(labels, origins, targets), origins)


def shape_of(path: Path) -> tuple[int, ...]:
    """Height and width of an image.

    Raises:
        DataError: As for :func:`read`.
    """
    return _grey(path, None, path).shape


def claimed_pixels(path: Path) -> int:
    """The pixels of an image as its header says; 0 where :func:`read` refuses it."""
    try:
        from PIL import Image
    except ImportError:
        return 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as image:
                return image.width * image.height
    except (Image.DecompressionBombError, *_FAULTS):
        return 0


def _grey(path: Path, shape: tuple[int, ...] | None, first: Path) -> Array:
    """One image [height, width], the right way up."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingLibraryError(
            f"{path} is an image, and images need the library Pillow, which is not installed: "
            "pip install 'holdfast[images]'."
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged EXIF data, and about sizes that are checked below
            with Image.open(path, formats=_FORMATS) as image:
                _check_size(path, image)
                several = (
                    getattr(image, "is_animated", False) and image.format != "MPO"
                )  # MPO: a photograph and its preview
                pixels = _oriented(image, _levels(path, image))
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} claims to be a huge image ({error}). Scale it down first.") from error
    except _FAULTS as error:
        raise DataError(
            f"{path} cannot be read as an image: it is cut short, damaged or of another kind ({error})."
        ) from error
    if several:
        message = f"{path} holds several pictures, an animation or pages; the first is read."
        warnings.warn(message, HoldfastWarning, stacklevel=2)
    if shape is not None and pixels.shape != shape:
        raise DataError(
            f"{path} is {pixels.shape[1]}x{pixels.shape[0]} pixels; {first} is {shape[1]}x{shape[0]}. "
            "All images must have one size: scale or crop the odd ones."
        )
    return pixels


def _check_size(path: Path, image: ImageFile) -> None:
    """Refuses an image that would take much time or memory to decode."""
    most = MOST_PIXELS // 2 if _channel_bits(image) > 8 else MOST_PIXELS
    if image.width * image.height > most:
        raise DataError(
            f"{path} claims to be a huge image ({image.width}x{image.height} pixels; at most {most:,} are read). Scale "
            "it down first."
        )
    if image.format in ("JPEG", "MPO"):
        _check_scans(path)


def _check_scans(path: Path) -> None:
    """Counts the scans of a JPEG file, segment by segment."""
    content, place, scans = path.read_bytes(), 0, 0
    while (match := _MARKER.search(content, place)) and content[match.start() + 1] != _END_OF_IMAGE:
        marker, place = content[match.start() + 1], match.end()
        if marker != _START_OF_IMAGE:
            place += int.from_bytes(content[place : place + 2], "big")
        scans += marker == _START_OF_SCAN
        if scans > _MOST_SCANS:
            raise DataError(f"{path} has more than {_MOST_SCANS} scans. Save it again.")


def _channel_bits(image: ImageFile) -> int:
    """The bits per channel in the file; Pillow may decode only 8 of them."""
    layout: Any = image.tile[0].args if image.tile else ""
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_BITS, (8,))))  # type: ignore[attr-defined]
    if image.format == "PPM":
        return 16 if (isinstance(layout, tuple) and layout[-1] > 255) or layout == "I;16B" else 8
    return 16 if isinstance(layout, str) and ";16" in layout else 8


def _levels(path: Path, image: ImageFile) -> Array:
    """The grey values: uint8, or float32 from 0 to 255 if the file has more than 8 bits per channel."""
    if _channel_bits(image) <= 8:
        return np.asarray(image.convert("L"))
    if image.format == "PNG" and image.mode in ("RGB", "RGBA"):
        return _deep_colours(path, image)
    if image.mode.startswith("I;16"):
        bits = _channel_bits(image)
        levels = np.asarray(image).astype(np.float32) / np.float32((2**bits - 1) / 255)
        inverted = image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO  # type: ignore[attr-defined]
        return np.float32(255) - levels if inverted else levels
    if image.mode == "I" and image.format == "PPM":
        return np.asarray(image).astype(np.float32) / np.float32(257)  # Pillow scales to 0..65535
    if image.mode in ("I", "F"):
        raise DataError(f"{path} has 32 bits per pixel; expected 8 or 16. Convert it first.")
    raise DataError(
        f"{path} has {_channel_bits(image)} bits per channel in colour; expected 8, or 16 in a PNG file or without "
        "colours. Convert it first."
    )


def _deep_colours(path: Path, image: ImageFile) -> Array:
    """A PNG file of 16 bits per channel with colours or transparency; Pillow decodes 8 bits at a time."""
    from PIL import Image

    tile = image.tile[0]
    if tile.args == "LA;16B":  # read as four channels of 8 bits: high and low byte of grey, then of transparency
        image.tile = [tile._replace(args="RGBA")]
        high, low = (image.getchannel(channel) for channel in "RG")
        return _sixteen(np.asarray(high), np.asarray(low))
    grey: Array = np.zeros((image.height, image.width), np.float32)
    with Image.open(path, formats=("PNG",)) as lower:
        lower.tile = [lower.tile[0]._replace(args=f"{image.mode};16L")]  # the second byte of each number
        for channel, weight in zip("RGB", _RED_GREEN_BLUE, strict=True):
            grey += np.float32(weight) * _sixteen(
                np.asarray(image.getchannel(channel)), np.asarray(lower.getchannel(channel))
            )
    return grey


def _sixteen(high: Array, low: Array) -> Array:
    """Numbers of 16 bits, given as two bytes, scaled to 0 to 255."""
    return (high.astype(np.float32) * 256 + low) / np.float32(257)


def _oriented(image: ImageFile, pixels: Array) -> Array:
    """The pixels in the orientation of the EXIF data; Pillow itself turns TIFF files, and removes the tag."""
    orientation = image.getexif().get(_ORIENTATION, 1)
    if orientation in (5, 6, 7, 8):
        pixels = pixels.T
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
