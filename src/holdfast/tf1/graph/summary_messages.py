"""``tf.Summary``: a summary that a program writes itself, without a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from holdfast.tf1.graph.names import public


class SummaryValue:
    """A number with a tag.

    Args:
        tag: Its name in TensorBoard.
        simple_value: The number.

    Raises:
        NotImplementedError: There is something else than a number, such as a histogram.
    """

    def __init__(self, tag: str = "", simple_value: Any = 0.0, **others: Any) -> None:
        if others:
            raise NotImplementedError(
                f"tf.Summary.Value got {', '.join(sorted(others))}; expected tag and simple_value. Use tf.summary for "
                "histograms and pictures."
            )
        self.tag, self.simple_value = str(tag), float(simple_value)


class _Values(list[SummaryValue]):
    def add(self, **fields: Any) -> SummaryValue:
        """A new value at the end."""
        self.append(SummaryValue(**fields))
        return self[-1]


@public("Summary", "summary.Summary")
class Summary:
    """Numbers with tags, for :meth:`FileWriter.add_summary`.

    Args:
        value: The values.

    Attributes:
        value: A list, with a method ``add(tag=..., simple_value=...)``.

    Example:
        >>> from holdfast.tf1 import graph as tf
        >>> summary = tf.Summary(value=[tf.Summary.Value(tag="loss", simple_value=2.5)])
        >>> summary.value.add(tag="accuracy", simple_value=0.9).tag
        'accuracy'
    """

    Value = SummaryValue

    def __init__(self, value: Iterable[SummaryValue] = ()) -> None:
        self.value = _Values(value)
