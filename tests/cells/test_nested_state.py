"""One function for every map over a nested state."""

from __future__ import annotations

import collections
import math

import pytest
import torch

from holdfast.cells.nested_state import map_state, map_tensors
from holdfast.errors import ShapeError


def test_a_state_that_holds_no_tensors() -> None:
    with pytest.raises(ShapeError) as error:
        map_state(lambda part: part, (torch.zeros(1), 3))
    assert str(error.value) == "A state holds 3; expected tensors, or tuples, lists or dicts of them."


def test_map_tensors_keeps_the_nest() -> None:
    pair = collections.namedtuple("Pair", "h c")
    state = {"a": [torch.tensor(1), (None, torch.tensor(2))], "b": pair(torch.tensor(3), 4.0)}
    doubled = map_tensors(lambda tensor: tensor * 2, state)
    assert doubled == {"a": [torch.tensor(2), (None, torch.tensor(4))], "b": pair(torch.tensor(6), 4.0)}
    assert type(doubled["b"]) is pair
    assert math.isclose(doubled["b"].c, 4.0)
