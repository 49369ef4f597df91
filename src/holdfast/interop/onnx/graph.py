"""An ONNX model as plain data: what is left of a file when its protobuf has been checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop.onnx import protobuf as onnx_protobuf

OLDEST = 7
"""The version of the operators from which on they broadcast as NumPy does."""
MAX_NODES = 20_000
MAX_DEPTH = 12
"""Graphs within graphs."""
SUBGRAPHS = {"If": ("then_branch", "else_branch"), "Loop": ("body",), "Scan": ("body",)}
"""The operators that have graphs inside, and the attributes that these are."""
_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class OnnxNode:
    """A node of a graph.

    Attributes:
        name: Its name; no two nodes have the same.
        op: Its operator.
        inputs: The names of the values it takes; ``""`` for one left out.
        outputs: Of those it gives.
        attributes: Its attributes that are set: numbers, strings, lists of them, tensors, and graphs.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"The node {self.name!r} ({self.op})"


@dataclass(frozen=True)
class Graph:
    """A graph: that of a file, or one inside a node (a branch of an ``If``, the body of a ``Loop`` or ``Scan``).

    Attributes:
        version: Of the operators.
        inputs: The names of the values that it is called with. A graph inside a node also uses the values around it.
        outputs: Of those it gives.
        constants: The values that the file holds, by name.
        nodes: The nodes in the order they run.
        shapes: The sizes that the file states for inputs, by name: a number, or None for a size that is left open.
    """

    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: dict[str, Tensor]
    nodes: tuple[OnnxNode, ...]
    shapes: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)


def outer_values(graph: Graph) -> list[str]:
    """The values from around a graph that it uses, each once."""
    own = {*graph.inputs, *graph.constants, *(value for node in graph.nodes for value in node.outputs)}
    used = dict.fromkeys(value for node in graph.nodes for value in all_inputs(node))
    return [value for value in [*used, *dict.fromkeys(graph.outputs)] if value and value not in own]


def all_inputs(node: OnnxNode) -> list[str]:
    """The values that a node takes, with those that the graphs inside it use."""
    inner = [value for one in subgraphs(node).values() for value in outer_values(one)]
    return [*node.inputs, *inner]


def subgraphs(node: OnnxNode) -> dict[str, Graph]:
    """The graphs inside a node, by the names of its attributes."""
    return {name: value for name, value in node.attributes.items() if isinstance(value, Graph)}


def held(graph: Graph) -> int:
    """How many numbers a graph and those inside it hold."""
    inner = [one for node in graph.nodes for one in subgraphs(node).values()]
    return sum(one.numel() for one in graph.constants.values()) + sum(held(one) for one in inner)


def read(path: Path) -> Graph:
    """Opens an ONNX file.

    Raises:
        ModelFileError: The file is not there, no ONNX model, damaged, or holds absurdly much.
        ConversionError: It uses something of ONNX that has no counterpart here.
        MissingLibraryError: The library ``onnx`` is not installed.
    """
    try:
        model = onnx_protobuf.load(path)
        if model.functions:
            raise ConversionError(
                f"{path} has functions of its own, such as {model.functions[0].name!r}; expected operators of ONNX "
                "alone. Replace them by what they stand for: onnx.inliner.inline_local_functions."
            )
        return _Reading(path, _version(model, path)).graph(model.graph)
    except UnicodeDecodeError as error:  # of an attribute, which is bytes to protobuf
        raise ModelFileError(f"{path} has text that is not UTF-8. The file is damaged.") from error


class _Reading:
    """Takes a file's graphs apart, and counts their nodes."""

    def __init__(self, path: Path, version: int) -> None:
        self._path, self._version, self._count = path, version, 0

    def graph(self, proto: Any, depth: int = 0) -> Graph:
        """A ``GraphProto``."""
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
        for number, one in enumerate(proto.node):
            name = one.name if one.name and one.name not in names else f"{one.op_type}_{number}"
            names.add(name)
            node = self._node(one, name, depth)
            if node.op == "Constant":
                constants[_given(node)] = _constant(node)
            else:
                nodes.append(node)
        inputs = tuple(value.name for value in proto.input if value.name not in constants)
        shapes = {value.name: _shape(value.type.tensor_type) for value in proto.input if _has_shape(value.type)}
        outputs = tuple(value.name for value in proto.output)
        return Graph(self._version, inputs, outputs, constants, tuple(nodes), shapes)

    def _node(self, proto: Any, name: str, depth: int) -> OnnxNode:
        node = OnnxNode(name, proto.op_type, tuple(proto.input), tuple(proto.output), {})
        if proto.domain not in _DOMAINS:
            raise ConversionError(
                f"{node.label} is an operator of {proto.domain!r}; expected operators of ONNX alone. Export the model "
                "without it."
            )
        return replace(node, attributes={one.name: self._value(one, node, depth) for one in proto.attribute})

    def _value(self, attribute: Any, node: OnnxNode, depth: int) -> Any:
        """The value of an attribute."""
        kinds = onnx_protobuf.library().AttributeProto
        if attribute.ref_attr_name:
            raise ModelFileError(
                f"{node.label} takes {attribute.name!r} of a function; there is none. The file is damaged."
            )
        if attribute.type == kinds.INT:
            return int(attribute.i)
        if attribute.type == kinds.FLOAT:
            return float(attribute.f)
        if attribute.type == kinds.STRING:
            return attribute.s.decode()
        if attribute.type == kinds.INTS:
            return [int(one) for one in attribute.ints]
        if attribute.type == kinds.FLOATS:
            return [float(one) for one in attribute.floats]
        if attribute.type == kinds.STRINGS:
            return [one.decode() for one in attribute.strings]
        if attribute.type == kinds.TENSOR:
            return onnx_protobuf.tensor(attribute.t, self._path)
        if attribute.type == kinds.GRAPH and attribute.name in SUBGRAPHS.get(node.op, ()):
            return self.graph(attribute.g, depth + 1)
        raise ConversionError(
            f"{node.label} has an attribute {attribute.name!r} that is a graph, sparse or without a type; expected "
            "numbers, strings or a tensor. Only If, Loop and Scan have graphs inside."
        )


def _has_shape(kind: Any) -> bool:
    return bool(kind.HasField("tensor_type") and kind.tensor_type.HasField("shape"))


def _shape(kind: Any) -> tuple[int | None, ...]:
    """The sizes that a file states; 0 and less stand for a size that is left open, too."""
    return tuple(int(one.dim_value) if one.dim_value > 0 else None for one in kind.shape.dim)


def _version(model: Any, path: Path) -> int:
    """The version of the operators that the file asks for."""
    found = [entry.version for entry in model.opset_import if entry.domain in _DOMAINS]
    newest = onnx_protobuf.library().defs.onnx_opset_version()
    if len(found) != 1 or not OLDEST <= found[0] <= newest:
        raise ConversionError(
            f"{path} asks for version {', '.join(map(str, found)) or 'none'} of ONNX's operators; expected one from "
            f"{OLDEST} to {newest}. Convert it by onnx.version_converter, or upgrade onnx."
        )
    return int(found[0])


def _given(node: OnnxNode) -> str:
    if len(node.outputs) != 1 or node.inputs:
        raise ModelFileError(f"{node.label} takes {node.inputs} and gives {node.outputs}; expected one value given.")
    return node.outputs[0]


def _constant(node: OnnxNode) -> Tensor:
    """What a node ``Constant`` gives."""
    import torch

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
