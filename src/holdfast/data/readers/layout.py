"""How an image becomes a sequence."""

from __future__ import annotations

from typing import Literal

from holdfast.data.examples import Array


def arrange(images: Array, layout: Literal["rows", "columns", "pixels"]) -> Array:
    """Images as sequences.

    Args:
        images: Grey values, [N, height, width].
        layout: ``rows``: a step a row, top to bottom; ``columns``: a step a column, left to right; ``pixels``: a
            step a pixel, row after row.

    Returns:
        [N, height, width], [N, width, height] or [N, height * width, 1].
    """
    if layout == "columns":
        return images.transpose(0, 2, 1)
    if layout == "pixels":
        return images.reshape(len(images), -1, 1)
    return images
