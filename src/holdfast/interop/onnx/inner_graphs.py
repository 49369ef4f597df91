"""Converts nodes with graphs inside into parts of a network: which module each becomes, and with which options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from holdfast.errors import ConversionError
from holdfast.interop.onnx.control import MAX_ROUNDS
from holdfast.interop.onnx.graph import Graph, OnnxNode
from holdfast.interop.onnx.registry import registrar

_SCAN_WITHOUT_BATCH = 9
"""The first version in which a Scan reads one sequence, not a batch of them."""
_SCAN_OPTIONS = {
    "scan_input_axes": "axes",
    "scan_input_directions": "backwards",
    "scan_output_axes": "out_axes",
    "scan_output_directions": "out_backwards",
}
"""The options of the module for the attributes of a Scan."""

Part = tuple[str, dict[str, Any]]
Converter = Callable[[OnnxNode, Mapping[str, Graph], Graph], Part]
CONVERTERS: dict[str, Converter] = {}
"""For each operator the function that gives the kind and the options of its part."""
_converter = registrar(CONVERTERS)


@_converter("If")
def _branch(node: OnnxNode, inner: Mapping[str, Graph], graph: Graph) -> Part:
    fits = all(not branch.inputs and len(branch.outputs) == len(node.outputs) for branch in inner.values())
    if len(node.inputs) != 1 or not fits:
        raise _misfit(node, inner)
    return "Branch", {}


@_converter("Loop")
def _loop(node: OnnxNode, inner: Mapping[str, Graph], graph: Graph) -> Part:
    body, carried = inner["body"], len(node.inputs) - 2
    fits = carried >= 0 and len(body.inputs) == 2 + carried and "" not in node.inputs[2:]
    if not fits or len(body.outputs) < 1 + carried or len(node.outputs) > len(body.outputs) - 1:
        raise _misfit(node, inner)
    count = graph.constants.get(node.inputs[0])
    if count is not None and (count.numel() != 1 or int(count) > MAX_ROUNDS):
        raise ConversionError(f"{node.label} asks for {count.tolist()} rounds; expected at most {MAX_ROUNDS:,}.")
    return "Loop", {"carried": carried}


@_converter("Scan")
def _scan(node: OnnxNode, inner: Mapping[str, Graph], graph: Graph) -> Part:
    body, attributes = inner["body"], {name: value for name, value in node.attributes.items() if name != "body"}
    scanned = attributes.pop("num_scan_inputs", None)
    if graph.version < _SCAN_WITHOUT_BATCH:
        raise ConversionError(
            f"{node.label} is of version {graph.version} of the operators; expected one from {_SCAN_WITHOUT_BATCH} on. "
            "Convert it by onnx.version_converter."
        )
    options: dict[str, Any] = {}
    for name, option in _SCAN_OPTIONS.items():
        value = attributes.pop(name, None)
        if value is not None and not isinstance(value, list):
            raise ConversionError(f"{node.label} has {name} = {value!r}; expected a list of whole numbers.")
        options |= {} if value is None else {option: value}
    carried = len(node.inputs) - scanned if isinstance(scanned, int) else -1
    fits = carried >= 0 and not attributes and len(body.inputs) == len(node.inputs) and "" not in node.inputs
    if not fits or len(body.outputs) < carried or len(node.outputs) > len(body.outputs):
        raise _misfit(node, inner)
    return "Scan", {"carried": carried, "scanned": scanned, **options}


def _misfit(node: OnnxNode, inner: Mapping[str, Graph]) -> ConversionError:
    sizes = " and ".join(f"{len(graph.inputs)} to {len(graph.outputs)}" for graph in inner.values())
    return ConversionError(
        f"{node.label} takes {len(node.inputs)} values and gives {len(node.outputs)}, and the graphs inside it take "
        f"and give {sizes}, which does not fit. The file is damaged."
    )
