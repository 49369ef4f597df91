from __future__ import annotations

import collections
import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ModelFileError
from holdfast.training.nest import decode, encode

CPU = torch.device("cpu")
tensors = st.one_of(
    st.lists(st.floats(width=32), max_size=3).map(lambda values: torch.tensor(values, dtype=torch.float32)),
    st.integers(-(2**63), 2**63 - 1).map(torch.tensor),
)
keys = st.one_of(st.text(max_size=4), st.integers(), st.floats(allow_nan=False), st.none())
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), tensors)
nests = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()
    if isinstance(a, float):
        return a.hex() == b.hex()  # tells -0.0 from 0.0; the payload of a NaN is not kept
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) and same(a[x], b[y]) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@given(nests)
def test_any_nest_comes_back_exactly(nest: Any) -> None:
    flat, document = encode(nest)
    assert same(decode(flat, json.loads(json.dumps(document, allow_nan=False)), CPU), nest)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.SGD, torch.optim.Rprop, torch.optim.Adadelta])
def test_an_optimisers_state_comes_back_exactly(kind: type[torch.optim.Optimizer]) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = kind(model.parameters(), lr=0.1)  # type: ignore[call-arg]
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert same(decode(*encode(optimizer.state_dict()), CPU), optimizer.state_dict())


def test_names_tell_the_place_and_never_clash() -> None:
    a, b, c, d = (torch.tensor(n) for n in range(4))
    flat, _ = encode({"model": {"w/x": a, "w x": b}, "__metadata__": c, 0: {"k": (d,)}})
    assert list(flat) == ["model/w_x", "model/w_x_", "__metadata___", "0/k/0"]
    assert list(encode(a)[0]) == ["value"]


def test_what_a_checkpoint_cannot_hold() -> None:
    with pytest.raises(TypeError) as error:
        encode({"metric": [1, {"f": np.float64(2)}]})
    assert str(error.value) == (
        "the state at metric/1/f is a float64; a checkpoint holds None, bool, int, float, str and tensors, in lists, "
        "tuples and dicts."
    )
    pair = collections.namedtuple("Pair", "h c")
    with pytest.raises(TypeError, match="the state at its root is a Pair;"):
        encode(pair(1, 2))


@pytest.mark.parametrize(
    "document", [{"a": 1}, {}, {"dict": 3}, {"dict": [[[], 1]]}, {"tensor": "x"}, {"float": "y"}, {"tuple": None}]
)
def test_a_damaged_document(document: Any) -> None:
    with pytest.raises(ModelFileError, match=r"^a stored state is damaged \("):
        decode({}, document, CPU)
