"""Looking at the recurrent layers in a model while it runs, and leaving the model as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.cells import NAMES
from holdfast.cells.nested_state import State, map_state
from holdfast.engines.gates import by_reference, run_recorded
from holdfast.engines.request import Request, Result
from holdfast.engines.unrolling import unroll
from holdfast.errors import OptionError
from holdfast.inspect.layer_recording import LayerRecording
from holdfast.layers.cell_modules import CellModule
from holdfast.layers.own_layer import OwnLayer
from holdfast.layers.parameters import collect
from holdfast.layers.recurrent_layer import RecurrentLayer

_GATES = {"i": "input", "f": "forget", "g": "candidate", "o": "output"}
_GATES |= {"r": "reset", "z": "update", "n": "candidate", "h": "candidate"}
STATES = {"h": "hidden", "c": "cell"}
"""The names of the parts of a state."""


class Observer:
    """Records what the recurrent layers of a model compute.

    Attributes:
        layers: What each layer and direction computed, call by call, by its name.
    """

    def __init__(self) -> None:
        self.layers: dict[str, list[LayerRecording]] = {}

    def run_request(self, name: str, layer: RecurrentLayer, request: Request) -> Result:
        """Runs the request of one layer and direction in place of an engine.

        Args:
            name: The name of the layer in the model.
            layer: The layer.
            request: The request.
        """
        result, gates = run_recorded(layer.engine, request)
        self._add(layer_key(name, request.suffix), _from_request(request, result, gates))
        return result

    def unroll(self, name: str, layer: OwnLayer, cell: nn.Module, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        """Unrolls a cell of your own in place of :func:`holdfast.unroll`, whose arguments these are."""
        inputs, before, lengths = arguments
        if before is None:
            before = cell.initial_state(len(inputs), dtype=inputs.dtype, device=inputs.device)  # type: ignore[operator]
        outputs, after, states = unroll(cell, inputs, before, lengths, return_states=True, **options)
        known = None if lengths is None else torch.as_tensor(lengths, device=inputs.device)
        recording = LayerRecording(
            cell=layer.name,
            gates=_own_gates(cell, inputs, before, states, known, options.get("reverse", False)),
            states=named_parts(states),
            output=outputs,
            initial=named_parts(before),
            inputs=inputs,
            lengths=known,
            reverse=options.get("reverse", False),
        )
        self._add(layer_key(name, layer.suffix(cell)), recording)
        return outputs, after

    def note_step(self, name: str, cell: CellModule, arguments: tuple[Any, ...], output: Any) -> None:
        """Records a call of a module for one step."""
        x = arguments[0]
        before, after = step_arguments(cell, arguments, output)
        request = Request(cell.spec, x.reshape(-1, 1, x.shape[-1]), before, collect(cell, cell.spec, ""))
        states = tuple(part[:, None] for part in after)
        result = Result(states[0], after, states)
        self._add(name or "cell", _from_request(request, result, by_reference(request, result)))

    def _add(self, name: str, recording: LayerRecording) -> None:
        """Appends a call to those of the layer before it; with another number of rows, it starts a new recording."""
        number, key = 1, name
        while key in self.layers and len(self.layers[key][0].output) != len(recording.output):
            number += 1
            key = f"{name}#{number}"
        self.layers.setdefault(key, []).append(recording)

    def check_seen(self, network: nn.Module) -> None:
        """Refuses a model without a recurrent layer that ran.

        Raises:
            OptionError: No such layer ran.
        """
        if not self.layers:
            raise OptionError(
                f"No recurrent layer of Holdfast ran in this {type(network).__name__}; expected a model with an LSTM, "
                "a GRU or an RNN of Holdfast. For a model with torch.nn's, call holdfast.replace_recurrent(model) "
                "first."
            )


@contextmanager
def observed(network: nn.Module, observer: Any) -> Iterator[None]:
    """Lets an observer run the recurrent layers of a network, with the methods of :class:`Observer`.

    On exit the network is as it was, also after an error.
    """
    with ExitStack() as stack:
        for name, module in network.named_modules():
            if isinstance(module, RecurrentLayer):
                stack.enter_context(_set(module, "request_observer", _of(observer.run_request, name, module)))
            elif isinstance(module, OwnLayer):
                stack.enter_context(_set(module, "unroll_observer", _of(observer.unroll, name, module)))
            elif isinstance(module, CellModule):
                stack.callback(_hook(module, _of(observer.note_step, name, module)).remove)
        yield


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[None]:
    """Puts a network in evaluation mode. On exit it is as it was, and so is torch's random state.

    Its mode is restored, and what its modules set while they ran, such as the state that a stateful layer keeps.
    """
    before = [(module, dict(vars(module)), dict(module._buffers)) for module in network.modules()]
    devices = {tensor.device.index for tensor in network.parameters() if tensor.is_cuda}
    with torch.random.fork_rng(devices=sorted(devices)):
        try:
            network.eval()
            yield
        finally:
            for module, attributes, buffers in before:
                vars(module).clear()
                vars(module).update(attributes)
                module._buffers.clear()
                module._buffers.update(buffers)


def named_parts(state: State) -> dict[str, Tensor]:
    """The tensors of the state of a cell of your own by name: ``hidden``, ``state_1``, ...; of a dict, by its keys."""
    if isinstance(state, dict):
        return {str(key): part for key, part in state.items()}
    leaves: list[Tensor] = []
    map_state(leaves.append, state)
    return {f"state_{k}" if k else "hidden": part for k, part in enumerate(leaves)}


def gate_name(letter: str) -> str:
    """The name of a gate or candidate, by its letter in the equations of its cell."""
    return _GATES[letter]


def layer_key(name: str, suffix: str) -> str:
    """The name of a layer and direction.

    Args:
        name: The name of the layer in the model; empty for the model itself.
        suffix: What follows the names of its parameters, such as ``"_l0_reverse"``.
    """
    return f"{name}.{suffix.removeprefix('_')}" if name else suffix.removeprefix("_")


def step_arguments(
    cell: CellModule, arguments: tuple[Any, ...], output: Any
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The state before and after a call of a module for one step, [B, size] each.

    Args:
        cell: The module.
        arguments: The input of the call and its state, or None.
        output: The result of the call.
    """
    x, hx = arguments
    before = cell.initial_state(x.shape[0] if x.ndim == 2 else 1, dtype=x.dtype) if hx is None else hx
    states = (tuple(state) if cell.kind == "lstm" else (state,) for state in (before, output))
    first, second = (tuple(part.reshape(-1, part.shape[-1]) for part in state) for state in states)
    return first, second


