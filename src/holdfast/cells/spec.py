"""The description of a cell, which cells, layers, engines and saved models read. It needs no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from holdfast.cells.activation_names import Activation
from holdfast.cells.options import NAMES, DropoutMode, Init, Kind, check_options, kinds_with
from holdfast.errors import OptionError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class CellSpec:
    """A cell: its kind, its sizes and every option.

    Attributes:
        kind: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        input_size: I, values in a step of input.
        hidden_size: H, units of the cell.
        bias: Whether there are bias vectors.
        activation: φ, of the candidate and (LSTM) of the cell state on its way to the output: a name of
            :data:`~holdfast.cells.activations.ACTIVATIONS`, with its parameters as in ``"leaky_relu(0.2)"``, or a
            callable that works on each value alone.
        recurrent_activation: σ, of the gates. LSTM, GRU.
        output_activation: ψ, of the cell state on its way to the output (ONNX's third activation); None for φ. LSTM.
        gate_clip: Clamps the arguments of σ and φ in the gates and the candidate into plus or minus this, as
            onnxruntime reads ONNX's ``clip``. It does not clamp the cell state on its way to the output, although
            ONNX's words, "the input of activations", could mean that too.
        init: How the initial values are drawn: ``"holdfast"``, Xavier's and orthogonal weights and ``forget_bias``; or
            ``"torch"``, as torch.nn draws them, with the same numbers for the same seed.
            :func:`holdfast.layers.parameters.initialise` describes both.
        forget_bias: Initial bias of the forget gate (Jozefowicz et al. 2015), stored in ``bias_ih``. It has no effect
            without biases, or with ``init="torch"``. LSTM.
        peepholes: The gates also see the cell state (Gers & Schmidhuber 2000). LSTM.
        coupled_gates: The forget gate is 1 - i (Greff et al. 2017, CIFG), which leaves three gates: i, g, o. LSTM.
        proj_size: P, size of the projected output (Sak et al. 2014); 0 for none. LSTM.
        proj_clip: Clamps the projected output into plus or minus this. LSTM with ``proj_size``.
        cell_clip: Clamps the cell state into plus or minus this. LSTM.
        reset_after: The reset gate acts on the recurrent product (torch, cuDNN) rather than on the state before
            it (Cho et al. 2014). GRU.
        single_bias: One bias vector, ``bias_ih``, as the LSTM of Keras and TensorFlow 1 has it, instead of torch's
            two. The second vector adds nothing that the first cannot express, except in the GRU with ``reset_after``.
        layer_norm: Layer normalisation of both products and of the cell state (Ba et al. 2016).
        recurrent_dropout: Probability of dropping a unit inside the recurrence while training.
        recurrent_dropout_mode: What is dropped: ``"state"``, the state on its way into the products, the same units
            at every step of a sequence (Gal & Ghahramani 2016); ``"gates"``, the same with a mask for each gate, their
            untied weights (LSTM, GRU); ``"candidate"``, the candidate, with a new mask at every step (Semeniuta et al.
            2016; LSTM, GRU).
        zoneout_h: Probability that a unit of h keeps its old value (Krueger et al. 2017).
        zoneout_c: The same for the cell state. LSTM.
        weight_dropout: Probability of dropping a recurrent weight, once per call (DropConnect; Merity et al. 2018).

    Raises:
        OptionError: A value is out of range, or the kind of cell does not have the option.

    Example:
        >>> spec = CellSpec(kind="lstm", input_size=3, hidden_size=4, proj_size=2)
        >>> spec.gates, spec.state_sizes
        (('i', 'f', 'g', 'o'), {'h': 2, 'c': 4})
        >>> spec.parameter_shapes()["weight_ih"]
        (16, 3)
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
    recurrent_dropout_mode: DropoutMode = "state"
    zoneout_h: float = 0.0
    zoneout_c: float = 0.0
    weight_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_options(self)
        for name, value in vars(type(self)).items():
            if isinstance(value, cached_property):
                getattr(self, name)

    # Layers read these at every call. __post_init__ computes them all, as torch.compile cannot trace cached_property.

    @cached_property
    def _hash(self) -> int:
        return hash(tuple(value for value in self.__getstate__().values() if not callable(value)))

    def __hash__(self) -> int:
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        """The fields without the cached values: a hash differs between processes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def gates(self) -> tuple[str, ...]:
        """The gates in their order in memory: the weights have H rows for each of these."""
        if self.kind == "lstm":
            return ("i", "g", "o") if self.coupled_gates else ("i", "f", "g", "o")
        return ("r", "z", "n") if self.kind == "gru" else ("h",)

    @cached_property
    def activations(self) -> tuple[Activation, Activation, Activation]:
        """φ, σ and ψ; a kind that does not use one of them has its default."""
        ψ = self.activation if self.output_activation is None else self.output_activation
        return (self.activation, self.recurrent_activation, ψ)

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
        """The number of gates that each layer normalisation spans: all; the GRU's n has its own (Ba et al., A.2)."""
        return (2, 1) if self.kind == "gru" else (len(self.gates),)

    @cached_property
    def is_random(self) -> bool:
        """Whether training draws random masks inside the recurrence."""
        return bool(self.recurrent_dropout or self.zoneout_h or self.zoneout_c)

    def changed_options(self) -> dict[str, Any]:
        """The options that are not at their defaults, without kind, sizes and bias."""
        options = (field for field in fields(self) if field.name not in ("kind", "input_size", "hidden_size", "bias"))
        values = {option.name: (getattr(self, option.name), option.default) for option in options}
        return {name: value for name, (value, default) in values.items() if value != default}

    def computing_options(self) -> dict[str, Any]:
        """The :meth:`changed_options` that affect results; the others only set the initial values of the parameters."""
        initial = ("init", "forget_bias")
        return {name: value for name, value in self.changed_options().items() if name not in initial}

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        """The names of :meth:`parameter_shapes`."""
        return tuple(self.parameter_shapes())

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every parameter with its shape, torch.nn's first and in torch.nn's order.

        torch.nn does not have ``weight_peephole`` (one row of H for each gate that sees the cell state, in the order of
        the gates), ``norm_ih`` and ``norm_hh`` (gains of the normalised products; their shifts are the
        biases) or ``norm_c`` and ``norm_c_bias`` (gain and shift of the normalised cell state).
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


def make_spec(kind: Kind, options: dict[str, Any], others: Iterable[str] = ()) -> CellSpec:
    """Makes a :class:`CellSpec` from keyword arguments; the error for an unknown one lists the known ones.

    Args:
        kind: The kind of cell.
        options: The keyword arguments.
        others: Further keyword arguments that the caller accepts; the error lists them too.

    Raises:
        OptionError: An option is unknown, out of range, or belongs to another kind of cell.
    """
    known = {field.name for field in fields(CellSpec)} - {"kind"}
    for name in options:
        if name not in known:
            available = {n for n in known if kind in kinds_with(n)}
            raise OptionError(f"{NAMES[kind]} has no option {name!r}: {did_you_mean(name, {*available, *others})}")
    return CellSpec(kind=kind, **options)
