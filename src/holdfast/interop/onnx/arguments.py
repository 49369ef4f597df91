"""The attributes of a node as the arguments of the function that computes its operator."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.interop.onnx.graph import OnnxNode
from holdfast.interop.onnx.operators import OPERATORS, OUTPUTS, signature_of

_ALONG_ONE_AXIS = 13
"""The version of the operators from which on a softmax is along one axis."""
_RESIZED_BY_SCALES = 11
"""The version from which on the scales of a Resize are its third input."""
_SMALL = 64
"""Constants of so many whole numbers at most are written as an attribute."""
_signature = lru_cache(maxsize=None)(signature_of)


def arguments(node: OnnxNode, version: int) -> dict[str, Any]:
    """The keyword arguments that the attributes of a node are.

    Args:
        node: The node.
        version: Of the operators.

    Raises:
        ConversionError: Holdfast has no such operator, or it takes other inputs or attributes.
    """
    if node.op not in OPERATORS:
        raise ConversionError(
            f"{node.label} has no counterpart here; docs/onnx.md lists the operators that have one. Export the model "
            "without it."
        )
    if len(node.outputs) > OUTPUTS.get(node.op, 1):
        raise ConversionError(f"{node.label} gives {node.outputs}; expected at most {OUTPUTS.get(node.op, 1)}.")
    found = dict(node.attributes)
    for name, value in found.items():
        if isinstance(value, Tensor):
            raise ConversionError(f"{node.label} has an attribute {name!r} that is a tensor; expected numbers.")
        if name == "op" or (isinstance(value, float) and not math.isfinite(value)):
            raise ConversionError(
                f"{node.label} has an attribute {name} = {value!r}; expected a number that is finite."
            )
    if node.op in ("Softmax", "LogSoftmax") and version < _ALONG_ONE_AXIS:
        found = {"axis": 1, **found, "flat": 1}
    if node.op == "Resize" and version < _RESIZED_BY_SCALES:
        found["old"] = 1
    if node.op == "Split" and "num_outputs" not in found:
        found["num_outputs"] = len(node.outputs)
    signature = _signature(node.op)
    try:
        signature.bind(*node.inputs, **found)
    except TypeError as error:
        raise ConversionError(f"{node.label} is not one that Holdfast knows: {error}.") from error
    for name, value in found.items():
        if name == "place":
            raise ConversionError(f"{node.label} has an attribute 'place', which the operator does not have.")
        words, expected = _expected(str(signature.parameters[name].annotation))
        if not isinstance(value, expected):
            raise ConversionError(f"{node.label} has {name} = {value!r}; expected {words}.")
    return found


def _expected(annotation: str) -> tuple[str, type | tuple[type, ...]]:
    """What an attribute must be, by the annotation of the argument that it is."""
    if "Ints" in annotation:
        return "whole numbers", (list, int)
    if "float" in annotation:
        return "a number", float
    return ("text", str) if "str" in annotation else ("a whole number", int)


def inlined(
    node: OnnxNode, found: Mapping[str, Any], constants: Mapping[str, Tensor]
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The inputs that stay, and those at the end that the file holds as a few numbers, as arguments.

    Args:
        node: The node.
        found: The arguments that are there already.
        constants: The values of the file.
    """
    place = constants.get(node.inputs[1]) if node.op == "Gather" and len(node.inputs) == 2 else None
    if place is not None and place.ndim == 0 and not place.is_floating_point() and node.inputs[0] not in constants:
        return node.inputs[:1], {"place": int(place)}
    known = list(_signature(node.op).parameters.values())
    inputs, added = list(node.inputs), dict[str, Any]()
    while inputs:
        if inputs[-1]:
            constant = constants.get(inputs[-1])
            parameter = known[len(inputs) - 1] if len(inputs) <= len(known) else None
            if constant is None or parameter is None or constant.numel() > _SMALL or parameter.name in found:
                break
            if parameter.annotation == "Ints" and not constant.is_floating_point():
                added[parameter.name] = constant.flatten().tolist()
            elif "float" in str(parameter.annotation) and constant.numel() == 1 and math.isfinite(constant):
                added[parameter.name] = constant.item()
            elif "Floats" in str(parameter.annotation) and bool(torch.isfinite(constant).all()):
                added[parameter.name] = constant.flatten().tolist()
            else:
                break
        inputs.pop()
    return tuple(inputs), added
