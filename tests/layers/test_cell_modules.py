"""RNNCell, GRUCell and LSTMCell: torch.nn's results, unrolled like the layers, and their errors."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import holdfast
from holdfast.errors import OptionError, ShapeError
from variants import VARIANTS

I, H = 3, 4  # noqa: E741 (the letters of the equations)

KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "LSTM": (holdfast.LSTMCell, nn.LSTMCell, {}),
    "GRU": (holdfast.GRUCell, nn.GRUCell, {}),
    "RNN tanh": (holdfast.RNNCell, nn.RNNCell, {"nonlinearity": "tanh"}),
    "RNN relu": (holdfast.RNNCell, nn.RNNCell, {"nonlinearity": "relu"}),
}
LAYERS = {"lstm": holdfast.LSTM, "gru": holdfast.GRU, "rnn": holdfast.RNN}
CELLS = {"lstm": holdfast.LSTMCell, "gru": holdfast.GRUCell, "rnn": holdfast.RNNCell}


def tensors(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("batch", [None, 1, 5])
@pytest.mark.parametrize("with_state", [False, True], ids=["zeros", "state"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_torch(kind: str, bias: bool, with_state: bool, batch: int | None) -> None:
    ours_class, theirs_class, more = KINDS[kind]
    ours, theirs = (made(I, H, bias=bias, dtype=torch.float64, **more) for made in (ours_class, theirs_class))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    shape = () if batch is None else (batch,)
    x = torch.randn(*shape, I, dtype=torch.float64)
    parts = [torch.randn(*shape, H, dtype=torch.float64) for _ in range(2 if kind == "LSTM" else 1)]
    found = []
    for cell in (ours, theirs):
        leaves = [part.clone().requires_grad_() for part in (x, *parts)]
        state = None if not with_state else tuple(leaves[1:]) if kind == "LSTM" else leaves[1]
        new = tensors(cell(leaves[0], state))
        sum((k + 1) * part.sin().sum() for k, part in enumerate(new)).backward()
        gradients = [leaf.grad for leaf in leaves[: None if with_state else 1]]
        found.append([*new, *gradients, *(parameter.grad for parameter in cell.parameters())])
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-9)


def test_positional_arguments_mean_what_they_mean_in_torch() -> None:
    assert holdfast.RNNCell(I, H, False, "relu").bias is nn.RNNCell(I, H, False, "relu").bias
    for arguments in ((I, H, False, "cpu", torch.float64), (I, H, True, None, torch.float32)):
        for ours, theirs in ((holdfast.LSTMCell, nn.LSTMCell), (holdfast.GRUCell, nn.GRUCell)):
            got, expected = ours(*arguments).state_dict(), theirs(*arguments).state_dict()
            assert {k: (v.shape, v.dtype) for k, v in got.items()} == {
                k: (v.shape, v.dtype) for k, v in expected.items()
            }


@pytest.mark.parametrize("variant", VARIANTS)
def test_step_by_step_over_time_and_as_a_layer_agree(variant: str) -> None:
    kind, options = VARIANTS[variant]
    cell = CELLS[kind](I, H, dtype=torch.float64, **options).eval()
    layer = LAYERS[kind](I, H, batch_first=True, dtype=torch.float64, **options).eval()
    layer.load_state_dict({f"{name}_l0": parameter for name, parameter in cell.state_dict().items()})
    x = torch.randn(2, 5, I, dtype=torch.float64)
    state, outputs = None, []
    for t in range(5):
        state = cell(x[:, t], state)
        outputs.append(tensors(state)[0])
    unrolled, final = holdfast.unroll(cell, x)
    torch.testing.assert_close(unrolled, torch.stack(outputs, 1), rtol=0, atol=1e-13)
    torch.testing.assert_close(final, state, rtol=0, atol=1e-13)
    of_layer, state_of_layer = layer(x)
    torch.testing.assert_close(of_layer, unrolled, rtol=0, atol=1e-13)
    for got, expected in zip(tensors(state_of_layer), tensors(final), strict=True):
        torch.testing.assert_close(got[0], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("variant", [name for name in VARIANTS if "dropout" in name or "zoneout" in name])
def test_training_draws_masks_anew_at_each_call_and_once_a_sequence(variant: str) -> None:
    kind, options = VARIANTS[variant]
    cell = CELLS[kind](I, 30, **options)
    layer = LAYERS[kind](I, 30, batch_first=True, **options)
    layer.load_state_dict({f"{name}_l0": parameter for name, parameter in cell.state_dict().items()})
    x, state = torch.randn(2, 5, I), cell.initial_state(2)
    state = tuple(part + 1 for part in state) if isinstance(state, tuple) else state + 1
    first, second = tensors(cell(x[:, 0], state)), tensors(cell(x[:, 0], state))
    assert any(not torch.equal(a, b) for a, b in zip(first, second, strict=True))
    torch.manual_seed(8)
    unrolled = holdfast.unroll(cell, x)[0]
    torch.manual_seed(8)
    torch.testing.assert_close(layer(x)[0], unrolled)


def test_initial_state() -> None:
    h, c = holdfast.LSTMCell(I, H, proj_size=2, dtype=torch.float64).initial_state(5)
    assert (h.shape, c.shape, h.dtype) == ((5, 2), (5, 4), torch.float64)
    assert not h.any()
    assert not c.any()
    alone = holdfast.GRUCell(I, H).initial_state(5, dtype=torch.float16)
    assert isinstance(alone, Tensor)
    assert (alone.shape, alone.dtype) == ((5, 4), torch.float16)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch recommends torch.export
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
def test_a_trace_takes_batches_of_any_size(kind: str, with_state: bool) -> None:
    cell = getattr(holdfast, kind)(I, H).requires_grad_(False)
    given = [(torch.randn(batch, I), *([cell(torch.randn(batch, I))] if with_state else [])) for batch in (3, 1, 5)]
    traced = torch.jit.trace(cell, given[0])
    for arguments in given:
        for actual, expected in zip(tensors(traced(*arguments)), tensors(cell(*arguments)), strict=True):
            torch.testing.assert_close(actual, expected)


def said(call: Any, error: type[Exception]) -> str:
    with pytest.raises(error) as raised:
        call()
    return str(raised.value)


def test_errors_of_a_step() -> None:
    lstm, gru, projected = holdfast.LSTMCell(I, H), holdfast.GRUCell(I, H), holdfast.LSTMCell(I, H, proj_size=2)
    x = torch.zeros(2, I)
    h = torch.zeros(2, H)
    assert said(lambda: lstm(torch.zeros(2, 5)), ShapeError) == (
        "LSTMCell input has shape (2, 5); expected (batch, input_size) or (input_size,) with input_size = 3."
    )
    assert said(lambda: lstm(torch.zeros(2, 1, I)), ShapeError) == (
        "LSTMCell input has shape (2, 1, 3); expected (batch, input_size) or (input_size,) with input_size = 3."
    )
    assert said(lambda: gru(x.double()), ShapeError) == (
        "GRUCell input is torch.float64 on cpu; expected torch.float32 on cpu, as the parameters: convert one of them "
        "with .to(...)."
    )
    assert said(lambda: lstm(x, h), ShapeError) == (
        "LSTMCell state is a tensor of shape (2, 4); expected the pair (h, c)."
    )
    assert said(lambda: lstm(x, (h,)), ShapeError) == "LSTMCell state is a tuple of 1; expected the pair (h, c)."
    assert said(lambda: lstm(x, (h, torch.zeros(3, H))), ShapeError) == (
        "LSTMCell state c has shape (3, 4); expected (batch, hidden_size) = (2, 4)."
    )
    assert said(lambda: projected(x, (h, h)), ShapeError) == (
        "LSTMCell state h has shape (2, 4); expected (batch, proj_size) = (2, 2)."
    )
    assert said(lambda: gru(x, (h,)), ShapeError) == (
        "GRUCell state h is a tuple of 1; expected a tensor (batch, hidden_size) = (2, 4)."
    )
    assert said(lambda: gru(x[0], h), ShapeError) == "GRUCell state h has shape (2, 4); expected (hidden_size,) = (4,)."
    assert said(lambda: gru(x, h.double()), ShapeError) == (
        "GRUCell state h is torch.float64 on cpu; expected torch.float32 on cpu, as the parameters: convert one of "
        "them with .to(...)."
    )


def test_errors_over_time() -> None:
    lstm, gru = holdfast.LSTMCell(I, H), holdfast.GRUCell(I, H)
    x = torch.zeros(2, 5, I)
    assert said(lambda: holdfast.unroll(lstm, torch.zeros(2, 5, 7)), ShapeError) == (
        "LSTMCell inputs has shape (5, 2, 7) (time first); expected (time, batch, input_size) with input_size = 3."
    )
    assert said(lambda: holdfast.unroll(lstm, x, torch.zeros(2, 2, H)), ShapeError) == (
        "LSTMCell state is a tensor of shape (2, 2, 4); expected the pair (h, c)."
    )
    assert said(lambda: holdfast.unroll(gru, x, torch.zeros(1, H)), ShapeError) == (
        "GRUCell state h has shape (1, 4); expected (batch, hidden_size) = (2, 4)."
    )
    assert said(lambda: holdfast.unroll(gru, x.double()), ShapeError) == (
        "GRUCell inputs is torch.float64 on cpu; expected torch.float32 on cpu, as the parameters: convert one of them "
        "with .to(...)."
    )


def test_options_of_layers_are_not_options_of_cells() -> None:
    message = said(lambda: holdfast.GRUCell(I, H, merge="sum"), OptionError)  # type: ignore[call-arg]
    assert message.startswith("GRU has no option 'merge': known are activation, bias, gate_clip, hidden_size, ")


def test_printing() -> None:
    assert str(holdfast.LSTMCell(3, 4)) == "LSTMCell(3, 4)"
    assert str(holdfast.GRUCell(3, 4, bias=False, layer_norm=True)) == "GRUCell(3, 4, bias=False, layer_norm=True)"


@pytest.mark.parametrize("name", KINDS)
def test_in_autocast_results_have_the_dtypes_of_torch_nn(name: str) -> None:
    """The state decides, and without one the input; in an RNN it is in no sum outside of the products."""
    ours, theirs, options = KINDS[name]
    cells = [cell(I, H, **options) for cell in (ours, theirs)]
    dtypes = (torch.float32, torch.bfloat16)
    for of_input, of_state in itertools.product(dtypes, (None, *dtypes)):
        h = None if of_state is None else torch.randn(2, H, dtype=of_state)
        hx = (h, h) if name == "LSTM" and h is not None else h
        with torch.autocast("cpu", torch.bfloat16):
            got, expected = (
                [part.dtype for part in tensors(cell(torch.randn(2, I, dtype=of_input), hx))] for cell in cells
            )
        assert got == expected, (of_input, of_state)
