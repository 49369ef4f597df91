"""Parts as values that JSON has, and back. The file may hold anything, so every value is checked for its type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from holdfast.cells.options import NAMES
from holdfast.cells.spec import CellSpec, make_spec
from holdfast.errors import OptionError, did_you_mean
from holdfast.layers.chain import own, parts, special
from holdfast.layers.chain.parts import Part
from holdfast.runtime.scaling import Scaling

PARTS: dict[str, type[Part]] = {
    "scaled": parts.Scaled,
    "embedding": parts.Embedding,
    "linear": parts.Linear,
    "recurrent": parts.Recurrent,
    "head": parts.Head,
    "log_softmax": parts.LogSoftmax,
    "restored": parts.Restored,
    "word_vectors": special.WordVectors,
    "repeated": special.Repeated,
    "window_scaling": special.WindowScaling,
    "known_ahead": special.KnownAhead,
    "horizon": special.Horizon,
    "attention": special.Attention,
    "decoder": special.Decoder,
    "own": own.Own,
    "own_tensor": own.OwnTensor,
}
"""Every part, by its name in a model file."""
_NAMES = {kind: name for name, kind in PARTS.items()}
_LARGEST = 2**31 - 1


def to_value(value: Any) -> Any:
    """A part, or what a field of one holds, as JSON.

    Raises:
        OptionError: An activation is a callable, which no file can hold.
    """
    if isinstance(value, CellSpec):
        if any(map(callable, value.activations)):
            raise OptionError("An activation is a callable, which no file can hold: use one that has a name.")
        sizes = {"kind": value.kind, "input_size": value.input_size, "hidden_size": value.hidden_size}
        return {**sizes, "bias": value.bias, **value.changed_options()}
    if isinstance(value, Scaling):
        return value.to_dict()
    if isinstance(value, Part):
        own = {field.name: to_value(getattr(value, field.name)) for field in fields(value)}  # type: ignore[arg-type]
        return {"part": _NAMES[type(value)], **own}
    return [to_value(each) for each in value] if isinstance(value, tuple) else value


def to_part(value: Any, kind: type[Part] = Part) -> Part:
    """The part that :func:`to_value` wrote.

    Args:
        value: From the file.
        kind: The class that it must be of.

    Raises:
        OptionError: It is not what ``to_value`` writes.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("part"), str):
        raise OptionError(f"A part is {value!r:.60}; expected a table that names it.")
    name = value["part"]
    if name not in PARTS:
        raise OptionError(f"There is no part {name!r:.60}: {did_you_mean(name, PARTS)}")
    if not issubclass(PARTS[name], kind):  # looked at first, so that parts are nested only as deep as their fields say
        raise OptionError(f"A part is {name!r}; expected {_NAMES[kind]!r}.")
    hints = _hints(name)
    if value.keys() - {"part"} != hints.keys():
        raise OptionError(f"The part {name!r} has {', '.join(map(str, value))!r:.200}; expected {', '.join(hints)}.")
    return PARTS[name](**{key: _parsed(hint, value[key], f"{name}.{key}") for key, hint in hints.items()})


@cache
def _hints(name: str) -> dict[str, Any]:
    hints = get_type_hints(PARTS[name])
    return {field.name: hints[field.name] for field in fields(PARTS[name])}  # type: ignore[arg-type]


def _parsed(hint: Any, value: Any, place: str) -> Any:
    """A value as the type of a field says.

    Args:
        hint: The type.
        value: From the file.
        place: The field, for the message.

    Raises:
        OptionError: The value is of another type.
    """
    if get_origin(hint) is UnionType:
        kind, other = get_args(hint)
        assert other is NoneType
        return None if value is None else _parsed(kind, value, place)
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_parsed(get_args(hint)[0], each, place) for each in value)
    if get_origin(hint) is Literal and isinstance(value, str) and value in get_args(hint):
        return value
    if hint is CellSpec and isinstance(value, dict):
        return _cell(value)
    if hint is Scaling and isinstance(value, dict):
        return Scaling.from_dict(value)
    if isinstance(hint, type) and issubclass(hint, Part):
        return to_part(value, hint)
    if hint in (str, bool, int) and type(value) is hint and (hint is not int or 0 <= value <= _LARGEST):
        return value
    choices = " or ".join(map(repr, get_args(hint))) if get_origin(hint) is Literal else ""
    expected = choices or getattr(hint, "__name__", hint)
    raise OptionError(f"{place} is {value!r:.60}; expected {expected}.")


def _cell(value: dict[str, Any]) -> CellSpec:
    options = dict(value)
    kind = options.pop("kind", None)
    if not isinstance(kind, str) or kind not in NAMES:
        raise OptionError(f"There is no kind of cell {kind!r:.60}: {did_you_mean(str(kind), NAMES)}")
    if missing := {"input_size", "hidden_size"} - options.keys():
        raise OptionError(f"A cell has no {' and no '.join(sorted(missing))}.")
    return make_spec(kind, options)  # type: ignore[arg-type]
