"""The one description of a cell that cells, layers, engines and saved models all read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from numbers import Integral, Real
from typing import Any, Literal, TypedDict, get_args

from holdfast.cells.activation_names import Activation, check_activation
from holdfast.errors import OptionError, did_you_mean

Kind = Literal["rnn", "lstm", "gru"]
Init = Literal["holdfast", "torch"]
NAMES: dict[str, str] = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


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
    recurrent_dropout_mode: Literal["state", "gates", "candidate"]
    zoneout_h: float
    zoneout_c: float
    weight_dropout: float


# Options that only some kinds of cell have; every other option belongs to all of them.
_ONLY: dict[str, tuple[Kind, ...]] = {
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
_OF_INITIAL_VALUES = ("init", "forget_bias")
_PROBABILITIES = ("recurrent_dropout", "zoneout_h", "zoneout_c", "weight_dropout")
_CLIPS = ("gate_clip", "proj_clip", "cell_clip")


@dataclass(frozen=True, kw_only=True)
class CellSpec:
    """A cell: its kind, its sizes and every option.

    Attributes:
        kind: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        input_size: I, values in a step of input.
        hidden_size: H, units of the cell.
        bias: Whether there are bias vectors.
        activation: φ, of the candidate and (LSTM) of the cell state on its way out; a name of
            :data:`~holdfast.cells.activations.ACTIVATIONS`, with its parameters as in ``"leaky_relu(0.2)"``, or a
            callable that works on each value alone.
        recurrent_activation: σ, of the gates. LSTM, GRU.
        output_activation: The activation of the cell state on its way out, where that is another than φ (ONNX's
            third); None for φ. LSTM.
        gate_clip: What goes into σ and φ of the gates and the candidate is clamped into plus or minus this, as
            onnxruntime reads ONNX's ``clip``: the cell state on its way out is not, though ONNX's words, "the input of
            activations", could be read so.
        init: How the initial values are drawn: ``"holdfast"``, Xavier's and orthogonal weights and ``forget_bias``; or
            ``"torch"``, as torch.nn draws them, with the same numbers for the same seed.
            :func:`holdfast.layers.parameters.initialise` describes both.
        forget_bias: Initial bias of the forget gate (Jozefowicz et al. 2015); it is stored in ``bias_ih`` and has no
            effect without biases, or with ``init="torch"``. LSTM.
        peepholes: The gates also see the cell state (Gers & Schmidhuber 2000). LSTM.
        coupled_gates: The forget gate is 1 - i (Greff et al. 2017, CIFG); three gates i, g, o are left. LSTM.
        proj_size: P, size of the projected output (Sak et al. 2014); 0 for none. LSTM.
        proj_clip: The projected output is clamped into plus or minus this. LSTM with ``proj_size``.
        cell_clip: The cell state is clamped into plus or minus this. LSTM.
        reset_after: The reset gate acts on the recurrent product (torch, cuDNN) rather than on the state before
            it (Cho et al. 2014). GRU.
        single_bias: One bias vector, ``bias_ih``, as the LSTM of Keras and TensorFlow 1 has it, instead of torch's
            two; but for the GRU with ``reset_after``, the second one adds nothing that the first cannot say.
        layer_norm: Layer normalisation of both products and of the cell state (Ba et al. 2016).
        recurrent_dropout: Probability of dropping a unit inside the recurrence while training.
        recurrent_dropout_mode: What is dropped: ``"state"``, the state on its way into the products, the same units
            at every step of a sequence (Gal & Ghahramani 2016); ``"gates"``, the same with a mask for each gate, their
            untied weights (LSTM, GRU); ``"candidate"``, the candidate, anew at every step (Semeniuta et al. 2016;
            LSTM, GRU).
        zoneout_h: Probability that a unit of h keeps its old value (Krueger et al. 2017).
        zoneout_c: The same for the cell state. LSTM.
        weight_dropout: Probability of dropping a recurrent weight, once a call (DropConnect; Merity et al. 2018).

    Raises:
        OptionError: A value is out of range, or the kind of cell has no such option.
    """

    kind: Kind
    input_size: int
    hidden_size: int
    bias: bool = True
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    output_activation: Activation | None = None
    gate_clip: float | None = None
    init: Init = "holdfast"
    forget_bias: float = 1.0
    peepholes: bool = False
    coupled_gates: bool = False
    proj_size: int = 0
    proj_clip: float | None = None
    cell_clip: float | None = None
    reset_after: bool = True
    single_bias: bool = False
    layer_norm: bool = False
    recurrent_dropout: float = 0.0
    recurrent_dropout_mode: Literal["state", "gates", "candidate"] = "state"
    zoneout_h: float = 0.0
    zoneout_c: float = 0.0
    weight_dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in NAMES:
            raise OptionError(f"There is no kind of cell {self.kind!r}: {did_you_mean(self.kind, NAMES)}")
        name = NAMES[self.kind]
        for field in fields(self):
            kinds = _ONLY.get(field.name, (self.kind,))
            if self.kind not in kinds and getattr(self, field.name) != field.default:
                owners = " and ".join(NAMES[kind] for kind in kinds)
                raise OptionError(f"{name} has no option {field.name!r}: it belongs to {owners}. Leave it out.")
        self._check_types(name)
        for size in ("input_size", "hidden_size"):
            if not isinstance(getattr(self, size), int) or getattr(self, size) < 1:
                raise OptionError(f"{name} {size} is {getattr(self, size)!r}; expected a whole number from 1 on.")
        for option in _PROBABILITIES:
            p = getattr(self, option)
            if not isinstance(p, int | float) or not 0 <= p < 1:
                raise OptionError(f"{name} {option} is {p!r}; expected a probability from 0 to below 1.")
        for option in _CLIPS:
            bound = getattr(self, option)
            if bound is not None and not bound > 0:
                raise OptionError(f"{name} {option} is {bound}; expected a positive bound, or None for no bound.")
        if not 0 <= self.proj_size < self.hidden_size:
            raise OptionError(
                f"LSTM proj_size is {self.proj_size}; expected 0 (none) or less than hidden_size = {self.hidden_size}."
            )
        if self.single_bias and not self.bias:
            raise OptionError(f"{name} single_bias needs a bias: leave bias=False or single_bias=True out.")
        if self.proj_clip is not None and not self.proj_size:
            raise OptionError("LSTM proj_clip needs a projection: set proj_size, or leave proj_clip out.")
        if self.init not in get_args(Init):
            raise OptionError(f"There is no init {self.init!r}: {did_you_mean(str(self.init), get_args(Init))}")
        if self.init == "torch" and self.forget_bias != 1:
            raise OptionError(
                f"LSTM got init='torch' and forget_bias={self.forget_bias}; expected one of them: torch.nn draws every "
                "bias at random."
            )
        modes = ("state", "gates", "candidate")
        if self.recurrent_dropout_mode not in modes:
            raise OptionError(
                f"There is no recurrent_dropout_mode {self.recurrent_dropout_mode!r}: "
                f"{did_you_mean(str(self.recurrent_dropout_mode), modes)}"
            )
        if self.kind == "rnn" and self.recurrent_dropout_mode != "state":
            raise OptionError(
                f"RNN recurrent_dropout_mode is {self.recurrent_dropout_mode!r}; expected 'state': it has one gate and "
                "no candidate."
            )
        for activation in self.activations:
            check_activation(activation)
        for name, value in vars(type(self)).items():
            if isinstance(value, cached_property):
                getattr(self, name)

    def _check_types(self, name: str) -> None:
        """Refuses an option that is of another type than its default, before it is compared with anything."""
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name in _PROBABILITIES:
                continue  # refused below, with the range
            if isinstance(option.default, bool):
                fits, expected = value in (True, False), "True or False"
            elif isinstance(option.default, int):
                fits, expected = isinstance(value, Integral) and not isinstance(value, bool), "a whole number"
            elif isinstance(option.default, float) or (option.name in _CLIPS and value is not None):
                fits, expected = isinstance(value, Real) and not isinstance(value, bool), "a number"
            else:
                continue
            if not fits:
                raise OptionError(f"{name} {option.name} is {value!r}; expected {expected}.")

    # Layers ask for these at every call. They are computed at once: torch.compile cannot look into cached_property.

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(v for v in (getattr(self, field.name) for field in fields(self)) if not callable(v)))

    def __hash__(self) -> int:
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: a hash is another in the next process."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def gates(self) -> tuple[str, ...]:
        """The gates in their order in memory: the rows of the weights are H rows for each of these."""
        if self.kind == "lstm":
            return ("i", "g", "o") if self.coupled_gates else ("i", "f", "g", "o")
        return ("r", "z", "n") if self.kind == "gru" else ("h",)

    @cached_property
    def activations(self) -> tuple[Activation, Activation, Activation]:
        """φ, σ, and what the cell state goes out through; a kind that has not all of them has the defaults there."""
        out = self.activation if self.output_activation is None else self.output_activation
        return (self.activation, self.recurrent_activation, out)

    @cached_property
    def output_size(self) -> int:
        """O, values in a step of output: P with a projection, otherwise H."""
        return self.proj_size or self.hidden_size

    @cached_property
    def state_sizes(self) -> dict[str, int]:
        """Each part of the state with its size: h, and c for the LSTM."""
        sizes = {"h": self.output_size}
        return {**sizes, "c": self.hidden_size} if self.kind == "lstm" else sizes

    @cached_property
    def norm_groups(self) -> tuple[int, ...]:
        """How many gates each layer normalisation spans: all, but the GRU's candidate stands alone (Ba et al., A.2)."""
        return (2, 1) if self.kind == "gru" else (len(self.gates),)

    @cached_property
    def is_random(self) -> bool:
        """Whether training draws random masks inside the recurrence."""
        return bool(self.recurrent_dropout or self.zoneout_h or self.zoneout_c)

    def changed_options(self) -> dict[str, Any]:
        """The options that are not at their defaults, without kind, sizes and bias."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        named = ("kind", "input_size", "hidden_size", "bias")
        return {name: value for name, (value, default) in values.items() if name not in named and value != default}

    def computing_options(self) -> dict[str, Any]:
        """Those of :meth:`changed_options` that matter once the parameters have values."""
        return {name: value for name, value in self.changed_options().items() if name not in _OF_INITIAL_VALUES}

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        """The names of :meth:`parameter_shapes`."""
        return tuple(self.parameter_shapes())

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every parameter with its shape, torch.nn's first and in torch.nn's order.

        Beyond torch.nn's there are ``weight_peephole`` (one row of H for each gate that sees the cell state, in the
        order of the gates), ``norm_ih`` and ``norm_hh`` (gains of the normalised products; their shifts are the
        biases) and ``norm_c``, ``norm_c_bias`` (gain and shift of the normalised cell state).
        """
        H, rows = self.hidden_size, len(self.gates) * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, self.input_size),
            "weight_hh": (rows, self.output_size),
        }
        if self.bias:
            shapes["bias_ih"] = (rows,)
            if not self.single_bias:
                shapes["bias_hh"] = (rows,)
        if self.proj_size:
            shapes |= {"weight_hr": (self.proj_size, H)}
        if self.peepholes:
            shapes |= {"weight_peephole": (len(self.gates) - 1, H)}
        if self.layer_norm:
            shapes |= {"norm_ih": (rows,), "norm_hh": (rows,)}
            if self.kind == "lstm":
                shapes |= {"norm_c": (H,), "norm_c_bias": (H,)}
        return shapes


