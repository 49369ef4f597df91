"""The cells that every engine is tested with, and the activations that take parameters."""

from __future__ import annotations

from typing import Any

from holdfast.cells import Kind

# Every option of every kind of cell: alone, and where two meet in one line of the equations, together.
VARIANTS: dict[str, tuple[Kind, dict[str, Any]]] = {
    "rnn": ("rnn", {}),
    "rnn relu": ("rnn", {"activation": "relu"}),
    "rnn without bias": ("rnn", {"bias": False}),
    "rnn single bias": ("rnn", {"single_bias": True}),
    "rnn layer norm": ("rnn", {"layer_norm": True}),
    "rnn dropout of the state": ("rnn", {"recurrent_dropout": 0.4}),
    "rnn zoneout": ("rnn", {"zoneout_h": 0.3}),
    "rnn gate clip": ("rnn", {"gate_clip": 0.5}),
    "rnn everything": ("rnn", {"layer_norm": True, "recurrent_dropout": 0.3, "zoneout_h": 0.2, "activation": "elu"}),
    "gru": ("gru", {}),
    "gru without bias": ("gru", {"bias": False}),
    "gru single bias": ("gru", {"single_bias": True}),
    "gru layer norm": ("gru", {"layer_norm": True}),
    "gru reset before": ("gru", {"reset_after": False}),
    "gru reset before, without bias": ("gru", {"reset_after": False, "bias": False}),
    "gru reset before, layer norm": ("gru", {"reset_after": False, "layer_norm": True}),
    "gru reset before, dropout of the state": ("gru", {"reset_after": False, "recurrent_dropout": 0.4}),
    "gru reset before, everything": (
        "gru",
        {
            "reset_after": False,
            "layer_norm": True,
            "recurrent_dropout": 0.3,
            "zoneout_h": 0.2,
            "activation": "softplus",
        },
    ),
    "gru gate clip": ("gru", {"gate_clip": 0.5}),
    "gru reset before, gate clip": (
        "gru",
        {"reset_after": False, "gate_clip": 0.5, "activation": "scaled_tanh(2, 0.7)"},
    ),
    "gru dropout of the state": ("gru", {"recurrent_dropout": 0.4}),
    "gru dropout of the gates": ("gru", {"recurrent_dropout": 0.4, "recurrent_dropout_mode": "gates"}),
    "gru reset before, dropout of the gates": (
        "gru",
        {"reset_after": False, "recurrent_dropout": 0.4, "recurrent_dropout_mode": "gates"},
    ),
    "gru reset before, dropout of the gates, layer norm": (
        "gru",
        {"reset_after": False, "recurrent_dropout": 0.4, "recurrent_dropout_mode": "gates", "layer_norm": True},
    ),
    "gru dropout of the candidate": ("gru", {"recurrent_dropout": 0.4, "recurrent_dropout_mode": "candidate"}),
    "gru zoneout": ("gru", {"zoneout_h": 0.3}),
    "gru everything": (
        "gru",
        {
            "activation": "softsign",
            "recurrent_activation": "hard_sigmoid",
            "layer_norm": True,
            "recurrent_dropout": 0.3,
            "zoneout_h": 0.2,
        },
    ),
    "lstm": ("lstm", {}),
    "lstm without bias": ("lstm", {"bias": False}),
    "lstm single bias": ("lstm", {"single_bias": True}),
    "lstm layer norm": ("lstm", {"layer_norm": True}),
    "lstm layer norm, without bias": ("lstm", {"layer_norm": True, "bias": False}),
    "lstm peepholes": ("lstm", {"peepholes": True}),
    "lstm coupled gates": ("lstm", {"coupled_gates": True}),
    "lstm coupled gates, peepholes": ("lstm", {"coupled_gates": True, "peepholes": True}),
    "lstm projection": ("lstm", {"proj_size": 2}),
    "lstm projection, clipped": ("lstm", {"proj_size": 2, "proj_clip": 0.15}),
    "lstm layer norm, peepholes": ("lstm", {"layer_norm": True, "peepholes": True, "cell_clip": 0.4}),
    "lstm layer norm, zoneout": ("lstm", {"layer_norm": True, "zoneout_h": 0.3, "zoneout_c": 0.2}),
    "lstm layer norm, projection": ("lstm", {"layer_norm": True, "proj_size": 2}),
    "lstm projection, zoneout": ("lstm", {"proj_size": 2, "zoneout_h": 0.3}),
    "lstm projection, dropout of the state": ("lstm", {"proj_size": 2, "recurrent_dropout": 0.4}),
    "lstm cell clip": ("lstm", {"cell_clip": 0.4}),
    "lstm cell clip, peepholes": ("lstm", {"cell_clip": 0.4, "peepholes": True}),
    "lstm gate clip": ("lstm", {"gate_clip": 0.5}),
    "lstm gate clip, peepholes": (
        "lstm",
        {"gate_clip": 0.5, "peepholes": True, "recurrent_activation": "hard_sigmoid(0.3)"},
    ),
    "lstm gate clip, coupled gates": ("lstm", {"gate_clip": 0.5, "coupled_gates": True, "activation": "leaky_relu"}),
    "lstm output activation": ("lstm", {"output_activation": "leaky_relu(0.2)"}),
    "lstm output activation, gate clip": ("lstm", {"output_activation": "affine(2, 0.1)", "gate_clip": 0.1}),
    "lstm output activation, layer norm": (
        "lstm",
        {"output_activation": "elu(0.4)", "layer_norm": True, "gate_clip": 0.5},
    ),
    "lstm dropout of the state": ("lstm", {"recurrent_dropout": 0.4}),
    "lstm dropout of the gates": ("lstm", {"recurrent_dropout": 0.4, "recurrent_dropout_mode": "gates"}),
    "lstm dropout of the gates, projection": (
        "lstm",
        {"recurrent_dropout": 0.4, "recurrent_dropout_mode": "gates", "proj_size": 2},
    ),
    "lstm dropout of the gates, layer norm": (
        "lstm",
        {"recurrent_dropout": 0.4, "recurrent_dropout_mode": "gates", "layer_norm": True},
    ),
    "lstm dropout of the gates, coupled gates": (
        "lstm",
        {"recurrent_dropout": 0.4, "recurrent_dropout_mode": "gates", "coupled_gates": True, "peepholes": True},
    ),
    "lstm dropout of the candidate": ("lstm", {"recurrent_dropout": 0.4, "recurrent_dropout_mode": "candidate"}),
    "lstm zoneout of h": ("lstm", {"zoneout_h": 0.3}),
    "lstm zoneout of c": ("lstm", {"zoneout_c": 0.3}),
    "lstm everything": (
        "lstm",
        {
            "activation": "softsign",
            "recurrent_activation": "hard_sigmoid_02",
            "peepholes": True,
            "proj_size": 2,
            "proj_clip": 0.2,
            "cell_clip": 0.7,
            "layer_norm": True,
            "recurrent_dropout": 0.3,
            "zoneout_h": 0.2,
            "zoneout_c": 0.4,
        },
    ),
    "lstm coupled gates, everything": (
        "lstm",
        {
            "coupled_gates": True,
            "peepholes": True,
            "proj_size": 2,
            "layer_norm": True,
            "recurrent_dropout": 0.3,
            "recurrent_dropout_mode": "candidate",
            "zoneout_h": 0.2,
        },
    ),
}

# The activations that take parameters, each with an example of them.
PARAMETRISED = (
    "hard_sigmoid(0.3, 0.4)",
    "elu(0.3)",
    "leaky_relu(0.2)",
    "thresholded_relu(0.1)",
    "affine(0.5, 0.2)",
    "scaled_tanh(1.7, 0.7)",
)
