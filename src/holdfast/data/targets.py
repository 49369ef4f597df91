"""Targets that are numbers, where a task asks for numbers and not for labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from holdfast.errors import DataError

Targets = Literal["labels", "numbers", "steps", "detect"]
"""What the targets of sequences are: a label each; a number (or several) each; a number (or several) for each of their
steps; or numbers, with the file showing whether each sequence or each step has them."""


def from_labels(labels: list[str] | None, origins: Sequence[str], targets: Targets) -> list[str] | list[float] | None:
    """The targets of files that hold one text for each sequence.

    Args:
        labels: N texts; None where there are no targets.
        origins: Where each came from, for the message.
        targets: What the task learns.

    Returns:
        The labels, or the numbers that they say; None without targets.

    Raises:
        DataError: A label is not a finite number, and the task learns numbers; or it needs a number for each step.
    """
    if labels is None or targets == "labels":
        return labels
    if targets == "steps":
        raise DataError(
            f"{origins[0]} has one target; expected a number for each step. Give a table with one row per step, or "
            "arrays with targets [N, T]."
        )
    return [_number(label, origin) for label, origin in zip(labels, origins, strict=True)]


def _number(label: str, origin: str) -> float:
    try:
        number = float(label)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{origin} has the target {label!r}; expected a finite number. Correct it.")
    return number
