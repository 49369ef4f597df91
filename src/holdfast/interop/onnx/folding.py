"""A graph with everything left out that is known before it runs.

What is computed of the file's constants alone is computed once, here. A branch whose condition follows from sizes that
the file states is taken. Initial states of zeros, which exporters compute from the sizes of the input, are left out,
since a layer begins with zeros by itself. Sizes that contradict one another are refused with the name of the node.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from holdfast.errors import ConversionError, ShapeError
from holdfast.interop.onnx import inlining as onnx_inlining
from holdfast.interop.onnx import loops as onnx_loops
from holdfast.interop.onnx import recurrent as onnx_recurrent
from holdfast.interop.onnx import sizes as onnx_sizes
from holdfast.interop.onnx.arguments import arguments
from holdfast.interop.onnx.graph import Graph, OnnxNode, all_inputs, held, subgraphs
from holdfast.interop.onnx.operators import OPERATORS
from holdfast.interop.onnx.sizes import NOTHING, RULES, Known, Size

_WORK_PER_ELEMENT = 16
_LEAST_WORK = 2**22
"""Folding may touch this many numbers, and :data:`_WORK_PER_ELEMENT` for each one in the file."""
_VIEWS = frozenset({"Expand", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that copy nothing, or seldom."""


class Folded(NamedTuple):
    """A graph that was folded.

    Attributes:
        graph: What is left of it.
        expected: The sizes that inputs must have for it, by name; None for one that may be any.
    """

    graph: Graph
    expected: dict[str, tuple[int | None, ...]]


def fold(graph: Graph) -> Folded:
    """Folds the graph of a file.

    Raises:
        ConversionError: A node takes values that do not go together; the message names it.
    """
    folding = _Folding(graph)
    left = folding.scope(graph, _Scope(), certain=True)
    relied = folding.relied
    expected = {
        name: tuple(size if f"{name}[{place}]" in relied else None for place, size in enumerate(shape))
        for name, shape in graph.shapes.items()
        if name in graph.inputs
    }
    return Folded(left, expected)


