"""What RNN, GRU and LSTM layers have in common: parameters, stacking, directions, and the call of an engine."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from holdfast.cells import NAMES, CellOptions, CellSpec, Kind, Noise, calling, draw_noise, make_spec
from holdfast.cells.parameter_names import layer_suffix
from holdfast.engines import Explanation, Request, check_engine, explain_request, select
from holdfast.engines.memory import Memory, check_memory
from holdfast.engines.unrolling import Lengths, check_lengths
from holdfast.errors import OptionError, ShapeError, did_you_mean
from holdfast.layers import layer_state, parameters, scripting
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Recurrent

Merge = Literal["concat", "sum", "mean", "product"]
_MERGES = ("concat", "sum", "mean", "product")


class LayerOptions(CellOptions, total=False):
    """The keyword arguments of a layer beyond torch.nn's: of :class:`RecurrentLayer` and of the cell."""

    merge: Merge
    locked_dropout: bool
    residual: bool
    reverse: bool
    engine: str
    memory: Memory
    segment: int | None


_DEFAULTS: dict[str, Any] = {
    "num_layers": 1,
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
}
_DEFAULTS |= {
    "merge": "concat",
    "locked_dropout": False,
    "residual": False,
    "reverse": False,
    "engine": "auto",
    "memory": "keep",
}
_OF_THE_LAYER = LayerOptions.__annotations__.keys() - CellOptions.__annotations__.keys()


class _CallArguments(NamedTuple):
    """The arguments of a call, checked and in one form.

    ``inputs`` is [B, T, I]; ``state`` has one tuple for each layer and direction; ``lengths`` is None when all rows
    have all steps; ``packed`` is what the caller gave, if that was a ``PackedSequence``; ``weights`` are the
    :meth:`~RecurrentLayer.named_weights`.
    """

    inputs: Tensor
    state: list[layer_state.CellState]
    lengths: Tensor | None
    layout: layer_state.Layout
    packed: PackedSequence | None
    weights: Mapping[str, Tensor | None]


