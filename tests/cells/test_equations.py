"""Each cell, with each option, against the same equations written once more in plain Python floats."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import holdfast
from by_hand import Masks, sequence
from holdfast.cells import ACTIVATIONS, BoundCell, Kind, Noise, activation
from holdfast.engines import Request
from holdfast.engines.reference import ReferenceEngine
from variants import PARAMETRISED, VARIANTS
from verification import make_request


def assert_equals_by_hand(request: Request, kind: Kind, options: dict[str, Any]) -> None:
    """Every row of the batch, every step, every part of the state."""
    result = ReferenceEngine().run(replace(request, return_states=True))
    assert result.states is not None
    parameters = {name: parameter.tolist() for name, parameter in request.parameters.items()}
    noise = request.noise
    for row in range(request.inputs.shape[0]):
        masks = None if noise is None else masks_of(noise, row)
        initial = [part[row].tolist() for part in request.state]
        outputs, final, states = sequence(kind, options, parameters, request.inputs[row].tolist(), initial, masks)
        close(result.outputs[row], outputs)
        for k, part in enumerate(final):
            close(result.state[k][row], part)
            close(result.states[k][row], [state[k] for state in states])


SIZES = {"batch": 3, "steps": 6, "input_size": 4, "hidden_size": 5}


def masks_of(noise: Noise, row: int) -> Masks:
    def steps(mask: Tensor | None) -> Any:
        return None if mask is None else mask[:, row].tolist()

    state = None if noise.state is None else noise.state[row].tolist()
    return Masks(state, steps(noise.candidate), steps(noise.zoneout_h), steps(noise.zoneout_c))


def close(got: Tensor, expected: Any) -> None:
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_option_in_evaluation(variant: str) -> None:
    kind, options = VARIANTS[variant]
    assert_equals_by_hand(make_request(kind, **{**SIZES, **options}), kind, options)


RANDOM = [name for name in VARIANTS if any(word in name for word in ("dropout", "zoneout", "everything"))]


@pytest.mark.parametrize("variant", RANDOM)
def test_every_random_option_in_training(variant: str) -> None:
    kind, options = VARIANTS[variant]
    request = make_request(kind, training=True, **{**SIZES, **options})
    assert request.noise is not None
    drawn = [mask for mask in vars(request.noise).values() if mask is not None]
    assert all(len(mask.unique()) == 2 for mask in drawn)  # something is dropped and something is kept
    assert_equals_by_hand(request, kind, options)


def test_the_other_options_draw_no_masks() -> None:
    for variant in VARIANTS.keys() - set(RANDOM):
        kind, options = VARIANTS[variant]
        assert make_request(kind, training=True, **options).noise is None


@pytest.mark.parametrize("name", [*ACTIVATIONS, *PARAMETRISED])
@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("option", ["activation", "recurrent_activation", "output_activation"])
def test_every_activation(option: str, kind: Kind, name: str) -> None:
    if (kind, option) in (("rnn", "recurrent_activation"), ("rnn", "output_activation"), ("gru", "output_activation")):
        with pytest.raises(holdfast.HoldfastError):
            make_request(kind, **{option: "relu"})
        return
    options = {option: name}
    grows = name == "exponential"  # past all bounds in a second step
    request = make_request(kind, batch=2, steps=1 if grows else 4, **options)
    if not grows:
        request = replace(request, inputs=request.inputs * 4)  # far enough to meet both ends of the hard sigmoids
    assert_equals_by_hand(request, kind, options)


def test_the_clips_of_the_variants_do_clip() -> None:
    """Otherwise the tests above would hold without a clip."""
    for variant in ("lstm cell clip", "lstm cell clip, peepholes", "lstm projection, clipped", "lstm everything"):
        kind, options = VARIANTS[variant]
        request = make_request(kind, return_states=True, **options)
        states = ReferenceEngine().run(request).states
        assert states is not None
        for part, option in zip(states, ("proj_clip", "cell_clip"), strict=True):
            if option in options and not options.get("zoneout_h"):
                assert (part.abs() == options[option]).any()
                assert (part.abs() < options[option]).any()


@pytest.mark.parametrize("variant", [name for name, (_, options) in VARIANTS.items() if "gate_clip" in options])
def test_the_gate_clips_of_the_variants_do_clip(variant: str) -> None:
    kind, options = VARIANTS[variant]
    for option in ("activation",) if kind == "rnn" else ("activation", "recurrent_activation"):
        function, seen = activation(options.get(option, "tanh")), list[Tensor]()

        def noting(x: Tensor, function: Any = function, seen: list[Tensor] = seen) -> Tensor:
            seen.append(x)
            return function(x)  # type: ignore[no-any-return]

        others = {"output_activation": "tanh", **options} if kind == "lstm" else options
        ReferenceEngine().run(make_request(kind, **{**others, option: noting}))
        sums = torch.cat([x.flatten() for x in seen]).abs()
        assert sums.max() == options["gate_clip"]
        assert (sums < options["gate_clip"]).any()


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_a_callable_will_do_as_activation(kind: Kind) -> None:
    by_name, by_callable = (
        make_request(kind, activation=function) for function in ("softsign", lambda x: x / (1 + x.abs()))
    )
    expected, got = ReferenceEngine().run(by_name), ReferenceEngine().run(by_callable)
    torch.testing.assert_close(got.outputs, expected.outputs)


def test_the_layer_checked_by_hand() -> None:
    """Linear activations, x = [1, 0]: h = [0, 4, 0] and c = [0, 4, 1], exactly."""
    kernel = [[2, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 0], [1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0]]
    recurrent_kernel = [
        [1, 0, 0, 1, 2, 1, 0, 1, 2, 0, 1, 0],
        [1, 1, 0, 0, 2, 1, 0, 1, 2, 2, 0, 0],
        [1, 0, 1, 2, 0, 1, 0, 1, 1, 0, 1, 0],
    ]
    bias = [3, 1, 0, 1, 1, 0, 0, 1, 0, 2, 0, 0]
    layer = holdfast.LSTM(2, 3, batch_first=True, activation="linear", recurrent_activation="linear", single_bias=True)
    # The gates stand in the order i, f, c, o there and i, f, g, o here, which is the same; columns there are rows here.
    layer.load_state_dict(
        {
            "weight_ih_l0": torch.tensor(kernel).T,
            "weight_hh_l0": torch.tensor(recurrent_kernel).T,
            "bias_ih_l0": torch.tensor(bias),
        }
    )
    assert sum(parameter.numel() for parameter in layer.parameters()) == 72

    output, (h, c) = layer(torch.tensor([[[1.0, 0.0]]]))

    assert output.tolist() == [[[0, 4, 0]]]
    assert h.tolist() == [[[0, 4, 0]]]
    assert c.tolist() == [[[0, 4, 1]]]

    cell = holdfast.LSTMCell(2, 3, activation="linear", recurrent_activation="linear")
    cell.load_state_dict(
        {**{name.removesuffix("_l0"): p for name, p in layer.state_dict().items()}, "bias_hh": torch.zeros(12)}
    )
    h_cell, c_cell = cell(torch.tensor([1.0, 0.0]))
    assert (h_cell.tolist(), c_cell.tolist()) == ([0, 4, 0], [0, 4, 1])


def test_weight_dropout_drops_recurrent_weights_once_a_call() -> None:
    layer = holdfast.LSTM(3, 40, weight_dropout=0.3, dtype=torch.float64)
    plain = holdfast.LSTM(3, 40, dtype=torch.float64)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    layer.eval()
    assert torch.equal(layer(x)[0], plain(x)[0])

    layer.train()
    torch.manual_seed(3)
    output, _ = layer(x)
    torch.manual_seed(3)
    kept = torch.nn.functional.dropout(torch.ones_like(layer.weight_hh_l0), 0.3)
    assert abs(float((kept > 0).double().mean()) - 0.7) < 0.03
    with torch.no_grad():
        plain.weight_hh_l0.mul_(kept)
    torch.testing.assert_close(output, plain(x)[0], rtol=0, atol=1e-14)
    output.sum().backward()
    assert layer.weight_hh_l0.grad is not None
    assert (layer.weight_hh_l0.grad[kept == 0] == 0).all()
    assert (layer.weight_hh_l0.grad[kept > 0] != 0).all()
    assert not torch.equal(layer(x)[0], output)  # the next call drops others


def test_prepare_is_the_input_product_of_all_steps() -> None:
    request = make_request(layer_norm=True)
    cell = BoundCell(request.spec, request.parameters)
    together = cell.prepare(request.inputs.transpose(0, 1))
    for t in range(request.inputs.shape[1]):
        torch.testing.assert_close(together[t], cell.prepare(request.inputs[:, t]), rtol=0, atol=1e-15)
