"""Nested states as tensors and JSON, and back, exactly and without pickle.

A state is None, a bool, int, float, string or tensor, or a list, tuple or dict of states; a dict's keys are strings,
ints, floats, bools, None or tuples of these. JSON has only strings as keys and neither tuples nor infinities, so these
become objects with one key that names the type: ``{"tuple": [...]}``, ``{"dict": [[key, value], ...]}``,
``{"float": "inf"}``, ``{"tensor": "model/weight"}``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch

from holdfast.errors import ModelFileError


def encode(state: Any) -> tuple[dict[str, torch.Tensor], Any]:
    """Splits a state into tensors and JSON.

    Args:
        state: A state as described above. An ordered dict counts as a dict.

    Returns:
        The tensors, by names that say their place, and a JSON value.

    Raises:
        TypeError: The state holds something else, such as a function or a named tuple.
    """
    tensors: dict[str, torch.Tensor] = {}
    return tensors, _encode(state, "", tensors)


def decode(tensors: Mapping[str, torch.Tensor], document: Any, device: torch.device) -> Any:
    """Joins a state again, with its own memory.

    Args:
        tensors: From ``encode``.
        document: From ``encode``, also after a round trip through JSON.
        device: The device for the tensors that were not on the CPU.

    Raises:
        ModelFileError: The document is not from ``encode``, or a tensor is missing.
    """
    try:
        return _decode(document, tensors, device)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelFileError(f"a stored state is damaged ({type(error).__name__}: {error}).") from error


def _encode(state: Any, place: str, tensors: dict[str, torch.Tensor]) -> Any:
    if state is None or type(state) in (bool, int, str):
        return state
    if type(state) is float:
        return state if math.isfinite(state) else {"float": repr(state)}
    if isinstance(state, torch.Tensor):
        name = place or "value"
        while name in tensors or name == "__metadata__":  # a name that the format reserves
            name += "_"
        tensors[name] = state.detach()
        return {"tensor" if state.device.type == "cpu" else "device_tensor": name}
    if type(state) in (list, tuple):
        values = [_encode(value, _within(place, number), tensors) for number, value in enumerate(state)]
        return values if type(state) is list else {"tuple": values}
    if isinstance(state, dict):
        return {
            "dict": [
                [_encode(key, _within(place, "key"), tensors), _encode(value, _within(place, key), tensors)]
                for key, value in state.items()
            ]
        }
    raise TypeError(
        f"the state at {place or 'its root'} is a {type(state).__name__}; a checkpoint holds None, bool, int, float, "
        "str and tensors, in lists, tuples and dicts."
    )


def _within(place: str, key: object) -> str:
    """The name of a place inside a place, in plain letters."""
    part = re.sub(r"[^A-Za-z0-9_.\-]", "_", str(key))
    return f"{place}/{part}" if place else part


def _decode(document: Any, tensors: Mapping[str, torch.Tensor], device: torch.device) -> Any:
    if isinstance(document, list):
        return [_decode(value, tensors, device) for value in document]
    if not isinstance(document, dict):
        return document
    ((tag, content),) = document.items()
    match tag:
        case "float":
            return float(content)
        case "tuple":
            return tuple(_decode(value, tensors, device) for value in content)
        case "dict":
            return {_decode(key, tensors, device): _decode(value, tensors, device) for key, value in content}
        case "tensor":
            return tensors[content].clone()
        case "device_tensor":
            return tensors[content].clone().to(device)
    raise ValueError(f"unknown tag {tag!r}")