def one_activation(nonlinearity: Activation, options: CellOptions) -> Activation:
    """The activation of an RNN, which torch.nn calls ``nonlinearity`` and the options of a cell ``activation``.

    Raises:
        OptionError: Both are given, and differ.
    """
    chosen = options.get("activation", nonlinearity)
    if nonlinearity not in ("tanh", chosen):
        raise OptionError(
            f"RNN got nonlinearity={nonlinearity!r} and activation={chosen!r}; expected one of them: they are the same."
        )
    return chosen


def make_spec(kind: Kind, options: dict[str, Any], others: Iterable[str] = ()) -> CellSpec:
    """A :class:`CellSpec` from keyword arguments, with a clear error for an unknown one.

    Args:
        kind: The kind of cell.
        options: The keyword arguments.
        others: What the caller takes besides, to be named where an option is unknown.

    Raises:
        OptionError: An option is unknown, out of range, or not one of this kind of cell.
    """
    known = {field.name for field in fields(CellSpec)} - {"kind"}
    for name in options:
        if name not in known:
            available = {n for n in known if kind in _ONLY.get(n, (kind,))}
            raise OptionError(f"{NAMES[kind]} has no option {name!r}: {did_you_mean(name, {*available, *others})}")
    return CellSpec(kind=kind, **options)
