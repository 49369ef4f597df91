"""A run of a model that keeps every state of its recurrent layers in the graph of autograd."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.cells.nested_state import State
from holdfast.engines.reference import ReferenceEngine
from holdfast.engines.request import Request, Result
from holdfast.engines.time_loop import SequenceCell
from holdfast.engines.unrolling import sequence_cell, unroll
from holdfast.inspect.observation import STATES, Observer, layer_key, named_parts, step_arguments
from holdfast.layers.cell_modules import CellModule
from holdfast.layers.own_layer import OwnLayer
from holdfast.layers.recurrent_layer import RecurrentLayer

States = dict[str, Tensor]
"""The parts of a state by name, [B, size] each."""


@dataclass
class TracedCall:
    """One call of a layer in one direction.

    Attributes:
        steps: T.
        lengths: As in :class:`holdfast.inspect.LayerRecording`.
        reverse: The same.
        states: The state after each step that ran, by its position in the sequence.
    """

    steps: int
    lengths: Tensor | None
    reverse: bool
    states: dict[int, States] = field(default_factory=dict)


class Tracer(Observer):
    """Runs the recurrent layers of a model step by step, by the reference, and keeps the states.

    Attributes:
        calls: The calls of each layer and direction, by its name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[TracedCall]] = {}

    def run_request(self, name: str, layer: RecurrentLayer, request: Request) -> Result:
        """As :meth:`Observer.run_request`."""
        names = [STATES[letter] for letter in request.spec.state_sizes]
        call = self._new(layer_key(name, request.suffix), request.inputs.shape[1], request.lengths, request.reverse)
        engine = ReferenceEngine(lambda cell: _Keeping(cell, call, lambda state: dict(zip(names, state, strict=True))))
        return engine.run(replace(request, memory="keep"))

    def unroll(self, name: str, layer: OwnLayer, cell: nn.Module, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        """As :meth:`Observer.unroll`."""
        inputs, before, lengths = arguments
        reverse = bool(options.get("reverse", False))
        known = None if lengths is None else torch.as_tensor(lengths, device=inputs.device)
        call = self._new(layer_key(name, layer.suffix(cell)), inputs.shape[1], known, reverse)
        outputs, after = unroll(_KeepingModule(cell, call), inputs, before, lengths, reverse=reverse)
        return outputs, after

    def note_step(self, name: str, cell: CellModule, arguments: tuple[Any, ...], output: Any) -> None:
        """As :meth:`Observer.note_step`."""
        _, after = step_arguments(cell, arguments, output)
        call = self._new(name or "cell", 1, None, False)
        call.states[0] = dict(zip([STATES[letter] for letter in cell.spec.state_sizes], after, strict=True))

    def _new(self, key: str, steps: int, lengths: Tensor | None, reverse: bool) -> TracedCall:
        call = TracedCall(steps, lengths, reverse)
        self.layers.setdefault(key, [])
        if torch.is_grad_enabled():  # else the call has no part in the loss, such as the search of a translator
            self.calls.setdefault(key, []).append(call)
        return call


class _Keeping:
    """A cell that also keeps the state after each step."""

    def __init__(self, cell: SequenceCell, call: TracedCall, named: Any) -> None:
        self._cell, self._call, self._named = cell, call, named

    def prepare(self, inputs: Tensor) -> Tensor:
        """As of the cell; the result has a gradient, so that every state has one."""
        prepared = self._cell.prepare(inputs)
        needs = prepared.is_floating_point() and not prepared.requires_grad
        return prepared.detach().requires_grad_() if needs else prepared

    def step(self, t: int, prepared: Tensor, state: State) -> tuple[Tensor, State]:
        """As of the cell."""
        output, new = self._cell.step(t, prepared, state)
        self._call.states[t] = self._named(new)
        return output, new


class _KeepingModule:
    """A cell of your own for :func:`holdfast.unroll`, which also keeps the state after each step."""

    def __init__(self, cell: Any, call: TracedCall) -> None:
        self._cell, self._call = cell, call

    def initial_state(self, *arguments: Any, **options: Any) -> State:
        """As of the cell."""
        return self._cell.initial_state(*arguments, **options)

    def begin_sequence(self, inputs: Tensor, state: State) -> _Keeping:
        """The cell for one batch of sequences."""
        return _Keeping(sequence_cell(self._cell, inputs, state), self._call, named_parts)


def gradients_by_step(loss: Tensor, calls: Sequence[TracedCall]) -> list[States]:
    """The norm of the gradient of a loss with respect to every state, for each call: [B, T] by the names of states.

    Steps that did not run have 0.
    """
    tensors = [part for call in calls for state in call.states.values() for part in state.values()]
    wanted = [tensor for tensor in tensors if tensor.requires_grad]
    found = iter(torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True) if wanted else ())
    results = []
    for call in calls:
        norms: dict[str, Tensor] = {}
        for t, state in call.states.items():
            for name, part in state.items():
                gradient = next(found) if part.requires_grad else None
                if name not in norms:
                    norms[name] = part.new_zeros(part.shape[0], call.steps).detach()
                if gradient is not None:
                    norms[name][:, t] = gradient.flatten(1).norm(dim=1)
        results.append(norms)
    return results


@contextmanager
def differentiable() -> Iterator[None]:
    """Gradients, also where the caller has switched them off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield
