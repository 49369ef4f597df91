"""Nested states: tensors with the batch first, or tuples (named ones too), lists or dicts of states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from holdfast.errors import ShapeError

State = Any


def is_tensor(state: State) -> bool:
    """Whether a state is a tensor."""
    return isinstance(state, Tensor)


def is_single(state: State) -> bool:
    """Whether a state is one value of any kind, and not a tuple, list or dict of states."""
    return not isinstance(state, tuple | list | dict)


def map_state(function: Callable[..., Any], *states: State, is_leaf: Callable[[Any], bool] = is_tensor) -> State:
    """Applies ``function`` to the leaves at the same place in every one of ``states``; tuples, lists and dicts stay.

    Args:
        function: Takes one leaf of each state.
        *states: States of the same form.
        is_leaf: Whether a part is a leaf; by default, tensors are.

    Raises:
        ShapeError: The states have different forms, or a part is neither a leaf nor a tuple, list or dict.

    Example:
        >>> import torch
        >>> h, c = map_state(torch.add, (torch.ones(2), torch.zeros(2)), (torch.ones(2), torch.ones(2)))
        >>> h.tolist(), c.tolist()
        ([2.0, 2.0], [1.0, 1.0])
    """
    first = states[0]
    for other in states[1:]:
        if _form(other, is_leaf) != _form(first, is_leaf):
            raise ShapeError(
                f"The state was {describe(other)} and became {describe(first)}; expected the same form at every step."
            )
    if is_leaf(first):
        return function(*states)
    if isinstance(first, dict):
        return {key: map_state(function, *(state[key] for state in states), is_leaf=is_leaf) for key in first}
    if isinstance(first, tuple | list):
        parts = [map_state(function, *part, is_leaf=is_leaf) for part in zip(*states, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    raise ShapeError(f"A state holds {first!r}; expected tensors, or tuples, lists or dicts of them.")


def map_tensors(function: Callable[[Tensor], Any], state: State) -> State:
    """Applies ``function`` to every tensor of a state; values of other kinds stay."""
    return map_state(lambda part: function(part) if isinstance(part, Tensor) else part, state, is_leaf=is_single)


def _form(state: State, is_leaf: Callable[[Any], bool]) -> Any:
    """What two states must have in common at their top level: the keys, the number of parts, or being a leaf."""
    if isinstance(state, dict):
        return state.keys()
    return len(state) if isinstance(state, tuple | list) else is_leaf(state)


def describe(state: State) -> str:
    """A state or any other value in words, for an error message."""
    if isinstance(state, Tensor):
        return f"a tensor of shape {tuple(state.shape)}"
    if isinstance(state, tuple | list):
        return f"a {type(state).__name__} of {len(state)}"
    if isinstance(state, dict):
        return f"a dict of {', '.join(map(repr, state))}"
    name = type(state).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
