"""Parts that a person registered: no file holds what they compute, only that they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.layers.chain.parts import Part, Shapes


@dataclass(frozen=True)
class OwnTensor(Part):
    """A tensor of a part of your own.

    Attributes:
        name: In the model file.
        sizes: Its shape.
    """

    name: str
    sizes: tuple[int, ...]

    def own_shapes(self) -> Shapes:
        """The tensor."""
        return {self.name: self.sizes}


@dataclass(frozen=True)
class Own(Part):
    """Recurrent layers with a cell of your own, or a head of your own (:mod:`holdfast.register`).

    Attributes:
        kind: What it is.
        part_name: The name under which it is registered.
        inputs: Values in a step of its input.
        outputs: Values in a step of its output.
        tensors: Its parameters and buffers.
    """

    kind: Literal["cell", "head"]
    part_name: str
    inputs: int
    outputs: int
    tensors: tuple[OwnTensor, ...]

    @property
    def input_size(self) -> int:
        """Values in a step of its input."""
        return self.inputs

    @property
    def output_size(self) -> int:
        """Values in a step of its output."""
        return self.outputs

    @property
    def inner(self) -> tuple[Part, ...]:
        """The tensors."""
        return self.tensors

    def __str__(self) -> str:
        return f"{self.part_name}({self.inputs}, {self.outputs})"