def _from_request(request: Request, result: Result, gates: dict[str, Tensor]) -> LayerRecording:
    names = [STATES[letter] for letter in request.spec.state_sizes]
    return LayerRecording(
        cell=NAMES[request.spec.kind],
        gates={gate_name(letter): gate for letter, gate in gates.items()},
        states=dict(zip(names, result.states or (), strict=True)),
        output=result.outputs,
        initial=dict(zip(names, request.state, strict=True)),
        inputs=request.inputs,
        lengths=request.lengths,
        reverse=request.reverse,
    )


def _own_gates(
    cell: Any, inputs: Tensor, initial: State, states: State, lengths: Tensor | None, reverse: bool
) -> dict[str, Tensor]:
    """What the method ``gates(x, state)`` of a cell gives for every step, [B, T, ...] each; empty without one."""
    if not hasattr(cell, "gates"):
        return {}
    steps = inputs.shape[1]
    by_step = []
    for t in range(steps):
        before = t + 1 if reverse else t - 1
        state = initial if before in (-1, steps) else map_state(lambda part, at=before: part[:, at], states)
        gates = cell.gates(inputs[:, t], state)
        if lengths is not None:
            past = t >= lengths
            gates = {name: gate.masked_fill(past.view(-1, *[1] * (gate.ndim - 1)), 0) for name, gate in gates.items()}
        by_step.append(gates)
    return {str(name): torch.stack([gates[name] for gates in by_step], 1) for name in by_step[0]}


def _of(function: Callable[..., Any], name: str, module: nn.Module) -> Callable[..., Any]:
    return lambda *arguments, **options: function(name, module, *arguments, **options)


@contextmanager
def _set(module: nn.Module, attribute: str, value: Any) -> Iterator[None]:
    """Gives a module an attribute of its own in place of its class's."""
    setattr(module, attribute, value)
    try:
        yield
    finally:
        delattr(module, attribute)


def _hook(cell: CellModule, note: Callable[..., None]) -> Any:
    def hook(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        values = [*arguments, *(named[name] for name in ("input", "hx")[len(arguments) :] if name in named), None]
        note(tuple(values[:2]), output)

    return cell.register_forward_hook(hook, with_kwargs=True)
