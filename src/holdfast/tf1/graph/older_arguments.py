"""Functions of TensorFlow 0.x whose arguments have other names than those of their successors."""

from __future__ import annotations

from typing import Any

from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.maths import where
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.summaries import histogram, image, merge, scalar
from holdfast.tf1.graph.tensors import Tensor


@public("scalar_summary", "contrib.deprecated.scalar_summary")
def scalar_summary(tags: Any, values: Any, collections: Any = None, name: str | None = None) -> Tensor:
    """A number with a tag, or a list of tags with a vector of as many numbers."""
    if isinstance(tags, str):
        return scalar(tags, values, collections)
    numbers = convert_to_tensor(values)
    single = numbers.sizes == ()
    return merge([scalar(tag, numbers if single else numbers[place], collections) for place, tag in enumerate(tags)])


@public("histogram_summary", "contrib.deprecated.histogram_summary")
def histogram_summary(tag: str, values: Any, collections: Any = None, name: str | None = None) -> Tensor:
    """The distribution of values."""
    return histogram(tag, values, collections)


@public("image_summary", "contrib.deprecated.image_summary")
def image_summary(
    tag: str, tensor: Any, max_images: int = 3, collections: Any = None, name: str | None = None
) -> Tensor:
    """Pictures [B, height, width, channels]."""
    return image(tag, tensor, max_images, collections)


@public("select")
def select(condition: Any, t: Any, e: Any, name: str | None = None) -> Tensor:
    """:func:`where`: ``t`` where the condition holds, otherwise ``e``."""
    return where(condition, t, e, name)