class _Folding:
    """Folds the graphs of one file.

    Attributes:
        relied: The dimensions of inputs whose stated size decided something.
    """

    def __init__(self, graph: Graph) -> None:
        self.relied: set[str] = set()
        self._version = graph.version
        self._work = _LEAST_WORK + _WORK_PER_ELEMENT * held(graph)

    def scope(self, graph: Graph, around: _Scope, *, certain: bool) -> Graph:
        """Folds a graph with what is known around it.

        Args:
            graph: The graph.
            around: What is known of the values around it.
            certain: Whether the graph runs whenever the file's does; of one that may never run, nothing is refused.
        """
        scope = around.inside(graph)
        if certain:
            scope.known.update({name: onnx_sizes.of_input(name, sizes) for name, sizes in graph.shapes.items()})
        names = {node.name for node in graph.nodes}
        needed = {*graph.outputs, *(value for node in graph.nodes for value in all_inputs(node))}
        done: list[OnnxNode] = []
        left = list(reversed(graph.nodes))
        while left:
            node = onnx_inlining.expanded(left.pop(), scope.constants)
            branch = self._decided(node, scope) if node.op == "If" else None
            if branch is not None:
                inner = onnx_inlining.inlined(branch, node, scope.values, names)
                names.update(one.name for one in inner.nodes)
                scope.take_in(inner)
                left.extend(reversed(inner.nodes))
                continue
            found = self._outputs(node, scope, certain=certain)
            scope.known.update((name, one) for name, one in zip(node.outputs, found, strict=False) if name)
            values = self._computed(node, found, scope.constants, certain=certain)
            if values is not None:
                scope.constants.update((name, one) for name, one in zip(node.outputs, values, strict=False) if name)
                continue
            layer = self._layer(node, scope, needed) if node.op in ("Loop", "Scan") else None
            if layer is not None:
                names.update(one.name for one in layer.nodes)
                scope.constants.update(layer.constants)
                left.extend(reversed(layer.nodes))
                continue
            node = self._simpler(node, scope)
            inside = {name: self.scope(one, scope, certain=False) for name, one in subgraphs(node).items()}
            done.append(replace(node, attributes={**node.attributes, **inside}) if inside else node)
            scope.made.update((name, node) for name in node.outputs if name)
        used = _used(done, graph.outputs)
        kept = {name: tensor for name, tensor in scope.constants.maps[0].items() if name in used.values}
        return replace(graph, constants=kept, nodes=tuple(used.nodes))

    def _decided(self, node: OnnxNode, scope: _Scope) -> Graph | None:
        """The branch that is taken, if that is known."""
        numbers = scope.of(node.inputs[0]).data if node.inputs else None
        if numbers is None or len(numbers) != 1 or numbers[0].value is None:
            return None
        branch = node.attributes.get("then_branch" if numbers[0].value else "else_branch")
        if not isinstance(branch, Graph) or len(branch.outputs) < len(node.outputs) or branch.inputs:
            return None  # which is refused where the node is built
        self.relied |= numbers[0].relies
        return branch

    def _layer(self, node: OnnxNode, scope: _Scope, needed: set[str]) -> onnx_loops.Replaced | None:
        """The nodes of the recurrent layer that a loop is, if it is one."""
        inside = {name: self.scope(one, scope, certain=False) for name, one in subgraphs(node).items()}
        folded = replace(node, attributes={**node.attributes, **inside})
        return onnx_loops.as_layer(folded, self._version, onnx_loops.Around(scope.of, scope.constants, needed))

    def _outputs(self, node: OnnxNode, scope: _Scope, *, certain: bool) -> Sequence[Known]:
        """What is known of the outputs of a node."""
        rule = RULES.get(node.op)
        if rule is None or not node.inputs:
            return [NOTHING] * len(node.outputs)
        if node.op in onnx_recurrent.KINDS:
            onnx_recurrent.settings(node)
        else:
            arguments(node, self._version)
        try:
            return rule(node, [scope.of(value) for value in node.inputs])
        except ShapeError as error:
            if certain:
                raise ConversionError(f"{node.label} {error}. The file's sizes contradict one another.") from error
            return [NOTHING] * len(node.outputs)

    def _computed(
        self, node: OnnxNode, found: Sequence[Known], constants: Mapping[str, Tensor], *, certain: bool
    ) -> tuple[Tensor, ...] | None:
        """The values of a node that takes constants alone; None for another, or for one that is too much work."""
        if node.op not in RULES or node.op not in OPERATORS or not all(one in constants for one in node.inputs if one):
            return None
        counts = [onnx_sizes.elements(one.shape) for one in found]
        if not counts or None in counts:
            return None
        inputs = [constants[name] if name else None for name in node.inputs]
        work = sum(count for count in counts if count is not None)
        if node.op in ("MatMul", "Gemm"):
            work *= max(one.shape[-1] for one in inputs if one is not None and one.ndim)
        if node.op not in _VIEWS:
            work += sum(one.numel() for one in inputs if one is not None)
        if work > self._work:
            return None
        self._work -= work
        try:
            values = OPERATORS[node.op](*inputs, **arguments(node, self._version))
        except (RuntimeError, IndexError, TypeError, ValueError) as error:
            if certain:
                raise ConversionError(f"{node.label} cannot be computed: {str(error).splitlines()[0]}") from error
            return None
        return values if isinstance(values, tuple) else (values,)

    def _simpler(self, node: OnnxNode, scope: _Scope) -> OnnxNode:
        """A node with fewer inputs that does the same, by what is known of them."""
        known = [scope.of(value) for value in node.inputs]
        if node.op in onnx_recurrent.KINDS:
            states = zip(node.inputs[5:7], known[5:7], strict=True)
            kept = ["" if _is_zero(one) else value for value, one in states]
            return replace(node, inputs=(*node.inputs[:5], *kept, *node.inputs[7:]))
        if node.op == "Reshape" and len(known) == 2:
            product = self._over_last(node, scope)
            if product is not None:
                return product
            target = _kept_sizes(node, *known)
            return node if target is None else _with_constant(node, 1, "shape", target, scope)
        if node.op == "ReverseSequence" and len(known) == 2:
            axis, (x, lengths) = node.attributes.get("time_axis", 0), known
            whole = x.shape is not None and 0 <= axis < len(x.shape) and isinstance(lengths.fill, Size)
            if whole and lengths.fill.same(x.shape[axis]):  # type: ignore[union-attr, index]
                found = OnnxNode(node.name, "Slice", node.inputs[:1], node.outputs, {})
                for place, numbers in enumerate(
                    ({"starts": -1, "ends": -(2**62), "axes": axis, "steps": -1}).items(), 1
                ):
                    found = _with_constant(found, place, numbers[0], [numbers[1]], scope)
                return found
        return node

    def _over_last(self, node: OnnxNode, scope: _Scope) -> OnnxNode | None:
        """A product with a matrix for which a value was made a matrix, and that is brought back to its shape after."""
        product = scope.made.get(node.inputs[0])
        before = scope.made.get(product.inputs[0]) if product is not None and product.op == "MatMul" else None
        if product is None or before is None or before.op != "Reshape" or product.inputs[1] not in scope.constants:
            return None
        x, weight, target = (scope.of(value) for value in (before.inputs[0], product.inputs[1], node.inputs[1]))
        rows = scope.of(before.outputs[0]).shape
        if x.shape is None or rows is None or weight.shape is None or target.data is None or len(weight.shape) != 2:
            return None
        wanted = (*x.shape[:-1], weight.shape[1])
        kept = len(wanted) == len(target.data) and all(a.same(b) for a, b in zip(wanted, target.data, strict=True))
        if len(rows) != 2 or not x.shape or not rows[1].same(x.shape[-1]) or not kept:
            return None
        return OnnxNode(product.name, "MatMul", (before.inputs[0], product.inputs[1]), node.outputs, {})


