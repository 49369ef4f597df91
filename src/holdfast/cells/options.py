"""The options of a cell: their types, the kinds of cell that have them, and the checks that refuse a bad one."""

from __future__ import annotations

from dataclasses import fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal, TypedDict, get_args

from holdfast.cells.activation_names import Activation, check_activation
from holdfast.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from holdfast.cells.spec import CellSpec

Kind = Literal["rnn", "lstm", "gru"]
"""The kind of a cell."""

Init = Literal["holdfast", "torch"]
DropoutMode = Literal["state", "gates", "candidate"]
NAMES: dict[str, str] = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
"""What people call each kind."""


class CellOptions(TypedDict, total=False):
    """The options of a cell beyond torch.nn's arguments, as keyword arguments of every layer and cell module.

    :class:`CellSpec` says what each one means and which kinds of cell have it.
    """

    activation: Activation
    recurrent_activation: Activation
    output_activation: Activation | None
    gate_clip: float | None
    init: Init
    forget_bias: float
    peepholes: bool
    coupled_gates: bool
    proj_clip: float | None
    cell_clip: float | None
    reset_after: bool
    single_bias: bool
    layer_norm: bool
    recurrent_dropout: float
    recurrent_dropout_mode: DropoutMode
    zoneout_h: float
    zoneout_c: float
    weight_dropout: float


# Options that only some kinds of cell have; every kind has the others.
_KINDS: dict[str, tuple[Kind, ...]] = {
    "recurrent_activation": ("lstm", "gru"),
    "output_activation": ("lstm",),
    "forget_bias": ("lstm",),
    "peepholes": ("lstm",),
    "coupled_gates": ("lstm",),
    "proj_size": ("lstm",),
    "proj_clip": ("lstm",),
    "cell_clip": ("lstm",),
    "zoneout_c": ("lstm",),
    "reset_after": ("gru",),
}
_PROBABILITIES = ("recurrent_dropout", "zoneout_h", "zoneout_c", "weight_dropout")
_CLIPS = ("gate_clip", "proj_clip", "cell_clip")


def kinds_with(option: str) -> tuple[str, ...]:
    """The kinds of cell that have an option."""
    return _KINDS.get(option, tuple(NAMES))


def check_options(spec: CellSpec) -> None:
    """Refuses a cell with an option that is out of range or that its kind does not have.

    Raises:
        OptionError: There is such an option; the message names it.
    """
    if spec.kind not in NAMES:
        raise OptionError(f"There is no kind of cell {spec.kind!r}: {did_you_mean(spec.kind, NAMES)}")
    name = NAMES[spec.kind]
    for option in fields(spec):
        kinds = kinds_with(option.name)
        if spec.kind not in kinds and getattr(spec, option.name) != option.default:
            owners = " and ".join(NAMES[kind] for kind in kinds)
            raise OptionError(f"{name} has no option {option.name!r}: it belongs to {owners}. Leave it out.")
    _check_types(spec, name)
    _check_ranges(spec, name)
    _check_combinations(spec, name)
    for activation in spec.activations:
        check_activation(activation)


_MOST_BITS = 1023
"""Whole numbers of more bits may be too large for a float."""


def _check_types(spec: CellSpec, name: str) -> None:
    """Refuses an option of another type than its default, before it is compared with anything."""
    for option in fields(spec):
        value = getattr(spec, option.name)
        if option.name in _PROBABILITIES:
            continue  # _check_ranges names the range too
        if isinstance(option.default, bool):
            fits, expected = value in (True, False), "True or False"
        elif isinstance(option.default, int):
            fits, expected = isinstance(value, Integral) and not isinstance(value, bool), "a whole number"
        elif isinstance(option.default, float) or (option.name in _CLIPS and value is not None):
            fits, expected = isinstance(value, Real) and not isinstance(value, bool), "a number"
            if isinstance(value, int) and value.bit_length() > _MOST_BITS:
                fits, expected = False, "a number that a float can hold"
        else:
            continue
        if not fits:
            raise OptionError(f"{name} {option.name} is {value!r:.60}; expected {expected}.")


def _check_ranges(spec: CellSpec, name: str) -> None:
    for size in ("input_size", "hidden_size"):
        value = getattr(spec, size)
        if not isinstance(value, int) or value < 1:
            raise OptionError(f"{name} {size} is {value!r:.60}; expected a whole number from 1 on.")
    for option in _PROBABILITIES:
        p = getattr(spec, option)
        if not isinstance(p, int | float) or not 0 <= p < 1:
            raise OptionError(f"{name} {option} is {p!r}; expected a probability from 0 to below 1.")
    for option in _CLIPS:
        bound = getattr(spec, option)
        if bound is not None and not bound > 0:
            raise OptionError(f"{name} {option} is {bound}; expected a positive bound, or None for no bound.")
    if not 0 <= spec.proj_size < spec.hidden_size:
        raise OptionError(
            f"LSTM proj_size is {spec.proj_size}; expected 0 (none) or less than hidden_size = {spec.hidden_size}."
        )


def _check_combinations(spec: CellSpec, name: str) -> None:
    if spec.single_bias and not spec.bias:
        raise OptionError(f"{name} single_bias needs a bias: leave bias=False or single_bias=True out.")
    if spec.proj_clip is not None and not spec.proj_size:
        raise OptionError("LSTM proj_clip needs a projection: set proj_size, or leave proj_clip out.")
    _check_choice("init", spec.init, get_args(Init))
    if spec.init == "torch" and spec.forget_bias != 1:
        raise OptionError(
            f"LSTM got init='torch' and forget_bias={spec.forget_bias}; expected one of them: torch.nn draws every "
            "bias at random."
        )
    _check_choice("recurrent_dropout_mode", spec.recurrent_dropout_mode, get_args(DropoutMode))
    if spec.kind == "rnn" and spec.recurrent_dropout_mode != "state":
        raise OptionError(
            f"RNN recurrent_dropout_mode is {spec.recurrent_dropout_mode!r}; expected 'state': it has one gate and "
            "no candidate."
        )


def _check_choice(option: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise OptionError(f"There is no {option} {value!r}: {did_you_mean(str(value), choices)}")


def one_activation(nonlinearity: Activation, options: CellOptions) -> Activation:
    """The activation of an RNN: torch.nn calls the argument ``nonlinearity``, the options of a cell ``activation``.

    Raises:
        OptionError: Both are given, and differ.
    """
    chosen = options.get("activation", nonlinearity)
    if nonlinearity not in ("tanh", chosen):
        raise OptionError(
            f"RNN got nonlinearity={nonlinearity!r} and activation={chosen!r}; expected one of them: they are the same."
        )
    return chosen
