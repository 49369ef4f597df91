"""Structures that hold tensors: lists, tuples, named tuples and dicts, in each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from holdfast.tf1.graph.names import public


def is_structure(value: Any) -> bool:
    """Whether a value holds others."""
    return isinstance(value, tuple | list | dict)


@public("contrib.framework.nest.flatten", "nest.flatten", "python.util.nest.flatten")
def flatten(structure: Any) -> list[Any]:
    """The leaves of a structure in order; of a dict, in the order of its keys."""
    return list(_leaves(structure))


def _leaves(structure: Any) -> Iterator[Any]:
    if isinstance(structure, dict):
        for key in _keys(structure):
            yield from _leaves(structure[key])
    elif is_structure(structure):
        for part in structure:
            yield from _leaves(part)
    else:
        yield structure


@public("contrib.framework.nest.pack_sequence_as", "nest.pack_sequence_as", "python.util.nest.pack_sequence_as")
def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """The inverse of :func:`flatten`: ``structure`` with other leaves."""
    leaves = iter(flat_sequence)
    return _packed(structure, lambda _: next(leaves))


@public("contrib.framework.nest.map_structure", "nest.map_structure", "python.util.nest.map_structure")
def map_structure(func: Callable[..., Any], *structures: Any) -> Any:
    """Applies a function to the leaves at the same place in every structure."""
    columns = zip(*(flatten(structure) for structure in structures), strict=True)
    return pack_sequence_as(structures[0], [func(*column) for column in columns])


def _packed(structure: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(structure, dict):
        made = {key: _packed(structure[key], function) for key in _keys(structure)}
        return type(structure)((key, made[key]) for key in structure)
    if is_structure(structure):
        parts = [_packed(part, function) for part in structure]
        return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)
    return function(structure)


def _keys(structure: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(structure)
    except TypeError:
        return list(structure)
