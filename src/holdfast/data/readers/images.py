"""Images: a folder with one subfolder a label, a folder of unlabelled images, or a single image."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from holdfast.data.examples import Array, Examples
from holdfast.data.readers.folders import listing
from holdfast.data.readers.layout import arrange
from holdfast.errors import DataError
from holdfast.recipes.classify import ClassifyData

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".tif", ".tiff", ".webp")


def read(path: Path, settings: ClassifyData) -> Examples:
    """Read images as greyscale (0 black to 255 white, uint8) and lay them out as sequences.

    Args:
        path: A folder ``ROOT/label/*.png`` (the subfolder's name is the label), a folder ``ROOT/*.png`` without
            labels, or one image file without a label.
        settings: ``layout`` is used.

    Returns:
        The images by label and name, in alphabetical order.

    Raises:
        DataError: There is no image, one is not an image or is cut short, or they differ in size.
    """
    files, labels = listing(path, SUFFIXES, "image") if path.is_dir() else ([path], None)
    images: list[Array] = []
    for file in files:
        images.append(_grey(file, images[0].shape if images else None, files[0]))
    return Examples(arrange(np.stack(images), settings.layout), labels, [str(file) for file in files])


def _grey(path: Path, shape: tuple[int, ...] | None, first: Path) -> Array:
    """One image as uint8 [height, width]; its size is checked before its pixels are decoded."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if shape is not None and (image.height, image.width) != shape:
                raise DataError(
                    f"{path} is {image.width}x{image.height} pixels; {first} is {shape[1]}x{shape[0]}. "
                    "All images must have one size: scale or crop the odd ones."
                )
            if image.mode.startswith("I;16"):
                return (np.asarray(image) >> 8).astype(np.uint8)
            if image.mode in ("I", "F"):
                raise DataError(f"{path} has 32 bits a pixel; expected 8 or 16. Convert it first.")
            return np.asarray(image.convert("L"))
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} claims to be a huge image ({error}). Scale it down first.") from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise DataError(
            f"{path} cannot be read as an image: it is cut short, damaged or of another kind ({error})."
        ) from error
