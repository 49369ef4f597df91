"""The one description of a model: what it computes, as a chain of parts, each the input of the next one.

It is plain data, and no torch is needed. Every model file holds one. What reads a model without its task (the runtime,
streams, the converter, the export to ONNX) reads its chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

from holdfast.errors import OptionError
from holdfast.layers.chain.document import to_part, to_value
from holdfast.layers.chain.own import Own
from holdfast.layers.chain.parts import Part, Recurrent, Shapes, check_widths

Kind = TypeVar("Kind", bound=Part)


@dataclass(frozen=True)
class Chain:
    """A model.

    Attributes:
        parts: In the order they run.
        labels: What the values of the output are the scores of, or the names of the targets; empty where they have
            none.

    Raises:
        OptionError: The parts do not fit one another, or two have a tensor of one name.
    """

    parts: tuple[Part, ...]
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self._sizes[1]:
            raise OptionError("A chain has no part with a size; expected one at least.")
        if self.labels and len(self.labels) != self.output_size:
            raise OptionError(f"There are {len(self.labels)} labels for {self.output_size} scores.")
        names = [name for part in self.parts for name in part.tensor_shapes()]
        if len(set(names)) < len(names):
            raise OptionError("Two parts of a chain have a tensor of one name.")

    @cached_property
    def _sizes(self) -> tuple[int | None, int | None]:
        return check_widths([*self.parts])

    @property
    def input_size(self) -> int | None:
        """Values in a step of the input; None for a chain that reads ids."""
        return self._sizes[0]

    @property
    def output_size(self) -> int:
        """Values in a step of the output."""
        return self._sizes[1] or 0

    @property
    def recurrent(self) -> Recurrent:
        """The recurrent layers.

        Raises:
            OptionError: The chain has none, or several parts of them.
        """
        layers = [part for part in self.parts if isinstance(part, Recurrent)]
        self.refuse_own_parts()
        if len(layers) != 1:
            raise OptionError(f"The chain has {len(layers)} parts with recurrent layers; expected one.")
        return layers[0]

    def refuse_own_parts(self) -> None:
        """Refuses a model that only a program with code of their own can run.

        Raises:
            OptionError: The chain has a part of your own.
        """
        if own := self.find(Own):
            raise OptionError(
                f"The model has the {own.kind} {own.part_name!r}, which is no part of Holdfast: only a program that "
                "registers it can run the model, with holdfast.Predictor."
            )

    def find(self, kind: type[Kind]) -> Kind | None:
        """The first part of a class; None without one.

        Args:
            kind: The class.
        """
        return next((part for part in self.parts if isinstance(part, kind)), None)

    def tensor_shapes(self) -> Shapes:
        """Every tensor of the model file, with its shape."""
        return {name: shape for part in self.parts for name, shape in part.tensor_shapes().items()}

    def to_document(self) -> dict[str, Any]:
        """Values that JSON has, for :meth:`from_document`.

        Raises:
            OptionError: An activation is a callable, which no file can hold.
        """
        return {"parts": to_value(self.parts), "labels": list(self.labels)}

    @classmethod
    def from_document(cls, document: Any) -> Chain:
        """The chain that :meth:`to_document` wrote.

        Args:
            document: What ``to_document`` returned, such as JSON of a model file.

        Raises:
            OptionError: It is not what ``to_document`` writes; the message says where.
            ModelFileError: The same, of a scaling.
        """
        if not isinstance(document, Mapping) or document.keys() != {"parts", "labels"}:
            raise OptionError("The chain is not a table of parts and labels.")
        parts, labels = document["parts"], document["labels"]
        if not isinstance(parts, list) or not isinstance(labels, list) or not all(type(x) is str for x in labels):
            raise OptionError("The chain is not a list of parts with a list of labels, which are texts.")
        return cls(tuple(map(to_part, parts)), tuple(labels))

    def __str__(self) -> str:
        return " -> ".join(str(part) for part in self.parts if part.tensor_shapes())


class HasChain(Protocol):
    """A module that says what it computes."""

    def chain(self) -> Chain:
        """What the module computes in evaluation mode; tensors have the names of its ``state_dict``."""
