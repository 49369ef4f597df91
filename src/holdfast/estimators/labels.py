"""Labels of a program's own type, and the texts that a model file has for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt

from holdfast.errors import DataError, OptionError

_TRUTH = {"True": True, "False": False}


class LabelTexts:
    """The labels of a program and their texts.

    Attributes:
        separator: The text between the labels of one example in the texts; empty where each has exactly one label.
        classes: The labels, sorted, in the program's type: integers, floats, truth values or texts.
        texts: The text of each, as the labels of a task are.
    """

    separator: ClassVar[str] = ""

    def __init__(self, classes: npt.NDArray[Any]) -> None:
        """Gives each label its text.

        Raises:
            DataError: Two labels have the same text, such as 1 and "1".
        """
        self.classes, self.texts = classes, [str(label) for label in classes.tolist()]
        self._places = {text: place for place, text in enumerate(self.texts)}
        if len(self._places) < len(self.texts):
            raise DataError(f"y has labels that are written alike: {', '.join(sorted(self.texts))}. Rename them.")

    @classmethod
    def of(cls, y: npt.NDArray[Any]) -> Self:
        """The labels that occur in an array."""
        return cls(np.unique(y))

    @classmethod
    def from_texts(cls, texts: Sequence[str], kind: str) -> Self:
        """The labels of a model file.

        Args:
            texts: Their texts.
            kind: The NumPy type of the labels in the program that trained the model; ``str`` where none is known.
        """
        if kind == "bool":
            return cls(np.unique(np.array([_TRUTH[text] for text in texts])))
        dtype = np.dtype(object if kind == "object" else kind)
        return cls(np.unique(np.array(list(texts), dtype=None if dtype.kind in "OU" else dtype)).astype(dtype))

    @property
    def kind(self) -> str:
        """The NumPy type of the labels, for :meth:`from_texts`."""
        return "str" if self.classes.dtype.kind == "U" else self.classes.dtype.name

    def predictions(self, probabilities: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        """The most likely label of each row, [N], from probabilities [N, classes]."""
        return cast("npt.NDArray[Any]", self.classes[probabilities.argmax(1)])

    def encode(self, y: npt.NDArray[Any]) -> list[str]:
        """The text of each label [N].

        Raises:
            DataError: A label does not occur in the training data.
        """
        texts = [str(label) for label in y.tolist()]
        for index, text in enumerate(texts):
            if text not in self._places:
                raise DataError(
                    f"y[{index}] is {text}, which no training example has; known labels: {', '.join(self.texts)}."
                )
        return texts

    def decode(self, texts: Sequence[str]) -> npt.NDArray[Any]:
        """The labels [N] of texts, in the program's type."""
        return self.classes[[self._places[text] for text in texts]]

    def order(self, texts: Sequence[str]) -> list[int]:
        """Where each of ``classes`` is among the texts of a task, which may be sorted differently."""
        places = {text: place for place, text in enumerate(texts)}
        return [places[text] for text in self.texts]

    def weights(self, class_weight: Any) -> Any:
        """``class_weight`` as a recipe has it.

        Args:
            class_weight: None, ``"balanced"``, or a mapping from labels to weights.

        Raises:
            OptionError: The mapping has a label that does not occur in the training data.
        """
        if not isinstance(class_weight, Mapping):
            return class_weight
        for label in class_weight:
            if str(label) not in self._places:
                raise OptionError(
                    f"class_weight has the label {label!r}, which no training example has; known labels: "
                    f"{', '.join(self.texts)}."
                )
        return {str(label): float(weight) for label, weight in class_weight.items()}


class LabelSets(LabelTexts):
    """The labels of examples that have any number of them: the columns of an array [N, classes] of zeros and ones.

    Attributes:
        dtype: The type of the zeros and ones.
    """

    separator = "|"

    def __init__(self, classes: npt.NDArray[Any], dtype: str = "int64") -> None:
        super().__init__(classes)
        self.dtype = np.dtype(dtype)

    @classmethod
    def of(cls, y: npt.NDArray[Any]) -> Self:
        """The columns of an array.

        Raises:
            DataError: A column has no one.
        """
        empty = np.flatnonzero(~y.any(0))
        if len(empty):
            raise DataError(f"Column {empty[0]} of y is 0 in all training examples; expected it to be 1 in some.")
        return cls(np.arange(y.shape[1]), y.dtype.name)

    @property
    def kind(self) -> str:
        """The type of the zeros and ones."""
        return self.dtype.name

    def predictions(self, probabilities: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
        """Ones where a probability is 1/2 or more, [N, classes]."""
        return (probabilities >= 0.5).astype(self.dtype)

    def encode(self, y: npt.NDArray[Any]) -> list[str]:
        """The labels of each row of zeros and ones [N, classes], with the separator between them.

        Raises:
            DataError: There is another number of columns than in the training data.
        """
        if y.ndim != 2 or y.shape[1] != len(self.texts):
            raise DataError(f"y has shape {y.shape}; expected ({len(y)}, {len(self.texts)}), a column for each label.")
        return [self.separator.join(self.texts[k] for k in np.flatnonzero(row)) for row in y]