class RecurrentLayer(nn.Module):
    """What RNN, GRU and LSTM have in common; not for direct use.

    Args:
        input_size: torch.nn's arguments come first; :class:`LSTM` describes them.
        hidden_size: As in :class:`LSTM`.
        num_layers: As in :class:`LSTM`.
        bias: As in :class:`LSTM`.
        batch_first: As in :class:`LSTM`.
        dropout: As in :class:`LSTM`.
        bidirectional: As in :class:`LSTM`.
        device: As in :class:`LSTM`.
        dtype: As in :class:`LSTM`.
        merge: How two directions become one output: ``"concat"`` (as torch.nn), ``"sum"``, ``"mean"``, ``"product"``.
        locked_dropout: Whether ``dropout`` drops the same units at every step of a sequence (Gal & Ghahramani 2016).
        residual: Add each layer's input to its output, from the second layer on (He et al. 2016; Wu et al. 2016).
        reverse: Run every row from its own last step to its first; outputs stand where their inputs do. For layers of
            one direction.
        engine: What computes the layer: ``"auto"`` or a name of :data:`holdfast.engines.ENGINES`.
        memory: What is kept for the backward pass, as in :func:`holdfast.unroll`.
        segment: Steps in a segment of ``memory="recompute"``, as in :func:`holdfast.unroll`.
        **options: As in :class:`holdfast.cells.CellSpec`.

    Raises:
        OptionError: An argument is unknown, out of range, or contradicts another.
    """

    kind: Kind

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: Any,
        dtype: torch.dtype | None,
        *,
        merge: Merge = "concat",
        locked_dropout: bool = False,
        residual: bool = False,
        reverse: bool = False,
        engine: str = "auto",
        memory: Memory = "keep",
        segment: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        name = NAMES[self.kind]
        if merge not in _MERGES:
            raise OptionError(f"{name} has no merge {merge!r}: {did_you_mean(str(merge), _MERGES)}")
        switches = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional, "reverse": reverse}
        for option, value in {**switches, "residual": residual, "locked_dropout": locked_dropout}.items():
            if value not in (True, False):
                raise OptionError(f"{name} {option} is {value!r}; expected True or False.")
        if not 0 <= dropout <= 1:
            raise OptionError(f"{name} dropout is {dropout}; expected a probability from 0 to 1.")
        if reverse and bidirectional:
            raise OptionError(
                f"{name} got reverse and bidirectional; expected one of them: both directions run already."
            )
        sizes = _layer_sizes(name, hidden_size, num_layers)
        if dropout and len(sizes) == 1:
            warnings.warn(
                f"{name} dropout = {dropout} acts between layers, and there is only one layer.",
                UserWarning,
                stacklevel=3,
            )
        self.input_size, self.hidden_size = input_size, hidden_size
        self.num_layers = len(sizes)
        self.bias, self.batch_first = bias, batch_first
        self.dropout, self.bidirectional = float(dropout), bidirectional
        self.merge, self.locked_dropout, self.residual, self.reverse = merge, locked_dropout, residual, reverse
        check_memory(memory, segment)
        self.engine, self.memory, self.segment = check_engine(engine), memory, segment
        self.num_directions = 2 if self.bidirectional else 1
        self.specs = tuple(self._make_specs(sizes, options))
        for spec, suffix in self._cells():
            parameters.register(self, spec, suffix, device, dtype)
        self.reset_parameters()

    def _make_specs(self, sizes: Sequence[int], options: dict[str, Any]) -> Iterator[CellSpec]:
        width = self.input_size
        for number, size in enumerate(sizes):
            sizes_and_bias = {"input_size": width, "hidden_size": size, "bias": self.bias}
            spec = make_spec(self.kind, {**sizes_and_bias, **options}, _OF_THE_LAYER)
            output = spec.output_size * (self.num_directions if self.merge == "concat" else 1)
            if self.residual and number and output != width:
                raise OptionError(
                    f"{NAMES[self.kind]} residual: layer {number} has input size {width} and output size {output}; "
                    "expected them to be equal to be added."
                )
            yield spec
            width = output

    def _cells(self) -> Iterator[tuple[CellSpec, str]]:
        for number, spec in enumerate(self.specs):
            for direction in range(self.num_directions):
                yield spec, layer_suffix(number, direction)

    def reset_parameters(self) -> None:
        """Draws the initial values anew; :func:`holdfast.layers.parameters.initialise` says which."""
        for spec, suffix in self._cells():
            parameters.initialise(self, spec, suffix)

    def named_weights(self) -> Mapping[str, Tensor | None]:
        """The parameters that a call uses, by name; those that are not in it are attributes."""
        return self._parameters

    @property
    def proj_size(self) -> int:
        """P, size of the projected output; 0 for none."""
        return self.specs[0].proj_size

    @property
    def output_size(self) -> int:
        """Values in a step of the layer's output."""
        return self.specs[-1].output_size * (self.num_directions if self.merge == "concat" else 1)

    def part(self, name: str = "") -> Recurrent:
        """The layers as a part of a chain.

        Args:
            name: What the layer is called in the module that holds it.
        """
        flags = {flag: bool(getattr(self, flag)) for flag in ("bidirectional", "residual", "reverse")}
        return Recurrent(name, self.specs, merge=self.merge, **flags)

    def chain(self) -> Chain:
        """The layers as a model of their own."""
        return Chain((self.part(),))

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction, as torch.nn lists them."""
        return [list(parameters.collect(self, spec, suffix).values()) for spec, suffix in self._cells()]

    def __prepare_scriptable__(self) -> nn.Module:
        """What torch.jit.script compiles in place of the layer."""
        if type(self).forward is not RecurrentLayer.forward:
            scripting.refuse(self, "it has a forward of its own, which calls Holdfast's")
        return scripting.layer(self)

    def flatten_parameters(self) -> None:
        """Does nothing; programs written for torch.nn call it."""

    def forward(
        self,
        input: Any,
        hx: Any = None,
        lengths: Lengths | None = None,
        return_states: bool = False,
    ) -> tuple[Any, ...]:
        """Runs the layers over a batch of sequences.

        Args:
            input: [T, B, I]; [B, T, I] with ``batch_first``; [T, I] without a batch; or a ``PackedSequence``.
            hx: The initial state: h [num_layers * num_directions, B, O], or for the LSTM (h, c) with c
                [num_layers * num_directions, B, H]; without a batch, without B. With layers of different sizes, h and c
                are tuples of one [num_directions, B, size] tensor a layer. None for zeros.
            lengths: Steps in each row, [B], 0 to T, in any order; None when all rows have T. Past a row's length the
                output is zero and the state is kept; what stands in the padding changes nothing.
            return_states: Also return the state after every step.

        Returns:
            ``(output, state)``, or ``(output, state, states)`` with ``return_states``: the output shaped (or packed) as
            the input, the final state shaped as ``hx``, and the per-step states: h
            [num_layers * num_directions, T, B, O] (or [.., B, T, O], [.., T, O], as the input is) and, for the LSTM, c.
            All have the dtype of the input, or within ``torch.autocast`` that of autocast.

        Raises:
            ShapeError: The input, state or lengths do not have the right shape or dtype.
            EngineError: The engine that was asked for cannot run this call.
        """
        if isinstance(input, torch.fx.Proxy):
            return cast(tuple[Any, ...], calling.leaf(self, RecurrentLayer, input, hx, lengths, return_states))
        call = self._begin(input, hx, lengths)
        x = call.inputs
        final: list[tuple[Tensor, ...]] = []
        every: list[tuple[Tensor, ...]] = []
        for number in range(self.num_layers):
            y = []
            for direction in range(self.num_directions):
                request = self._request(call, number, direction, x, return_states)
                result = select(self.engine, request).run(request)
                y.append(result.outputs)
                final.append(result.state)
                every.append(result.states or ())
            x = x + self.merged(y) if self.residual and number else self.merged(y)
            if self.dropout and number < self.num_layers - 1:
                x = self._dropped(x, call.packed)

        output = call.layout.outward(x) if call.packed is None else layer_state.pack(x, call.packed)
        state = layer_state.join(self.specs, self.num_directions, final, call.layout.state_outward)
        if not return_states:
            return output, state
        return output, state, layer_state.join(self.specs, self.num_directions, every, call.layout.outward)

    def _begin(self, input: Any, hx: Any, lengths: Lengths | None) -> _CallArguments:
        """Checks the arguments of a call and brings them into one form."""
        packed = input if isinstance(input, PackedSequence) else None
        if packed is not None:
            if lengths is not None:
                raise ShapeError(
                    f"{NAMES[self.kind]} got a PackedSequence and lengths; expected one of them: a PackedSequence has "
                    "its lengths in it."
                )
            input, lengths = pad_packed_sequence(packed, self.batch_first)
        self._check_input(input)
        layout = layer_state.LAYOUTS[input.ndim == 3, not self.batch_first]
        x = layout.inward(input)
        weights = self.named_weights()
        weight = parameters.one(self, "weight_ih_l0", weights)
        state = layer_state.split(self.specs, self.num_directions, hx, x, layout.batched, weight)
        if lengths is not None:
            lengths = check_lengths(lengths, x.shape[0], x.shape[1], x.device)
        return _CallArguments(x, state, lengths, layout, packed, weights)

    def _request(
        self, call: _CallArguments, number: int, direction: int, x: Tensor, return_states: bool, draw: bool = True
    ) -> Request:
        """What the engine of one layer and direction is asked; without ``draw``, the masks are left out of it."""
        spec = self.specs[number]
        noise = None
        if self.training and spec.is_random:
            noise = draw_noise(spec, x.shape[0], x.shape[1], x) if draw else Noise()
        of_call = parameters.for_call if draw else parameters.collect
        suffix = layer_suffix(number, direction)
        return Request(
            spec,
            x,
            call.state[number * self.num_directions + direction],
            of_call(self, spec, suffix, call.weights),
            call.lengths,
            noise,
            reverse=self.reverse or direction == 1,
            return_states=return_states,
            memory=self.memory,
            segment=self.segment,
            suffix=suffix,
        )

    def _check_input(self, x: Any) -> None:
        name = NAMES[self.kind]
        if not isinstance(x, Tensor):
            raise ShapeError(f"{name} input is a {type(x).__name__}; expected a tensor or a PackedSequence.")
        if x.layout is not torch.strided or x.is_nested:
            got = "nested" if x.is_nested else f"of layout {x.layout}"
            raise ShapeError(
                f"{name} input is a tensor that is {got}; expected a dense one: call to_dense() or, for rows of "
                "different lengths, to_padded_tensor(0.0), and give their lengths."
            )
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            order = "(batch, time, input_size)" if self.batch_first else "(time, batch, input_size)"
            raise ShapeError(
                f"{name} input has shape {tuple(x.shape)}; expected {order}, or (time, input_size) without a batch, "
                f"with input_size = {self.input_size}."
            )

    def merged(self, directions: list[Tensor]) -> Tensor:
        """One tensor from one of each direction, [..., O] each, as ``merge`` says."""
        if len(directions) == 1:
            return directions[0]
        forwards, backwards = directions
        if self.merge == "concat":
            if forwards.ndim == 3:  # outputs, whose memory lies time first, and stays so
                return torch.cat([part.transpose(0, 1) for part in directions], -1).transpose(0, 1)
            return torch.cat(directions, -1)
        if self.merge == "product":
            return forwards * backwards
        return (forwards + backwards) / (2 if self.merge == "mean" else 1)

    def last_hidden(self, state: Any) -> Tensor:
        """The last layer's h after the last step, its directions merged as the outputs are: [B, output_size].

        Args:
            state: The final state, as :meth:`forward` gave it.
        """
        h = state[0] if self.kind == "lstm" else state
        last = h[-1] if isinstance(h, tuple) else h[-self.num_directions :]
        return self.merged(list(last))

    def _dropped(self, x: Tensor, packed: PackedSequence | None) -> Tensor:
        if not self.locked_dropout:
            if packed is None or not self.training:
                return F.dropout(x, self.dropout, self.training)
            drawn = layer_state.pack(x, packed)  # as torch.nn draws: for the steps that there are, in packed order
            drawn = drawn._replace(data=F.dropout(drawn.data, self.dropout))
            return pad_packed_sequence(drawn, batch_first=True)[0]
        return x * F.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), self.dropout, self.training)

    def extra_repr(self) -> str:
        """The arguments that are not torch.nn's defaults."""
        shown = [f"{self.input_size}, {self.hidden_size}"]
        shown += [f"{k}={getattr(self, k)!r}" for k, default in _DEFAULTS.items() if getattr(self, k) != default]
        shown += [f"{k}={v!r}" for k, v in self.specs[0].changed_options().items()]
        return ", ".join(shown)


