"""An ONNX model as plain data, read from a file whose protocol buffer has been checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop.onnx import protobuf as onnx_protobuf

MIN_VERSION = 7
"""The first version of the operators that broadcast as NumPy does."""
MAX_NODES = 20_000
MAX_DEPTH = 12
"""The largest depth of graphs within graphs."""
SUBGRAPHS = {"If": ("then_branch", "else_branch"), "Loop": ("body",), "Scan": ("body",)}
"""The operators with graphs inside, and the attributes that hold the graphs."""
_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class OnnxNode:
    """A node of a graph.

    Attributes:
        name: The name; no two nodes of a graph have the same.
        op: The operator.
        inputs: The names of the values that it takes; ``""`` for one that is left out.
        outputs: The names of the values that it gives.
        attributes: The attributes that are set: numbers, strings, lists of them, tensors, and graphs.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def label(self) -> str:
        """The name of the node in messages."""
        return f"The node {self.name!r} ({self.op})"


@dataclass(frozen=True)
class Graph:
    """The graph of a file, or a graph inside a node: a branch of an ``If``, the body of a ``Loop`` or ``Scan``.

    Attributes:
        version: The version of the operators.
        inputs: The names of the values that it is called with. A graph inside a node also uses the values around it.
        outputs: The names of the values that it gives.
        constants: The values that the file holds, by name.
        nodes: The nodes in the order in which they run.
        shapes: The sizes that the file states for inputs, by name: a number, or None for an open size.
    """

    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: dict[str, Tensor]
    nodes: tuple[OnnxNode, ...]
    shapes: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)


def outer_values(graph: Graph) -> list[str]:
    """The values from around a graph that the graph uses, each once."""
    inner = {*graph.inputs, *graph.constants, *(value for node in graph.nodes for value in node.outputs)}
    used = dict.fromkeys(value for node in graph.nodes for value in all_inputs(node))
    return [value for value in [*used, *dict.fromkeys(graph.outputs)] if value and value not in inner]


def all_inputs(node: OnnxNode) -> list[str]:
    """The values that a node takes, and the outer values that the graphs inside it use."""
    return [*node.inputs, *(value for graph in subgraphs(node).values() for value in outer_values(graph))]


def subgraphs(node: OnnxNode) -> dict[str, Graph]:
    """The graphs inside a node, by the names of the attributes."""
    return {name: value for name, value in node.attributes.items() if isinstance(value, Graph)}


def count_elements(graph: Graph) -> int:
    """The number of elements of all constants in a graph and in the graphs inside it."""
    inner = [subgraph for node in graph.nodes for subgraph in subgraphs(node).values()]
    return sum(tensor.numel() for tensor in graph.constants.values()) + sum(map(count_elements, inner))


def read_graph(path: Path) -> Graph:
    """Reads an ONNX file.

    Raises:
        ModelFileError: The file does not exist, is not an ONNX model, is damaged, or is far too large.
        ConversionError: The file uses a part of ONNX that has no counterpart here.
        MissingLibraryError: The library ``onnx`` is not installed.
    """
    try:
        model = onnx_protobuf.load(path)
        if model.functions:
            raise ConversionError(
                f"{path} has functions of its own, such as {model.functions[0].name!r}; expected operators of ONNX "
                "alone. Replace them by what they stand for: onnx.inliner.inline_local_functions."
            )
        return _GraphReader(path, _version(model, path)).graph(model.graph)
    except UnicodeDecodeError as error:  # of an attribute, which protobuf stores as bytes
        raise ModelFileError(f"{path} has text that is not UTF-8. The file is damaged.") from error


