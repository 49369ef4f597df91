"""The errors of the layers: inputs, states, lengths and options that do not fit."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

import holdfast
from holdfast.errors import OptionError, ShapeError


def said(call: Any, error: type[Exception]) -> str:
    with pytest.raises(error) as raised:
        call()
    return str(raised.value)


def test_shape_errors() -> None:
    layer = holdfast.LSTM(4, 64, 2)
    batch_first = holdfast.GRU(4, 6, batch_first=True)
    good = torch.zeros(5, 4, 4)
    assert said(lambda: layer(torch.zeros(5, 4, 7)), ShapeError) == (
        "LSTM input has shape (5, 4, 7); expected (time, batch, input_size), or (time, input_size) without a batch, "
        "with input_size = 4."
    )
    assert said(lambda: batch_first(torch.zeros(4)), ShapeError) == (
        "GRU input has shape (4,); expected (batch, time, input_size), or (time, input_size) without a batch, with "
        "input_size = 4."
    )
    assert said(lambda: batch_first([[1.0] * 4]), ShapeError) == (
        "GRU input is a list; expected a tensor or a PackedSequence."
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The PyTorch API of nested tensors")
        nested = torch.nested.nested_tensor([torch.zeros(2, 4), torch.zeros(3, 4)])
    jagged = torch.nested.nested_tensor([torch.zeros(2, 4), torch.zeros(3, 4)], layout=torch.jagged)
    sparse = good.to_sparse()
    for other, got in ((nested, "nested"), (jagged, "nested"), (sparse, "of layout torch.sparse_coo")):
        assert said(lambda other=other: batch_first(other), ShapeError) == (
            f"GRU input is a tensor that is {got}; expected a dense one: call to_dense() or, for rows of different "
            "lengths, to_padded_tensor(0.0), and give their lengths."
        )
    assert said(lambda: layer(good.double()), ShapeError) == (
        "LSTM input is torch.float64 on cpu; expected torch.float32 on cpu, as the parameters: convert one of them "
        "with .to(...)."
    )
    assert said(lambda: layer(good[:0]), ShapeError) == (
        "inputs has shape (0, 4, 4) (time first); expected at least one step."
    )
    state = torch.zeros(2, 4, 64)
    assert said(lambda: layer(good, (torch.zeros(2, 8, 64), state)), ShapeError) == (
        "LSTM state h0 has shape (2, 8, 64); expected (num_layers * num_directions, batch, hidden_size) = (2, 4, 64)."
    )
    assert said(lambda: layer(good, (state, torch.zeros(1, 4, 64))), ShapeError) == (
        "LSTM state c0 has shape (1, 4, 64); expected (num_layers * num_directions, batch, hidden_size) = (2, 4, 64)."
    )
    assert said(lambda: layer(good[:, 0], (state, state)), ShapeError) == (
        "LSTM state h0 has shape (2, 4, 64); expected (num_layers * num_directions, hidden_size) = (2, 64)."
    )
    assert said(lambda: layer(good, state), ShapeError) == (
        "LSTM state is a tensor of shape (2, 4, 64); expected the pair (h0, c0)."
    )
    assert said(lambda: layer(good, (state,)), ShapeError) == "LSTM state is a tuple of 1; expected the pair (h0, c0)."
    assert said(lambda: layer(good, (state, state.double())), ShapeError) == (
        "LSTM state c0 is torch.float64 on cpu; expected torch.float32 on cpu, as the parameters: convert one of them "
        "with .to(...)."
    )
    assert said(lambda: batch_first(good, (torch.zeros(1, 5, 6),)), ShapeError) == (
        "GRU state h0 is a tuple of 1; expected a tensor (num_layers * num_directions, batch, hidden_size) = (1, 5, 6)."
    )
    projected = holdfast.LSTM(4, 6, proj_size=2)
    assert said(lambda: projected(good, (torch.zeros(1, 4, 6), torch.zeros(1, 4, 6))), ShapeError) == (
        "LSTM state h0 has shape (1, 4, 6); expected (num_layers * num_directions, batch, proj_size) = (1, 4, 2)."
    )
    sizes = holdfast.GRU(4, [6, 3])
    assert said(lambda: sizes(good, torch.zeros(2, 4, 6)), ShapeError) == (
        "GRU state h0 is not a sequence of 2 tensors; the layers have different sizes: give one tensor "
        "(num_directions, batch, size) per layer."
    )
    assert said(lambda: sizes(good, (torch.zeros(1, 4, 6), torch.zeros(1, 4, 6))), ShapeError) == (
        "GRU state h0[1] has shape (1, 4, 6); expected (num_directions, batch, hidden_size) = (1, 4, 3)."
    )


def test_errors_of_lengths() -> None:
    layer = holdfast.GRU(4, 6, batch_first=True)
    good = torch.zeros(3, 5, 4)
    assert said(lambda: layer(good, lengths=[1, 2]), ShapeError) == (
        "lengths has shape (2,) and dtype torch.int64; expected whole numbers of shape (batch,) = (3,), one per row "
        "of the input."
    )
    assert said(lambda: layer(good, lengths=[1.0, 2.0, 3.0]), ShapeError) == (
        "lengths has shape (3,) and dtype torch.float32; expected whole numbers of shape (batch,) = (3,), one per row "
        "of the input."
    )
    assert said(lambda: layer(good, lengths=torch.ones(3, dtype=torch.bool)), ShapeError) == (
        "lengths has shape (3,) and dtype torch.bool; expected whole numbers of shape (batch,) = (3,), one per row "
        "of the input."
    )
    for wrong, low, high in (([1, 6, 5], 1, 6), ([-1, 5, 5], -1, 5)):
        assert said(lambda wrong=wrong: layer(good, lengths=wrong), ShapeError) == (
            f"lengths go from {low} to {high}; expected 0 to 5, the number of steps in the input."
        )
    packed = pack_padded_sequence(good, [5, 2, 1], batch_first=True)
    assert said(lambda: layer(packed, lengths=[5, 2, 1]), ShapeError) == (
        "GRU got a PackedSequence and lengths; expected one of them: a PackedSequence has its lengths in it."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"merge": "add"}, "LSTM has no merge 'add': known are concat, mean, product, sum."),
        ({"merge": "men"}, "LSTM has no merge 'men': did you mean 'mean'? Known: concat, mean, product, sum."),
        ({"dropout": 1.5}, "LSTM dropout is 1.5; expected a probability from 0 to 1."),
        ({"num_layers": 0}, "LSTM num_layers is 0; expected a whole number from 1 on."),
        ({"num_layers": "relu"}, "LSTM num_layers is 'relu'; expected a whole number from 1 on."),
        ({"hidden_size": 2.5}, "LSTM hidden_size is 2.5; expected a whole number from 1 on."),
        ({"hidden_size": [4, 0]}, "LSTM hidden_size is 0; expected a whole number from 1 on."),
        (
            {"hidden_size": [4, 5, 6], "num_layers": 2},
            "LSTM hidden_size has 3 sizes and num_layers is 2; expected one size per layer (num_layers may be left "
            "out).",
        ),
        (
            {"residual": True, "hidden_size": [4, 5]},
            "LSTM residual: layer 1 has input size 4 and output size 5; expected them to be equal to be added.",
        ),
        (
            {"reverse": True, "bidirectional": True},
            "LSTM got reverse and bidirectional; expected one of them: both directions run already.",
        ),
        (
            {"engine": "referense"},
            "There is no engine 'referense': did you mean 'reference'? Known: auto, cudnn, native, recorded, "
            "reference.",
        ),
        (
            {"memory": "recomputed"},
            "There is no memory policy 'recomputed': did you mean 'recompute'? Known: keep, offload, recompute.",
        ),
        ({"init": "pytorch"}, "There is no init 'pytorch': did you mean 'torch'? Known: holdfast, torch."),
        (
            {"init": "torch", "forget_bias": 2.0},
            "LSTM got init='torch' and forget_bias=2.0; expected one of them: torch.nn draws every bias at random.",
        ),
        ({"segment": 0}, "segment is 0; expected at least 1 step, or None for the square root of all steps."),
        ({"reset_after": False}, "LSTM has no option 'reset_after': it belongs to GRU. Leave it out."),
        (
            {"locked_droput": True},
            "LSTM has no option 'locked_droput': did you mean 'locked_dropout'? Known: activation, bias, cell_clip, "
            "coupled_gates, engine, forget_bias, gate_clip, hidden_size, init, input_size, layer_norm, locked_dropout, "
            "memory, merge, output_activation, peepholes, proj_clip, proj_size, recurrent_activation, "
            "recurrent_dropout, recurrent_dropout_mode, residual, reverse, segment, single_bias, weight_dropout, "
            "zoneout_c, zoneout_h.",
        ),
    ],
)
def test_option_errors(arguments: dict[str, Any], message: str) -> None:
    assert said(lambda: holdfast.LSTM(**{"input_size": 4, "hidden_size": 6, **arguments}), OptionError) == message
