"""What is known within a graph while it is folded."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from holdfast.interop.onnx.graph import Graph, OnnxNode
from holdfast.interop.onnx.sizes import NOTHING, Known, of_constant


@dataclass(frozen=True)
class Scope:
    """What is known of the values of a graph and of the graphs around it.

    Attributes:
        constants: The values that are known.
        known: What is known of other values so far.
        values: The names of all values.
        makers: The nodes of the graph so far, by the values that they give.
    """

    constants: ChainMap[str, Tensor] = field(default_factory=ChainMap)
    known: ChainMap[str, Known] = field(default_factory=ChainMap)
    values: ChainMap[str, None] = field(default_factory=ChainMap)
    makers: dict[str, OnnxNode] = field(default_factory=dict)

    def inside(self, graph: Graph) -> Scope:
        """The scope of a graph inside this one."""
        scope = Scope(self.constants.new_child({}), self.known.new_child({}), self.values.new_child({}))
        scope.values.update(dict.fromkeys(graph.inputs))
        scope.add_values(graph)
        return scope

    def add_values(self, graph: Graph) -> None:
        """Adds the values of a graph."""
        self.constants.update(graph.constants)
        self.values.update(dict.fromkeys([*graph.constants, *(name for node in graph.nodes for name in node.outputs)]))

    def known_of(self, value: str) -> Known:
        """What is known of a value."""
        if value not in self.known and value in self.constants:
            self.known[value] = of_constant(self.constants[value])
        return self.known.get(value, NOTHING)

    def with_constant(self, node: OnnxNode, place: int, name: str, numbers: Sequence[int]) -> OnnxNode:
        """The node with a new constant of whole numbers as the input at that place."""
        value = f"{node.name}/{name}"
        while value in self.values:
            value += "'"
        self.values[value] = None
        self.constants[value] = torch.tensor(numbers, dtype=torch.int64)
        return replace(node, inputs=(*node.inputs[:place], value, *node.inputs[place + 1 :]))
