"""Nodes with graphs inside as parts of a network: which module each is, and what it is called with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.errors import ConversionError
from holdfast.interop.onnx.control import MAX_ROUNDS
from holdfast.interop.onnx.graph import Graph, OnnxNode, outer_values

_SCAN_BY_STEPS = 9
"""The version from which on a Scan is over one sequence, not over a batch of them."""


def outer(graphs: Iterable[Graph]) -> list[str]:
    """The values from around some graphs that they use."""
    return list(dict.fromkeys(value for graph in graphs for value in outer_values(graph)))


Control = tuple[str, dict[str, Any], tuple[str, ...]]
INNER = {"If": ("then", "otherwise"), "Loop": ("body",), "Scan": ("body",)}


def _branch(node: OnnxNode, inside: Mapping[str, Graph], graph: Graph) -> Control:
    if len(node.inputs) != 1 or any(one.inputs or len(one.outputs) != len(node.outputs) for one in inside.values()):
        raise _unfit(node, inside)
    return "Branch", {}, node.inputs


def _loop(node: OnnxNode, inside: Mapping[str, Graph], graph: Graph) -> Control:
    body, carried = inside["body"], len(node.inputs) - 2
    fits = carried >= 0 and len(body.inputs) == 2 + carried and "" not in node.inputs[2:]
    if not fits or len(body.outputs) < 1 + carried or len(node.outputs) > len(body.outputs) - 1:
        raise _unfit(node, inside)
    count = graph.constants.get(node.inputs[0])
    if count is not None and (count.numel() != 1 or int(count) > MAX_ROUNDS):
        raise ConversionError(f"{node.label} is asked for {count.tolist()} rounds; expected at most {MAX_ROUNDS:,}.")
    return "Loop", {"carried": carried}, node.inputs


def _scan(node: OnnxNode, inside: Mapping[str, Graph], graph: Graph) -> Control:
    body, found = inside["body"], {name: value for name, value in node.attributes.items() if name != "body"}
    scanned = found.pop("num_scan_inputs", None)
    if graph.version < _SCAN_BY_STEPS:
        raise ConversionError(
            f"{node.label} is of version {graph.version} of the operators; expected one from {_SCAN_BY_STEPS} on. "
            "Convert it by onnx.version_converter."
        )
    options: dict[str, Any] = {}
    for theirs, ours in _SCAN_OPTIONS.items():
        value = found.pop(theirs, None)
        if value is not None and not isinstance(value, list):
            raise ConversionError(f"{node.label} has {theirs} = {value!r}; expected a list of whole numbers.")
        options |= {} if value is None else {ours: value}
    carried = len(node.inputs) - scanned if isinstance(scanned, int) else -1
    fits = carried >= 0 and not found and len(body.inputs) == len(node.inputs) and "" not in node.inputs
    if not fits or len(body.outputs) < carried or len(node.outputs) > len(body.outputs):
        raise _unfit(node, inside)
    return "Scan", {"carried": carried, "scanned": scanned, **options}, node.inputs


def _unfit(node: OnnxNode, inside: Mapping[str, Graph]) -> ConversionError:
    sizes = " and ".join(f"{len(one.inputs)} to {len(one.outputs)}" for one in inside.values())
    return ConversionError(
        f"{node.label} takes {len(node.inputs)} values and gives {len(node.outputs)}, and the graphs inside it take "
        f"and give {sizes}, which does not fit. The file is damaged."
    )


_SCAN_OPTIONS = {
    "scan_input_axes": "axes",
    "scan_input_directions": "backwards",
    "scan_output_axes": "out_axes",
    "scan_output_directions": "out_backwards",
}
CONTROLS = {"If": _branch, "Loop": _loop, "Scan": _scan}
