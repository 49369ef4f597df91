"""The description of a cell: what it derives, and what it refuses in which words."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import pytest

from holdfast import HoldfastError
from holdfast.cells import CellOptions, CellSpec, Kind, make_spec
from holdfast.errors import OptionError

NAN = float("nan")


def spec(kind: Kind = "lstm", **options: Any) -> CellSpec:
    return make_spec(kind, {"input_size": 3, "hidden_size": 4, **options})


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("lstm", {"hidden_size": 0}, "LSTM hidden_size is 0; expected a whole number from 1 on."),
        ("rnn", {"hidden_size": 4.0}, "RNN hidden_size is 4.0; expected a whole number from 1 on."),
        ("gru", {"input_size": "3"}, "GRU input_size is '3'; expected a whole number from 1 on."),
        ("lstm", {"proj_size": 4}, "LSTM proj_size is 4; expected 0 (none) or less than hidden_size = 4."),
        ("lstm", {"proj_size": -1}, "LSTM proj_size is -1; expected 0 (none) or less than hidden_size = 4."),
        ("lstm", {"proj_clip": 1.0}, "LSTM proj_clip needs a projection: set proj_size, or leave proj_clip out."),
        ("lstm", {"cell_clip": 0.0}, "LSTM cell_clip is 0.0; expected a positive bound, or None for no bound."),
        (
            "lstm",
            {"cell_clip": float("nan")},
            "LSTM cell_clip is nan; expected a positive bound, or None for no bound.",
        ),
        ("gru", {"zoneout_h": 1.0}, "GRU zoneout_h is 1.0; expected a probability from 0 to below 1."),
        ("gru", {"zoneout_h": -0.1}, "GRU zoneout_h is -0.1; expected a probability from 0 to below 1."),
        ("rnn", {"weight_dropout": 1.5}, "RNN weight_dropout is 1.5; expected a probability from 0 to below 1."),
        (
            "rnn",
            {"recurrent_dropout": "0.1"},
            "RNN recurrent_dropout is '0.1'; expected a probability from 0 to below 1.",
        ),
        ("gru", {"peepholes": True}, "GRU has no option 'peepholes': it belongs to LSTM. Leave it out."),
        ("rnn", {"zoneout_c": 0.1}, "RNN has no option 'zoneout_c': it belongs to LSTM. Leave it out."),
        ("lstm", {"reset_after": False}, "LSTM has no option 'reset_after': it belongs to GRU. Leave it out."),
        (
            "rnn",
            {"recurrent_activation": "relu"},
            "RNN has no option 'recurrent_activation': it belongs to LSTM and GRU. Leave it out.",
        ),
        (
            "rnn",
            {"recurrent_dropout_mode": "candidate"},
            "RNN recurrent_dropout_mode is 'candidate'; expected 'state': it has one gate and no candidate.",
        ),
        (
            "rnn",
            {"recurrent_dropout_mode": "gates"},
            "RNN recurrent_dropout_mode is 'gates'; expected 'state': it has one gate and no candidate.",
        ),
        (
            "lstm",
            {"recurrent_dropout_mode": "stat"},
            "There is no recurrent_dropout_mode 'stat': did you mean 'state'? Known: candidate, gates, state.",
        ),
        (
            "gru",
            {"peephole": True},
            "GRU has no option 'peephole': known are activation, bias, gate_clip, hidden_size, init, input_size, "
            "layer_norm, recurrent_activation, recurrent_dropout, recurrent_dropout_mode, reset_after, single_bias, "
            "weight_dropout, zoneout_h.",
        ),
        (
            "rnn",
            {"zoneout": 0.1},
            "RNN has no option 'zoneout': did you mean 'zoneout_h'? Known: activation, bias, gate_clip, hidden_size, "
            "init, input_size, layer_norm, recurrent_dropout, recurrent_dropout_mode, single_bias, weight_dropout, "
            "zoneout_h.",
        ),
        (
            "lstm",
            {"recurrent_activation": "sigmod"},
            "There is no activation 'sigmod': did you mean 'sigmoid'? Known: affine, elu, exponential, gelu, "
            "hard_sigmoid, hard_sigmoid_02, leaky_relu, linear, mish, relu, relu6, scaled_tanh, selu, sigmoid, silu, "
            "softplus, softsign, tanh, thresholded_relu. A callable will do too.",
        ),
        (
            "lstm",
            {"output_activation": "elu(1, 2)"},
            "The activation 'elu(1, 2)' has other parameters than elu takes: write it like 'elu(1)'.",
        ),
        (
            "gru",
            {"output_activation": "tanh"},
            "GRU has no option 'output_activation': it belongs to LSTM. Leave it out.",
        ),
        ("rnn", {"gate_clip": -1.0}, "RNN gate_clip is -1.0; expected a positive bound, or None for no bound."),
        (
            "gru",
            {"gate_clp": 1.0},
            "GRU has no option 'gate_clp': did you mean 'gate_clip'? Known: activation, bias, gate_clip, hidden_size, "
            "init, input_size, layer_norm, recurrent_activation, recurrent_dropout, recurrent_dropout_mode, "
            "reset_after, single_bias, weight_dropout, zoneout_h.",
        ),
    ],
)
def test_what_is_refused(kind: Kind, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as raised:
        spec(kind, **options)
    assert str(raised.value) == message


def test_an_option_error_is_a_holdfast_error_and_a_value_error() -> None:
    assert issubclass(OptionError, HoldfastError)
    assert issubclass(OptionError, ValueError)


def test_an_unknown_kind() -> None:
    with pytest.raises(OptionError) as raised:
        CellSpec(kind="lstn", input_size=1, hidden_size=1)  # type: ignore[arg-type]
    assert str(raised.value) == "There is no kind of cell 'lstn': did you mean 'lstm'? Known: gru, lstm, rnn."


def test_options_of_another_kind_may_be_given_at_their_defaults() -> None:
    assert spec("gru", peepholes=False, forget_bias=1.0) == spec("gru")


def test_every_option_can_be_given_as_a_keyword_of_a_layer() -> None:
    sizes = {"kind", "input_size", "hidden_size", "bias", "proj_size"}
    assert CellOptions.__annotations__.keys() == {field.name for field in dataclasses.fields(CellSpec)} - sizes


def test_every_option_is_documented() -> None:
    assert CellSpec.__doc__ is not None
    for field in dataclasses.fields(CellSpec):
        assert f"\n    {field.name}: " in inspect.cleandoc(CellSpec.__doc__), field.name


def test_gates_state_and_output() -> None:
    assert spec("lstm").gates == ("i", "f", "g", "o")
    assert spec("lstm", coupled_gates=True).gates == ("i", "g", "o")
    assert spec("gru").gates == ("r", "z", "n")
    assert spec("rnn").gates == ("h",)
    assert spec("lstm", proj_size=2).state_sizes == {"h": 2, "c": 4}
    assert spec("lstm", proj_size=2).output_size == 2
    assert spec("gru").state_sizes == {"h": 4}


def test_parameter_shapes() -> None:
    assert spec("lstm", proj_size=2, peepholes=True, layer_norm=True).parameter_shapes() == {
        "weight_ih": (16, 3),
        "weight_hh": (16, 2),
        "bias_ih": (16,),
        "bias_hh": (16,),
        "weight_hr": (2, 4),
        "weight_peephole": (3, 4),
        "norm_ih": (16,),
        "norm_hh": (16,),
        "norm_c": (4,),
        "norm_c_bias": (4,),
    }
    assert spec("lstm", coupled_gates=True, peepholes=True, bias=False).parameter_shapes() == {
        "weight_ih": (12, 3),
        "weight_hh": (12, 4),
        "weight_peephole": (2, 4),
    }
    assert spec("gru", single_bias=True).parameter_shapes() == {
        "weight_ih": (12, 3),
        "weight_hh": (12, 4),
        "bias_ih": (12,),
    }


def test_changed_options() -> None:
    assert spec("lstm").changed_options() == {}
    assert spec("lstm", peepholes=True, cell_clip=2.0).changed_options() == {"peepholes": True, "cell_clip": 2.0}


def test_activations() -> None:
    assert spec("gru").activations == ("tanh", "sigmoid", "tanh")
    assert spec("lstm", activation="relu").activations == ("relu", "sigmoid", "relu")
    of_all = spec("lstm", activation="relu", recurrent_activation="hard_sigmoid", output_activation="elu(0.5)")
    assert of_all.activations == ("relu", "hard_sigmoid", "elu(0.5)")


def test_an_rnn_told_two_activations_is_refused() -> None:
    import holdfast

    for make in (holdfast.RNN, holdfast.RNNCell):
        with pytest.raises(OptionError) as error:
            make(2, 3, nonlinearity="relu", activation="elu")
        assert str(error.value) == (
            "RNN got nonlinearity='relu' and activation='elu'; expected one of them: they are the same."
        )
        assert make(2, 3, activation="elu").extra_repr() == make(2, 3, nonlinearity="elu").extra_repr()


def test_options_of_the_initial_values_do_not_change_what_is_computed() -> None:
    described = spec(forget_bias=2.0, peepholes=True)
    assert described.changed_options() == {"forget_bias": 2.0, "peepholes": True}
    assert described.computing_options() == {"peepholes": True}
    assert spec(init="torch").changed_options() == {"init": "torch"}
    assert spec(init="torch").computing_options() == {}


def test_what_is_pickled_of_a_spec_is_its_fields() -> None:
    """A hash depends on the process; kept in a file, it would tell equal descriptions apart."""
    described = spec(peepholes=True)
    assert hash(described) == hash(spec(peepholes=True))
    assert described.__getstate__().keys() == {field.name for field in dataclasses.fields(CellSpec)}
    again = pickle.loads(pickle.dumps(described))
    assert again == copy.deepcopy(described) == described
    assert hash(again) == hash(described)
