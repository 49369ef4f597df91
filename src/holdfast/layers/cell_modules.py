"""Modules for one step: ``RNNCell``, ``GRUCell`` and ``LSTMCell``, as in torch.nn and with every option of a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack, cast

import torch
from torch import Tensor, nn

from holdfast.cells import NAMES, Activation, BoundCell, CellOptions, Kind, calling, make_spec
from holdfast.cells.options import one_activation
from holdfast.engines.check import check_like, check_parameters, check_state_part, check_state_parts, size_name
from holdfast.engines.native_masks import draw_noise
from holdfast.errors import ShapeError
from holdfast.layers import parameters, scripting
from holdfast.layers.packed_weights import PackedWeights
from holdfast.layers.usual_call import run_usual_step

State = Tensor | tuple[Tensor, Tensor]


class _BareState(BoundCell):
    """A cell whose state is h alone: a tensor for the caller, a tuple of one for the cell's equations."""

    def step(self, t: int, prepared: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        output, (h,) = super().step(t, prepared, (state,))
        return output, h


class CellModule(nn.Module):
    """The base of the three; not for direct use."""

    kind: Kind
    packed_weights: PackedWeights | None = None  # for the next step

    def __init__(self, input_size: int, hidden_size: int, bias: bool, device: Any, dtype: Any, options: Any) -> None:
        super().__init__()
        arguments = {"input_size": input_size, "hidden_size": hidden_size, "bias": bias, **options}
        self.spec = make_spec(self.kind, arguments)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        parameters.register(self, self.spec, "", device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new initial values; :func:`holdfast.layers.parameters.initialise` describes them."""
        parameters.initialise(self, self.spec, "")

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self.packed_weights = None  # the cell moves or gets another dtype
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch's, with no types

    def named_weights(self) -> Mapping[str, Tensor | None]:
        """The parameters that a call uses, by name, in the shapes of ``state_dict``; others are attributes."""
        return self._parameters

    def __prepare_scriptable__(self) -> nn.Module:
        """The module that torch.jit.script compiles instead of the cell."""
        scripting.refuse_own_forward(self, CellModule.forward)
        return scripting.cell(self)

    def initial_state(self, batch: int, dtype: torch.dtype | None = None, device: Any = None) -> State:
        """Zeros: h [batch, O], or for the LSTM (h, c) with c [batch, H]; the cell's own dtype and device by default."""
        weight = cast(Tensor, self.weight_ih)
        sizes = self.spec.state_sizes.values()
        state = tuple(
            torch.zeros(batch, size, dtype=dtype or weight.dtype, device=device or weight.device) for size in sizes
        )
        return cast(State, state if self.kind == "lstm" else state[0])

    def begin_sequence(self, inputs: Tensor, state: State) -> BoundCell:
        """The cell with the masks of one batch of sequences [T, B, I] drawn, for :func:`holdfast.unroll`.

        Raises:
            ShapeError: ``inputs`` or ``state`` does not fit the cell.
        """
        if inputs.ndim != 3 or inputs.shape[-1] != self.input_size:
            raise ShapeError(
                f"{self._name} inputs has shape {tuple(inputs.shape)} (time first); expected (time, batch, input_size) "
                f"with input_size = {self.input_size}."
            )
        self._check_like("inputs", inputs)
        self._checked_state(state, inputs.shape[1:2])
        return self._bound(inputs.shape[1], inputs.shape[0])

    def _bound(self, batch: int, steps: int) -> BoundCell:
        random = self.spec.is_random and self.training
        noise = draw_noise(self.spec, batch, steps, cast(Tensor, self.weight_ih)) if random else None
        weights = parameters.for_call(self, self.spec, "")
        check_parameters(self._name, self.spec, weights)
        bound_class: Callable[..., BoundCell] = BoundCell if self.kind == "lstm" else _BareState
        return bound_class(self.spec, weights, noise)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """One step.

        While training, each call draws new masks for recurrent dropout, zoneout and DropConnect; to keep one mask for a
        whole sequence, run the cell through :func:`holdfast.unroll`.

        Args:
            input: [B, I], or [I] without a batch.
            hx: The state: h [B, O], or for the LSTM (h, c) with c [B, H]; None for zeros.

        Returns:
            The new state, shaped as ``hx``.

        Raises:
            ShapeError: ``input`` or ``hx`` has the wrong shape or dtype.
        """
        if isinstance(input, torch.fx.Proxy):
            return calling.leaf(self, CellModule, input, hx)
        if (new := run_usual_step(self, input, hx)) is not None:
            return new if self.kind == "lstm" else new[0]  # as below, in less time
        batched = input.ndim == 2
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ShapeError(
                f"{self._name} input has shape {tuple(input.shape)}; expected (batch, input_size) or (input_size,) "
                f"with input_size = {self.input_size}."
            )
        self._check_like("input", input)
        x = input if batched else input[None]
        if hx is None:
            zeros = self.initial_state(x.shape[0], dtype=x.dtype)  # in autocast it may differ from the parameters'
            state = cast(tuple[Tensor, ...], zeros if self.kind == "lstm" else (zeros,))
        else:
            state = self._checked_state(hx, input.shape[:-1])
            state = state if batched else tuple(part[None] for part in state)
        cell = self._bound(x.shape[0], 1)
        _, new = BoundCell.step(cell, 0, cell.prepare(x), state)
        new = new if batched else tuple(part[0] for part in new)
        return new if self.kind == "lstm" else new[0]

    @property
    def _name(self) -> str:
        return f"{NAMES[self.kind]}Cell"

    def _check_like(self, label: str, x: Tensor) -> None:
        check_like(f"{self._name} {label}", x, cast(Tensor, self.weight_ih))

    def _checked_state(self, hx: Any, batch: Sequence[int]) -> tuple[Tensor, ...]:
        """The parts of a state, each of shape ``(*batch, size)``."""
        name, spec, weight = self._name, self.spec, cast(Tensor, self.weight_ih)
        parts = hx if self.kind == "lstm" else (hx,)
        check_state_parts(name, parts, len(spec.state_sizes), "the pair (h, c)")
        for part, (letter, size) in zip(parts, spec.state_sizes.items(), strict=True):
            width = size_name(spec, letter)
            check_state_part(name, letter, part, {"batch": batch[0], width: size} if batch else {width: size})
            check_like(f"{name} state {letter}", part, weight)
        return tuple(parts)

    def extra_repr(self) -> str:
        """The arguments that are not at their defaults."""
        shown = [f"{self.input_size}, {self.hidden_size}", *([] if self.bias else ["bias=False"])]
        return ", ".join([*shown, *(f"{name}={value!r}" for name, value in self.spec.changed_options().items())])


class RNNCell(CellModule):
    """One step of the simple recurrent network; drop-in for ``torch.nn.RNNCell``.

    Args:
        input_size: I, values in the input.
        hidden_size: H, units.
        bias: Whether there are bias vectors.
        nonlinearity: The activation φ, any name of :data:`holdfast.cells.ACTIVATIONS` or a callable.
        device: Where the parameters are made.
        dtype: Their dtype.
        **options: As in :class:`holdfast.cells.CellSpec`.

    Example:
        >>> h = RNNCell(3, 4)(torch.zeros(2, 3))
        >>> h.shape
        torch.Size([2, 4])
    """

    kind = "rnn"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Activation = "tanh",
        device: Any = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[CellOptions],
    ) -> None:
        options["activation"] = one_activation(nonlinearity, options)
        super().__init__(input_size, hidden_size, bias, device, dtype, options)

    @property
    def nonlinearity(self) -> Activation:
        """The activation, by torch.nn's name for it."""
        return self.spec.activation


class GRUCell(CellModule):
    """One step of the gated recurrent unit; drop-in for ``torch.nn.GRUCell``.

    Args:
        input_size: I, values in the input.
        hidden_size: H, units.
        bias: Whether there are bias vectors.
        device: Where the parameters are made.
        dtype: Their dtype.
        **options: As in :class:`holdfast.cells.CellSpec`.

    Example:
        >>> cell = GRUCell(3, 4)
        >>> h = cell(torch.zeros(2, 3), torch.ones(2, 4))
        >>> h.shape
        torch.Size([2, 4])
    """

    kind = "gru"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **options: Unpack[CellOptions],
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype, options)


class LSTMCell(CellModule):
    """One step of long short-term memory; drop-in for ``torch.nn.LSTMCell``.

    Args:
        input_size: I, values in the input.
        hidden_size: H, units.
        bias: Whether there are bias vectors.
        device: Where the parameters are made.
        dtype: Their dtype.
        proj_size: P, size of the projected output; 0 for none.
        **options: As in :class:`holdfast.cells.CellSpec`.

    Example:
        >>> cell = LSTMCell(3, 4)
        >>> h, c = cell(torch.zeros(2, 3), cell.initial_state(2))
        >>> h.shape, c.shape
        (torch.Size([2, 4]), torch.Size([2, 4]))
    """

    kind = "lstm"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        proj_size: int = 0,
        **options: Unpack[CellOptions],
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype, {"proj_size": proj_size, **options})
