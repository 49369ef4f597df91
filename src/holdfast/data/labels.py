"""The vocabulary of labels, fitted on the training split."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from holdfast.data.saved import Saved
from holdfast.errors import DataError, HoldfastWarning


class Labels(Saved):
    """The vocabulary of labels.

    Attributes:
        classes: The labels; the position of a label is its class.
        separator: The text between the labels of one sequence; empty where each has exactly one.
    """

    classes: list[str]
    separator: str = ""

    @classmethod
    def fit(cls, labels: Iterable[str], separator: str = "") -> Labels:
        """The different labels, sorted; by value when all are integers ("9" before "10").

        Args:
            labels: One text per sequence.
            separator: As the attribute.

        Raises:
            DataError: There is no label, or all sequences have the same.
        """
        combinations = {frozenset(_parts(label, separator)) for label in labels}
        classes = sorted(set().union(*combinations))
        if not classes:
            raise DataError("No training sequence has a label; expected at least two labels.")
        if len(combinations) < 2:
            raise DataError(
                f"All training examples have the label {separator.join(classes)!r}; expected at least two labels to "
                "tell apart. Check where the labels are, and whether data.limit leaves some out."
            )
        _warn_of_blanks(classes)
        if all(re.fullmatch(r"[+-]?[0-9]+", label) for label in classes):
            classes.sort(key=int)
        return cls(classes=classes, separator=separator)

    def __len__(self) -> int:
        """The number of classes."""
        return len(self.classes)

    def of(self, label: str) -> list[str]:
        """The labels of one sequence.

        Args:
            label: The label as it was read, with the separator where a sequence may have several.
        """
        return _parts(label, self.separator)

    def encode(self, labels: Sequence[str], origins: Sequence[str] | None = None) -> Tensor:
        """The class of each label.

        Args:
            labels: N labels.
            origins: Where each came from, for the message.

        Returns:
            [N], int64; with a separator [N, classes], float32: 1 for each label of the sequence, else 0.

        Raises:
            DataError: A label is not in the vocabulary.
        """
        places = {label: index for index, label in enumerate(self.classes)}
        for index, label in ((index, label) for index, text in enumerate(labels) for label in self.of(text)):
            if label not in places:
                where = origins[index] if origins is not None else f"Sequence {index}"
                raise DataError(
                    f"{where} has the label {label!r}, which no training sequence has; known labels: "
                    f"{', '.join(self.classes)}. Correct the label, or train with examples of it."
                )
        if not self.separator:
            return torch.tensor([places[label] for label in labels], dtype=torch.int64)
        encoded = torch.zeros(len(labels), len(self))
        for row, text in zip(encoded, labels, strict=True):
            row[[places[label] for label in self.of(text)]] = 1
        return encoded


class Labelled(Saved):
    """Base of the encoders of labelled examples.

    Attributes:
        labels: The vocabulary of labels.
    """

    labels: Labels


def _parts(label: str, separator: str) -> list[str]:
    if not separator:
        return [label]
    return [stripped for part in label.split(separator) if (stripped := part.strip())]


def _warn_of_blanks(labels: Sequence[str]) -> None:
    """Warns about labels that differ only in blanks."""
    spellings: dict[str, list[str]] = {}
    for label in labels:
        spellings.setdefault(" ".join(label.split()), []).append(label)
    for alike in spellings.values():
        if len(alike) > 1:
            warnings.warn(
                f"The labels {', '.join(map(repr, alike))} differ only in blanks and are learned as different labels. "
                "Correct them if they mean the same.",
                HoldfastWarning,
                stacklevel=2,
            )
