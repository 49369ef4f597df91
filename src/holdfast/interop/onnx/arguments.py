"""Turns the attributes and constant inputs of a node into keyword arguments of its operator's function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import ConversionError
from holdfast.interop.onnx.graph import OnnxNode
from holdfast.interop.onnx.operators import MAX_OUTPUTS, OPERATORS, SIGNATURES

_SOFTMAX_ALONG_ONE_AXIS = 13
"""The first version of the operators in which a softmax works along one axis."""
_RESIZE_WITH_ROI = 11
"""The first version in which the scales of a Resize are its third input."""
_MAX_INLINED = 64
"""The largest number of elements of a constant that is stored as an argument."""


def arguments(node: OnnxNode, version: int) -> dict[str, Any]:
    """The keyword arguments for the attributes of a node, in that version of the operators.

    Raises:
        ConversionError: Holdfast does not have this operator, or the operator takes other inputs or attributes.
    """
    if node.op not in OPERATORS:
        raise ConversionError(
            f"{node.label} has no counterpart here; docs/onnx.md lists the operators that have one. Export the model "
            "without it."
        )
    if len(node.outputs) > MAX_OUTPUTS[node.op]:
        raise ConversionError(f"{node.label} gives {node.outputs}; expected at most {MAX_OUTPUTS[node.op]}.")
    options = dict(node.attributes)
    for name, value in options.items():
        if isinstance(value, Tensor):
            raise ConversionError(f"{node.label} has an attribute {name!r} that is a tensor; expected numbers.")
        if name == "op" or (isinstance(value, float) and not math.isfinite(value)):
            raise ConversionError(
                f"{node.label} has an attribute {name} = {value!r}; expected a number that is finite."
            )
    if node.op in ("Softmax", "LogSoftmax") and version < _SOFTMAX_ALONG_ONE_AXIS:
        options = {"axis": 1, **options, "flat": 1}
    if node.op == "Resize" and version < _RESIZE_WITH_ROI:
        options["old"] = 1
    if node.op == "Split" and "num_outputs" not in options:
        options["num_outputs"] = len(node.outputs)
    signature = SIGNATURES[node.op]
    try:
        signature.bind(*node.inputs, **options)
    except TypeError as error:
        raise ConversionError(f"{node.label} does not fit its operator: {error}.") from error
    for name, value in options.items():
        if name == "place":
            raise ConversionError(f"{node.label} has an attribute 'place', which the operator does not have.")
        description, types = _expected(str(signature.parameters[name].annotation))
        if not isinstance(value, types):
            raise ConversionError(f"{node.label} has {name} = {value!r}; expected {description}.")
    return options


def _expected(annotation: str) -> tuple[str, type | tuple[type, ...]]:
    """The description and the types of the attributes that an argument with this annotation accepts."""
    if "Ints" in annotation:
        return "whole numbers", (list, int)
    if "float" in annotation:
        return "a number", float
    return ("text", str) if "str" in annotation else ("a whole number", int)


def inline_constants(
    node: OnnxNode, options: Mapping[str, Any], constants: Mapping[str, Tensor]
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Turns trailing inputs that are small constants into arguments, unless ``options`` has these already.

    Returns:
        The remaining inputs, and the new arguments.
    """
    index = constants.get(node.inputs[1]) if node.op == "Gather" and len(node.inputs) == 2 else None
    if index is not None and index.ndim == 0 and not index.is_floating_point() and node.inputs[0] not in constants:
        return node.inputs[:1], {"place": int(index)}
    parameters = list(SIGNATURES[node.op].parameters.values())
    inputs, added = list(node.inputs), dict[str, Any]()
    while inputs:
        if inputs[-1]:
            constant = constants.get(inputs[-1])
            parameter = parameters[len(inputs) - 1] if len(inputs) <= len(parameters) else None
            if constant is None or parameter is None or constant.numel() > _MAX_INLINED or parameter.name in options:
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