def explain(
    layer: RecurrentLayer,
    input: Any,
    hx: Any = None,
    *,
    lengths: Lengths | None = None,
    return_states: bool = False,
) -> Explanation:
    """Which engine would run this call of a layer, and for every other engine the reason why not.

    The arguments are those of the call; nothing is computed and no random number is drawn.

    Raises:
        OptionError: ``layer`` is not a layer of Holdfast.
        ShapeError: As in the call.
        EngineError: As in the call.
    """
    if not isinstance(layer, RecurrentLayer):
        raise OptionError(
            f"explain got a {type(layer).__module__}.{type(layer).__name__}; expected a layer of Holdfast: an LSTM, a "
            "GRU or an RNN."
        )
    call = layer._begin(input, hx, lengths)
    choices = []
    for number, spec in enumerate(layer.specs):
        x = call.inputs.new_empty(()).expand(*call.inputs.shape[:2], spec.input_size)  # a shape without memory
        for direction in range(layer.num_directions):
            request = layer._request(call, number, direction, x, return_states, draw=False)
            part = f"layer {number}" + (", reverse" if layer.reverse or direction else "")
            choices.append(explain_request(part, layer.engine, request))
    return Explanation(tuple(choices))


def _layer_sizes(name: str, hidden_size: int | Sequence[int], num_layers: int) -> list[int]:
    if not isinstance(num_layers, int) or num_layers < 1:
        raise OptionError(f"{name} num_layers is {num_layers!r}; expected a whole number from 1 on.")
    if not isinstance(hidden_size, Sequence):
        return [hidden_size] * num_layers
    if not hidden_size or num_layers not in (1, len(hidden_size)):
        raise OptionError(
            f"{name} hidden_size has {len(hidden_size)} sizes and num_layers is {num_layers}; expected one size a "
            "layer (num_layers may be left out)."
        )
    return list(hidden_size)
