"""Images: a folder with one subfolder a label, a folder of unlabelled images, or a single image."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from holdfast.data.examples import Array, Examples
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
    files, labels = _listing(path) if path.is_dir() else ([path], None)
    images: list[Array] = []
    for file in files:
        images.append(_grey(file, images[0].shape if images else None, files[0]))
    return Examples(arrange(np.stack(images), settings.layout), labels, [str(file) for file in files])


def _listing(root: Path) -> tuple[list[Path], list[str] | None]:
    """The image files of a folder and, where they lie in subfolders, their labels."""
    bare = _images_in(root)
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    labelled = [(file, folder.name) for folder in folders for file in _images_in(folder)]
    if bare and labelled:
        raise DataError(
            f"{root} holds images both directly ({bare[0].name}) and in subfolders "
            f"({labelled[0][0].relative_to(root)}); expected ROOT/label/image with labels, or ROOT/image without."
        )
    if not bare and not labelled:
        raise DataError(
            f"{root} holds no images ({', '.join(SUFFIXES)}); expected ROOT/label/image, such as {root.name}/7/12.png. "
            "Files of other kinds are named one by one, not by their folder."
        )
    if bare:
        return bare, None
    return [file for file, _ in labelled], [label for _, label in labelled]


def _images_in(folder: Path) -> list[Path]:
    return sorted(
        entry for entry in folder.iterdir() if entry.suffix.lower() in SUFFIXES and not entry.name.startswith(".")
    )


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
