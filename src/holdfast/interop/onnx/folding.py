"""Removes everything from a graph that is known before it runs.

Values that depend on constants alone are computed once, here. An ``If`` is replaced by one of its branches where the
condition follows from sizes that the file states. Exporters compute initial states of zeros from the sizes of the
input; these are left out, since a layer starts from zeros anyway. Sizes that contradict one another are refused with
the name of the node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from holdfast.errors import ConversionError, ShapeError
from holdfast.interop.onnx import recurrent as onnx_recurrent
from holdfast.interop.onnx.arguments import arguments
from holdfast.interop.onnx.graph import Graph, OnnxNode, all_inputs, count_elements, subgraphs
from holdfast.interop.onnx.inlining import expand_constant_of_shape, inline
from holdfast.interop.onnx.loops import as_layer
from holdfast.interop.onnx.node_rewrites import simplify
from holdfast.interop.onnx.operators import OPERATORS
from holdfast.interop.onnx.scope import Scope
from holdfast.interop.onnx.sizes import NOTHING, RULES, Known, elements, of_input

_WORK_PER_ELEMENT = 16
_MIN_WORK = 2**22
"""Folding may touch this many numbers, and :data:`_WORK_PER_ELEMENT` for each number in the file."""
_VIEWS = frozenset({"Expand", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that copy nothing, or rarely do."""


def fold(graph: Graph) -> tuple[Graph, dict[str, tuple[int | None, ...]]]:
    """Folds the graph of a file.

    Returns:
        The remaining graph; and the sizes that its inputs must have, by name, None for a size that does not matter.

    Raises:
        ConversionError: A node takes values that do not fit together; the message names the node.
    """
    folder = _Folder(graph)
    remaining = folder.fold(graph, Scope(), certain=True)
    expected = {
        name: tuple(size if f"{name}[{place}]" in folder.relied else None for place, size in enumerate(shape))
        for name, shape in graph.shapes.items()
        if name in graph.inputs
    }
    return remaining, expected


class _Folder:
    """Folds the graphs of one file.

    Attributes:
        relied: The dimensions of inputs whose stated size decided which branch is taken.
    """

    def __init__(self, graph: Graph) -> None:
        self.relied: set[str] = set()
        self._version = graph.version
        self._work = _MIN_WORK + _WORK_PER_ELEMENT * count_elements(graph)

    def fold(self, graph: Graph, outer: Scope, *, certain: bool) -> Graph:
        """Folds one graph.

        Args:
            graph: The graph.
            outer: The scope around the graph.
            certain: Whether the graph runs whenever the file's graph does. Nothing is refused in any other graph.
        """
        scope = outer.inside(graph)
        if certain:
            scope.known.update({name: of_input(name, sizes) for name, sizes in graph.shapes.items()})
        names = {node.name for node in graph.nodes}
        needed = {*graph.outputs, *(value for node in graph.nodes for value in all_inputs(node))}
        folded: list[OnnxNode] = []
        pending = list(reversed(graph.nodes))
        while pending:
            node = expand_constant_of_shape(pending.pop(), scope.constants)
            branch = self._decided_branch(node, scope) if node.op == "If" else None
            if branch is not None:
                inlined = inline(branch, node, scope.values, names)
                names.update(inner.name for inner in inlined.nodes)
                scope.add_values(inlined)
                pending.extend(reversed(inlined.nodes))
                continue
            known = self._known_outputs(node, scope, certain=certain)
            scope.known.update((name, output) for name, output in zip(node.outputs, known, strict=False) if name)
            values = self._computed(node, known, scope.constants, certain=certain)
            if values is not None:
                scope.constants.update((name, value) for name, value in zip(node.outputs, values, strict=False) if name)
                continue
            is_loop = node.op in ("Loop", "Scan")
            layer = as_layer(self._with_folded_graphs(node, scope), self._version, scope, needed) if is_loop else None
            if layer is not None:
                names.update(inner.name for inner in layer.nodes)
                scope.constants.update(layer.constants)
                pending.extend(reversed(layer.nodes))
                continue
            node = self._with_folded_graphs(simplify(node, scope), scope)
            folded.append(node)
            scope.makers.update((name, node) for name in node.outputs if name)
        nodes, used = _used(folded, graph.outputs)
        constants = {name: tensor for name, tensor in scope.constants.maps[0].items() if name in used}
        return replace(graph, constants=constants, nodes=tuple(nodes))

    def _with_folded_graphs(self, node: OnnxNode, scope: Scope) -> OnnxNode:
        inside = {name: self.fold(graph, scope, certain=False) for name, graph in subgraphs(node).items()}
        return replace(node, attributes={**node.attributes, **inside}) if inside else node

    def _decided_branch(self, node: OnnxNode, scope: Scope) -> Graph | None:
        """The branch that an If takes; None if it is unknown."""
        numbers = scope.known_of(node.inputs[0]).data if node.inputs else None
        if numbers is None or len(numbers) != 1 or numbers[0].value is None:
            return None
        branch = node.attributes.get("then_branch" if numbers[0].value else "else_branch")
        if not isinstance(branch, Graph) or len(branch.outputs) < len(node.outputs) or branch.inputs:
            return None  # building refuses the node
        self.relied |= numbers[0].relies
        return branch

    def _known_outputs(self, node: OnnxNode, scope: Scope, *, certain: bool) -> Sequence[Known]:
        """What is known of the outputs of a node."""
        rule = RULES.get(node.op)
        if rule is None or not node.inputs:
            return [NOTHING] * len(node.outputs)
        if node.op in onnx_recurrent.KINDS:
            onnx_recurrent.settings(node)
        else:
            arguments(node, self._version)
        try:
            return rule(node, [scope.known_of(value) for value in node.inputs])
        except ShapeError as error:
            if certain:
                raise ConversionError(f"{node.label} {error}. The file's sizes contradict one another.") from error
            return [NOTHING] * len(node.outputs)

    def _computed(
        self, node: OnnxNode, outputs: Sequence[Known], constants: Mapping[str, Tensor], *, certain: bool
    ) -> tuple[Tensor, ...] | None:
        """The values of a node whose inputs are all constants; None for another node, or if it is too much work."""
        if node.op not in RULES or node.op not in OPERATORS:
            return None
        counts = [elements(output.shape) for output in outputs]
        if not all(name in constants for name in node.inputs if name) or not counts or None in counts:
            return None
        inputs = [constants[name] if name else None for name in node.inputs]
        tensors = [tensor for tensor in inputs if tensor is not None]
        work = sum(count for count in counts if count is not None)
        if node.op in ("MatMul", "Gemm"):
            work *= max(tensor.shape[-1] for tensor in tensors if tensor.ndim)
        if node.op not in _VIEWS:
            work += sum(tensor.numel() for tensor in tensors)
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


def _used(nodes: Sequence[OnnxNode], outputs: Sequence[str]) -> tuple[list[OnnxNode], set[str]]:
    """The nodes on which the outputs depend, and all values that they use."""
    values, used = set(outputs), []
    for node in reversed(nodes):
        if values & set(node.outputs):
            values.update(all_inputs(node))
            used.append(node)
    return used[::-1], values