class _GraphReader:
    """Reads the graphs of a file, and counts their nodes."""

    def __init__(self, path: Path, version: int) -> None:
        self._path, self._version, self._count = path, version, 0

    def graph(self, proto: Any, depth: int = 0) -> Graph:
        """Reads a ``GraphProto``."""
        path = self._path
        if depth > MAX_DEPTH:
            raise ModelFileError(f"{path} has graphs within graphs, more than {MAX_DEPTH} deep. Refused.")
        if proto.sparse_initializer:
            raise ConversionError(f"{path} has sparse tensors; expected dense ones. Write it with dense tensors.")
        self._count += len(proto.node)
        if self._count > MAX_NODES:
            raise ModelFileError(f"{path} has {self._count:,} nodes; at most {MAX_NODES:,} are read. Refused.")
        constants = {}
        for tensor in proto.initializer:
            if not tensor.name or tensor.name in constants:
                raise ModelFileError(f"{path} has two tensors called {tensor.name!r}; expected a name for each.")
            constants[tensor.name] = onnx_protobuf.tensor(tensor, path)
        nodes = []
        names: set[str] = set()
        for number, part in enumerate(proto.node):
            name = part.name if part.name and part.name not in names else f"{part.op_type}_{number}"
            names.add(name)
            node = self._node(part, name, depth)
            if node.op == "Constant":
                value = _constant(node)
                constants[node.outputs[0]] = value
            else:
                nodes.append(node)
        inputs = tuple(value.name for value in proto.input if value.name not in constants)
        shapes = {value.name: shape for value in proto.input if (shape := _shape(value.type)) is not None}
        outputs = tuple(value.name for value in proto.output)
        return Graph(self._version, inputs, outputs, constants, tuple(nodes), shapes)

    def _node(self, proto: Any, name: str, depth: int) -> OnnxNode:
        node = OnnxNode(name, proto.op_type, tuple(proto.input), tuple(proto.output), {})
        if proto.domain not in _DOMAINS:
            raise ConversionError(
                f"{node.label} is an operator of {proto.domain!r}; expected operators of ONNX alone. Export the model "
                "without it."
            )
        return replace(node, attributes={part.name: self._value(part, node, depth) for part in proto.attribute})

    def _value(self, attribute: Any, node: OnnxNode, depth: int) -> Any:
        """The value of an attribute."""
        kinds = onnx_protobuf.library().AttributeProto
        if attribute.ref_attr_name:
            raise ModelFileError(
                f"{node.label} takes {attribute.name!r} of a function; there is none. The file is damaged."
            )
        plain: dict[int, Callable[[], Any]] = {
            kinds.INT: lambda: int(attribute.i),
            kinds.FLOAT: lambda: float(attribute.f),
            kinds.STRING: lambda: attribute.s.decode(),
            kinds.INTS: lambda: [int(number) for number in attribute.ints],
            kinds.FLOATS: lambda: [float(number) for number in attribute.floats],
            kinds.STRINGS: lambda: [text.decode() for text in attribute.strings],
            kinds.TENSOR: lambda: onnx_protobuf.tensor(attribute.t, self._path),
        }
        if attribute.type in plain:
            return plain[attribute.type]()
        if attribute.type == kinds.GRAPH and attribute.name in SUBGRAPHS.get(node.op, ()):
            return self.graph(attribute.g, depth + 1)
        raise ConversionError(
            f"{node.label} has an attribute {attribute.name!r} that is a graph, sparse or without a type; expected "
            "numbers, strings or a tensor. Only If, Loop and Scan have graphs inside."
        )


def _shape(kind: Any) -> tuple[int | None, ...] | None:
    """The sizes that a file states, None for a size below 1, which is open; None if it states no shape."""
    if not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    return tuple(int(size.dim_value) if size.dim_value > 0 else None for size in kind.tensor_type.shape.dim)


def _version(model: Any, path: Path) -> int:
    """The version of the operators that the file asks for."""
    versions = [entry.version for entry in model.opset_import if entry.domain in _DOMAINS]
    newest = onnx_protobuf.library().defs.onnx_opset_version()
    if len(versions) != 1 or not MIN_VERSION <= versions[0] <= newest:
        raise ConversionError(
            f"{path} asks for version {', '.join(map(str, versions)) or 'none'} of ONNX's operators; expected one from "
            f"{MIN_VERSION} to {newest}. Convert it by onnx.version_converter, or upgrade onnx."
        )
    return int(versions[0])


def _constant(node: OnnxNode) -> Tensor:
    """The value of a node ``Constant``."""
    if len(node.outputs) != 1 or node.inputs:
        raise ModelFileError(f"{node.label} takes {node.inputs} and gives {node.outputs}; expected one output alone.")
    dtypes = {"value_float": torch.float32, "value_floats": torch.float32}
    dtypes |= {"value_int": torch.int64, "value_ints": torch.int64}
    if len(node.attributes) == 1:
        ((name, value),) = node.attributes.items()
        if name == "value" and isinstance(value, Tensor):
            return value
        if name in dtypes and isinstance(value, int | float | list):
            return torch.tensor(value, dtype=dtypes[name])
    raise ConversionError(
        f"{node.label} has {', '.join(node.attributes) or 'no attribute'}; expected one number, list or tensor of "
        "numbers."
    )
