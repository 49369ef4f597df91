"""The vocabulary of labels, fitted on the training split."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from holdfast.data.saved import Json, parsed
from holdfast.errors import DataError, HoldfastWarning


@dataclass(frozen=True)
class Labels:
    """The vocabulary of labels.

    Attributes:
        classes: The labels; a label's position is its class.
        separator: What stands between the labels of one sequence; empty where each has exactly one.
    """

    classes: list[str]
    separator: str = ""

    @classmethod
    def fit(cls, labels: Sequence[str], separator: str = "") -> Labels:
        """The different labels, sorted; by value when all are integers ("9" before "10").

        Args:
            labels: Of each sequence.
            separator: As the attribute.

        Raises:
            DataError: There is none, or all are alike, so that there is nothing to tell apart.
        """
        found = sorted({one for label in labels for one in cls([], separator).of(label)})
        if not found:
            raise DataError("No training sequence has a label; expected at least two labels.")
        if len({frozenset(cls([], separator).of(label)) for label in labels}) < 2:
            raise DataError(
                f"All training examples have the label {separator.join(found)!r}; expected at least two labels to tell "
                "apart. Check where the labels are, and whether data.limit leaves some out."
            )
        _warn_of_blanks(found)
        if all(re.fullmatch(r"[+-]?[0-9]+", label) for label in found):
            found.sort(key=int)
        return cls(found, separator)

    def __len__(self) -> int:
        """The number of classes."""
        return len(self.classes)

    def of(self, label: str) -> list[str]:
        """The labels of one sequence."""
        if not self.separator:
            return [label]
        return [one for part in label.split(self.separator) if (one := part.strip())]

    def encode(self, labels: Sequence[str], origins: Sequence[str] | None = None) -> Tensor:
        """The class of each label.

        Args:
            labels: N labels.
            origins: Where each came from, for the message.

        Returns:
            [N], int64; with a separator [N, classes], float32: 1 for the labels that a sequence has, else 0.

        Raises:
            DataError: A label is not in the vocabulary.
        """
        places = {label: index for index, label in enumerate(self.classes)}
        parts = [self.of(label) for label in labels]
        for index, label in ((index, one) for index, part in enumerate(parts) for one in part):
            if label not in places:
                where = origins[index] if origins is not None else f"Sequence {index}"
                raise DataError(
                    f"{where} has the label {label!r}, which no training sequence has; known labels: "
                    f"{', '.join(self.classes)}. Correct the label, or train with examples of it."
                )
        if not self.separator:
            return torch.tensor([places[label] for label in labels], dtype=torch.int64)
        found = torch.zeros(len(labels), len(self))
        for row, part in zip(found, parts, strict=True):
            row[[places[label] for label in part]] = 1
        return found

    def to_dict(self) -> Json:
        """Plain JSON that ``from_dict`` reads."""
        return {"classes": list(self.classes), "separator": self.separator}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Labels:
        """The labels that ``to_dict`` wrote.

        Raises:
            ModelFileError: It is not what ``to_dict`` writes.
        """
        return parsed(
            "labels",
            data,
            lambda: cls([str(label) for label in data["classes"]], str(data.get("separator", ""))),
        )


def _warn_of_blanks(labels: Sequence[str]) -> None:
    """Warns of labels that a person cannot tell apart."""
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(" ".join(label.split()), []).append(label)
    for several in alike.values():
        if len(several) > 1:
            warnings.warn(
                f"The labels {', '.join(map(repr, several))} differ by blanks alone, and are learned as different "
                "ones. Mend them if they mean the same.",
                HoldfastWarning,
                stacklevel=2,
            )