@dataclass(frozen=True)
class _Scope:
    """What is known within a graph: of its own values, and of those around it.

    Attributes:
        constants: The values that are known.
        known: What is known of values that were come to.
        values: The names of all values.
        made: The nodes of the graph so far, by the values that they give.
    """

    constants: ChainMap[str, Tensor] = field(default_factory=ChainMap)
    known: ChainMap[str, Known] = field(default_factory=ChainMap)
    values: ChainMap[str, None] = field(default_factory=ChainMap)
    made: dict[str, OnnxNode] = field(default_factory=dict)

    def inside(self, graph: Graph) -> _Scope:
        """The scope of a graph within this one."""
        own = _Scope(self.constants.new_child({}), self.known.new_child({}), self.values.new_child({}))
        own.values.update(dict.fromkeys(graph.inputs))
        own.take_in(graph)
        return own

    def take_in(self, graph: Graph) -> None:
        """Adds the values of a graph."""
        self.constants.update(graph.constants)
        self.values.update(dict.fromkeys([*graph.constants, *(one for node in graph.nodes for one in node.outputs)]))

    def of(self, value: str) -> Known:
        """What is known of a value."""
        if value not in self.known and value in self.constants:
            self.known[value] = onnx_sizes.of_constant(self.constants[value])
        return self.known.get(value, NOTHING)


def _with_constant(node: OnnxNode, place: int, name: str, numbers: Sequence[int], scope: _Scope) -> OnnxNode:
    """A node with whole numbers as an input."""
    value = f"{node.name}/{name}"
    while value in scope.values:
        value += "'"
    scope.values[value] = None
    scope.constants[value] = torch.tensor(numbers, dtype=torch.int64)
    return replace(node, inputs=(*node.inputs[:place], value, *node.inputs[place + 1 :]))


def _kept_sizes(node: OnnxNode, x: Known, target: Known) -> list[int] | None:
    """A shape to bring a value to, in numbers: 0 for a size that stays, -1 for one that follows from the others."""
    if x.shape is None or target.data is None or node.attributes.get("allowzero", 0):
        return None
    found = []
    for place, size in enumerate(target.data):
        if size.value == 0 or (place < len(x.shape) and size.same(x.shape[place])):
            found.append(0)
        elif size.value is not None and not size.relies:
            found.append(size.value)
        else:
            found.append(-1)
    return found if found.count(-1) < 2 else None


def _is_zero(known: Known) -> bool:
    return known.fill.value == 0 if isinstance(known.fill, Size) else known.fill == 0


class _Used(NamedTuple):
    nodes: list[OnnxNode]
    values: set[str]


def _used(nodes: Sequence[OnnxNode], outputs: Sequence[str]) -> _Used:
    """The nodes whose values somebody takes, and all values that are taken."""
    values, kept = set(outputs), []
    for node in reversed(nodes):
        if values & set(node.outputs):
            values.update(all_inputs(node))
            kept.append(node)
    return _Used(kept[::-1], values)
