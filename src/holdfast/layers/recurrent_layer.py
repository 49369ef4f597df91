"""The layers RNN, GRU and LSTM: how cells are stacked, and how a call becomes requests to engines.

Read :meth:`RecurrentLayer.forward` first: a call is checked and brought into one form, each layer and direction becomes
one request, an engine runs it, and the results get the layout of the input.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from holdfast.cells import NAMES, CellSpec, Kind, Noise, calling
from holdfast.cells.parameter_names import layer_suffix
from holdfast.engines import Request, Result, check_engine, select
from holdfast.engines.lengths import Lengths
from holdfast.engines.memory import Memory, check_memory
from holdfast.engines.native_masks import draw_noise
from holdfast.layers import layer_state, layout, parameters, scripting
from holdfast.layers.call_arguments import CallArguments, prepare_call
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Recurrent
from holdfast.layers.directions import merged
from holdfast.layers.layer_options import DEFAULTS, Merge, check_options, layer_sizes, make_specs
from holdfast.layers.packed_weights import PackedWeights
from holdfast.layers.prepared_call import PreparedCall
from holdfast.layers.usual_call import run_usual_call


class RecurrentLayer(nn.Module):
    """The base of :class:`holdfast.RNN`, :class:`holdfast.GRU` and :class:`holdfast.LSTM`; not for direct use.

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
        reverse: Run every row from its own last step to its first; an output keeps the position of its input. For
            layers of one direction.
        engine: What computes the layer: ``"auto"`` or a name of :data:`holdfast.engines.ENGINES`.
        memory: What is kept for the backward pass, as in :func:`holdfast.unroll`.
        segment: Steps per segment of ``memory="recompute"``, as in :func:`holdfast.unroll`.
        **options: As in :class:`holdfast.cells.CellSpec`.

    Raises:
        OptionError: An argument is unknown, out of range, or contradicts another.
    """

    kind: Kind
    packed_weights: PackedWeights | None = None  # for the next call without gradients
    prepared_call: PreparedCall | None = None
    request_observer: Callable[[Request], Result] | None = None  # runs requests instead of an engine, to look inside

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
        switches = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional, "reverse": reverse}
        switches |= {"residual": residual, "locked_dropout": locked_dropout}
        check_options(name, merge, dropout, switches)
        check_memory(memory, segment)
        sizes = layer_sizes(name, hidden_size, num_layers)
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
        self.engine, self.memory, self.segment = check_engine(engine), memory, segment
        self.num_directions = 2 if bidirectional else 1
        widening = self.num_directions if merge == "concat" else 1
        self.specs = tuple(make_specs(self.kind, input_size, sizes, widening, residual, {"bias": bias, **options}))
        for spec, suffix in self._specs_and_suffixes():
            parameters.register(self, spec, suffix, device, dtype)
        self.reset_parameters()

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self.packed_weights = self.prepared_call = None  # the layer moves or gets another dtype
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch's, with no types

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
                are tuples with one [num_directions, B, size] tensor per layer. None for zeros.
            lengths: Steps in each row, [B], 0 to T, in any order; None when all rows have T. Past a row's length the
                output is zero and the state is kept; values in the padding change nothing.
            return_states: Also return the state after every step.

        Returns:
            ``(output, state)``, or ``(output, state, states)`` with ``return_states``: the output shaped (or packed) as
            the input, the final state shaped as ``hx``, and the per-step states: h
            [num_layers * num_directions, T, B, O] (or [.., B, T, O], [.., T, O], as the input is) and, for the LSTM, c.
            All have the dtype of the input, or within ``torch.autocast`` the dtype of autocast.

        Raises:
            ShapeError: The input, state or lengths do not have the right shape or dtype.
            EngineError: The engine that ``engine`` names cannot run this call.
        """
        if isinstance(input, torch.fx.Proxy):
            return cast(tuple[Any, ...], calling.leaf(self, RecurrentLayer, input, hx, lengths, return_states))
        observer = self.request_observer
        usual = observer is None and not return_states
        if usual and (result := run_usual_call(self, input, hx, lengths)) is not None:
            return result  # as below, in less time
        call = prepare_call(self, input, hx, lengths)
        x = call.inputs
        final_states: list[layer_state.CellState] = []
        step_states: list[layer_state.CellState] = []
        for number in range(self.num_layers):
            outputs = []
            for direction in range(self.num_directions):
                request = self._request(call, number, direction, x, return_states)
                result = observer(request) if observer else select(self.engine, request).run(request)
                outputs.append(result.outputs)
                final_states.append(result.state)
                step_states.append(result.states or ())
            x = x + self.merged(outputs) if self.residual and number else self.merged(outputs)
            if self.dropout and number < self.num_layers - 1:
                x = self._dropped(x, call.packed)

        output = call.layout.outward(x) if call.packed is None else layout.pack(x, call.packed)
        state = layer_state.join(self.specs, self.num_directions, final_states, call.layout.state_outward)
        if not return_states:
            return output, state
        return output, state, layer_state.join(self.specs, self.num_directions, step_states, call.layout.outward)

    def _request(
        self, call: CallArguments, number: int, direction: int, x: Tensor, return_states: bool, draw: bool = True
    ) -> Request:
        """The request of one layer and direction with input ``x`` [B, T, I].

        Without ``draw``, no random number is drawn: the request has no masks.
        """
        spec = self.specs[number]
        noise = None
        if self.training and spec.is_random:
            noise = draw_noise(spec, x.shape[0], x.shape[1], x) if draw else Noise()
        get_parameters = parameters.for_call if draw else parameters.collect
        suffix = layer_suffix(number, direction)
        return Request(
            spec,
            x,
            call.state[number * self.num_directions + direction],
            get_parameters(self, spec, suffix, call.weights),
            call.lengths,
            noise,
            reverse=self.reverse or direction == 1,
            return_states=return_states,
            memory=self.memory,
            segment=self.segment,
            suffix=suffix,
        )

    def merged(self, directions: list[Tensor]) -> Tensor:
        """The outputs of all directions, [..., O] each, as one tensor, as ``merge`` says."""
        return merged(directions, self.merge)

    def _dropped(self, x: Tensor, packed: PackedSequence | None) -> Tensor:
        """Dropout between two layers, [B, T, O]."""
        if self.locked_dropout:
            return x * F.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), self.dropout, self.training)
        if packed is None or not self.training:
            return F.dropout(x, self.dropout, self.training)
        # torch.nn draws for the steps within the lengths only, in packed order.
        packed_x = layout.pack(x, packed)
        packed_x = packed_x._replace(data=F.dropout(packed_x.data, self.dropout))
        return pad_packed_sequence(packed_x, batch_first=True)[0]

    def last_hidden(self, state: Any) -> Tensor:
        """The last layer's h after the last step, its directions merged as the outputs are: [B, output_size].

        Args:
            state: The final state from :meth:`forward`.
        """
        h = state[0] if self.kind == "lstm" else state
        last = h[-1] if isinstance(h, tuple) else h[-self.num_directions :]
        return self.merged(list(last))

    def _specs_and_suffixes(self) -> Iterator[tuple[CellSpec, str]]:
        """The cell of each layer and direction, and what follows the names of its parameters."""
        for number, spec in enumerate(self.specs):
            for direction in range(self.num_directions):
                yield spec, layer_suffix(number, direction)

    def reset_parameters(self) -> None:
        """Draws new initial values; :func:`holdfast.layers.parameters.initialise` describes them."""
        for spec, suffix in self._specs_and_suffixes():
            parameters.initialise(self, spec, suffix)

    def named_weights(self) -> Mapping[str, Tensor | None]:
        """The parameters that a call uses, by name, in the shapes of ``state_dict``; others are attributes."""
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
        """The parameters of each layer and direction, in torch.nn's order."""
        return [list(parameters.collect(self, spec, suffix).values()) for spec, suffix in self._specs_and_suffixes()]

    def flatten_parameters(self) -> None:
        """Does nothing; programs written for torch.nn call it."""

    def __prepare_scriptable__(self) -> nn.Module:
        """The module that torch.jit.script compiles instead of the layer."""
        scripting.refuse_own_forward(self, RecurrentLayer.forward)
        return scripting.layer(self)

    def extra_repr(self) -> str:
        """The arguments that are not torch.nn's defaults."""
        shown = [f"{self.input_size}, {self.hidden_size}"]
        shown += [f"{k}={getattr(self, k)!r}" for k, default in DEFAULTS.items() if getattr(self, k) != default]
        shown += [f"{k}={v!r}" for k, v in self.specs[0].changed_options().items()]
        return ", ".join(shown)
