"""What a request refuses when it is made: a tensor of another shape, dtype or device, whichever way it came in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import holdfast
from holdfast.cells import Noise
from holdfast.engines import Request
from holdfast.engines.check import check, fits
from holdfast.errors import ConversionError, ShapeError
from holdfast.interop.onnx.nodes import RecurrentOperator
from variants import VARIANTS
from verification import make_request

Change = Callable[[Tensor], Tensor]
CHANGES: dict[str, Change] = {
    "half": Tensor.half,
    "another float": lambda x: x.to(torch.float32 if x.dtype == torch.float64 else torch.float64),
    "whole numbers": Tensor.long,
    "complex": lambda x: x.to(torch.complex64),
    "on meta": lambda x: x.to("meta"),
    "a value short": lambda x: x[..., :-1],
    "a row more": lambda x: torch.cat([x, x[:1]]),
    "flattened": Tensor.flatten,
    "one dimension more": lambda x: x[None],
}


def tensors(request: Request) -> dict[str, Tensor]:
    """Every tensor of a request, by where it stands."""
    found = {"inputs": request.inputs, **{f"parameters.{name}": value for name, value in request.parameters.items()}}
    found |= {f"state.{number}": part for number, part in enumerate(request.state)}
    if request.lengths is not None:
        found["lengths"] = request.lengths
    for name in Noise.__annotations__:
        if request.noise is not None and (mask := getattr(request.noise, name)) is not None:
            found[f"noise.{name}"] = mask
    return found


def with_one(request: Request, where: str, tensor: Tensor) -> Request:
    """The request with one of its tensors put in the place of another."""
    field, _, part = where.partition(".")
    if field == "parameters":
        return replace(request, parameters={**request.parameters, part: tensor})
    if field == "state":
        state = list(request.state)
        state[int(part)] = tensor
        return replace(request, state=tuple(state))
    if field == "noise":
        assert request.noise is not None
        return replace(request, noise=replace(request.noise, **{part: tensor}))
    return replace(request, **{field: tensor})


@pytest.mark.parametrize("name", VARIANTS)
def test_every_tensor_of_every_variant_is_looked_at(name: str) -> None:
    kind, options = VARIANTS[name]
    request = make_request(kind, lengths=[5, 0, 3], training=True, **options)
    for where, tensor in tensors(request).items():
        for what, change in CHANGES.items():
            changed = change(tensor)
            if changed.shape == tensor.shape and changed.dtype == tensor.dtype and changed.device == tensor.device:
                continue  # a vector is flat already, lengths are whole numbers
            with pytest.raises(ShapeError) as caught:
                with_one(request, where, changed)
            assert "; " in str(caught.value), (where, what, str(caught.value))


@pytest.mark.parametrize("name", ["lstm everything", "gru everything", "rnn"])
def test_parameters_that_are_missing_or_too_many(name: str) -> None:
    kind, options = VARIANTS[name]
    request = make_request(kind, **options)
    for part in request.parameters:
        rest = {other: value for other, value in request.parameters.items() if other != part}
        with pytest.raises(ShapeError, match=f"{part} is missing; expected"):
            replace(request, parameters=rest)
    with pytest.raises(ShapeError, match="got a parameter weight_xx, which this cell does not have; leave it out"):
        replace(request, parameters={**request.parameters, "weight_xx": torch.zeros(1)})
    with pytest.raises(ShapeError, match="state is a tuple of 3; expected the parts h"):
        replace(request, state=(request.state[0],) * 3)


def test_the_quick_look_and_the_one_that_names_the_tensor_agree() -> None:
    """``fits`` is what a call asks, ``check`` what an error says: in autocast as outside of it."""
    request = make_request("lstm", lengths=[5, 0, 3], training=True, zoneout_c=0.2, recurrent_dropout=0.3)
    for autocast in (False, True):
        for where, tensor in tensors(request).items():
            for change in (*CHANGES.values(), Tensor.clone):
                changed = change(tensor)
                parts: dict[str, Any] = {
                    "inputs": request.inputs,
                    "state": request.state,
                    "parameters": request.parameters,
                    "lengths": request.lengths,
                    "noise": request.noise,
                }
                field, _, part = where.partition(".")
                if field == "parameters":
                    parts[field] = {**request.parameters, part: changed}
                elif field == "state":
                    parts[field] = tuple(changed if str(k) == part else s for k, s in enumerate(request.state))
                elif field == "noise":
                    parts[field] = replace(request.noise, **{part: changed})  # type: ignore[type-var]
                else:
                    parts[field] = changed
                with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                    try:
                        check(request.spec, **parts)
                        objection = None
                    except ShapeError as error:
                        objection = str(error)
                    assert fits(request.spec, **parts) is (objection is None), (where, objection)


def changed_layer(kind: str, name: str, change: Change) -> Any:
    layer = getattr(holdfast, kind)(3, 4, 2, bidirectional=True)
    parameter = getattr(layer, name)
    parameter.data = change(parameter.data)
    return layer


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l1_reverse", "bias_ih_l0_reverse", "bias_hh_l1"])
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_a_parameter_changed_after_the_layer_was_made(kind: str, name: str, engine: str) -> None:
    x = torch.randn(5, 2, 3)
    cases = {
        "half": "torch.float16 on cpu; expected torch.float32 on cpu, as the other parameters: convert one of them",
        "another float": "torch.float64 on cpu; expected torch.float32 on cpu, as the other parameters: convert one",
    }
    for what, expected in cases.items():
        layer = changed_layer(kind, name, CHANGES[what])
        layer.engine = engine
        for _ in range(2):  # not at the first call alone
            with pytest.raises(ShapeError, match=re.escape(f"{kind} {name} is {expected}")):
                layer(x)
        with pytest.raises(ShapeError, match=re.escape(f"{kind} {name} is {expected}")):
            holdfast.explain(layer, x)


def test_ways_in_that_leave_a_parameter_as_it_should_not_be() -> None:
    x = torch.randn(5, 2, 3)
    layer = holdfast.LSTM(3, 4)
    state = layer.state_dict()
    layer.load_state_dict({**state, "bias_hh_l0": state["bias_hh_l0"].double()}, assign=True)
    with pytest.raises(ShapeError, match=r"LSTM bias_hh_l0 is torch\.float64 on cpu; expected torch\.float32 on cpu"):
        layer(x)
    with torch.device("meta"):
        layer = holdfast.LSTM(3, 4)
    partly = {name: value for name, value in state.items() if name != "weight_hh_l0"}
    layer.load_state_dict(partly, assign=True, strict=False)
    with pytest.raises(ShapeError, match=r"LSTM weight_hh_l0 is torch\.float32 on meta; .* load_state_dict"):
        layer(x)
    layer = holdfast.LSTM(3, 4)
    smaller = {"weight_hh_l0": torch.zeros(8, 4)}
    expected = "LSTM weight_hh_l0 has shape (8, 4); expected (16, 4), for input_size = 3 and hidden_size = 4."
    with pytest.raises(ShapeError, match=re.escape(expected)):
        torch.func.functional_call(layer, smaller, (x,))
    projected = holdfast.LSTM(3, 4, proj_size=2)
    with pytest.raises(ShapeError, match="expected \\(2, 4\\), for input_size = 3 and hidden_size = 4, proj_size = 2"):
        torch.func.functional_call(projected, {"weight_hr_l0": torch.zeros(4, 2)}, (x,))


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
def test_cells(kind: str) -> None:
    cell = getattr(holdfast, kind)(3, 4)
    cell.weight_hh.data = cell.weight_hh.data.half()
    message = f"{kind} weight_hh is torch.float16 on cpu; expected torch.float32 on cpu, as the other parameters"
    with pytest.raises(ShapeError, match=re.escape(message)):
        cell(torch.randn(2, 3))
    with pytest.raises(ShapeError, match=re.escape(message)):
        holdfast.unroll(cell, torch.randn(2, 5, 3))


def test_a_node_of_onnx() -> None:
    node = RecurrentOperator("GRU", ["X", "W", "R"], 1, {"hidden_size": 4})
    x, w, r = torch.randn(5, 2, 3), torch.randn(1, 12, 3), torch.randn(1, 12, 4)
    assert node(x, w, r)[0].shape == (5, 1, 2, 4)
    with pytest.raises(ConversionError, match=r"has R of shape \(1, 12, 4\) and torch\.float64; expected"):
        node(x, w, r.double())
    with pytest.raises(ConversionError, match=r"has \(8, 4\) as recurrent weights"):
        node(x, w, r[:, :8])
    with pytest.raises(ShapeError, match=r"GRU input is torch\.float64 on cpu; expected torch\.float32"):
        node(x.double(), w, r)


def test_autocast_takes_any_floating_dtype() -> None:
    layer = holdfast.LSTM(3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(5, 2, 3, dtype=torch.bfloat16))[0].dtype == torch.bfloat16
        with pytest.raises(ShapeError, match=r"LSTM input is torch\.int64 on cpu"):
            layer(torch.ones(5, 2, 3, dtype=torch.int64))
