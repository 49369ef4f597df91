"""How an image becomes a sequence."""

from __future__ import annotations

from typing import Literal

from holdfast.data.examples import Array


def arrange(images: Array, layout: Literal["rows", "columns", "pixels"]) -> Array:
    """Images as sequences.

    Args:
        images: Grey values, [N, height, width].
        layout: ``rows``: one step per row, top to bottom; ``columns``: one step per column, left to right;
            ``pixels``: one step per pixel, row after row.

    Returns:
        [N, height, width], [N, width, height] or [N, height * width, 1].
    """
    if layout == "columns":
        return images.transpose(0, 2, 1)
    if layout == "pixels":
        return images.reshape(len(images), -1, 1)
    return images
