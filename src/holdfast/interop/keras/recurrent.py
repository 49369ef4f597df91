"""Converts Keras's recurrent layers, in one direction or two, to nodes of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from holdfast.cells import CellSpec
from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import ConversionError
from holdfast.interop.keras import cells as keras_cells
from holdfast.interop.keras import options as keras_options
from holdfast.interop.keras.builder import Builder, Entry, Value, inner_layer
from holdfast.interop.keras.model import Layer
from holdfast.interop.keras.options import RecurrentOptions

MERGES = {"concat": "concat", "sum": "sum", "ave": "mean", "mul": "product"}
"""Holdfast's name for each of Keras's ways to merge two directions."""


@dataclass(frozen=True)
class _Direction:
    """A recurrent layer in one direction.

    Attributes:
        name: The name of its node and of its output.
        options: The options of the layer.
        spec: The cell.
        tensors: The parameters of the cell.
        inputs: The input.
        initial: The initial state in the call.
        passed: The mask of its outputs.
    """

    name: str
    options: RecurrentOptions
    spec: CellSpec
    tensors: dict[str, Tensor]
    inputs: Value
    initial: Sequence[Value]
    passed: str


def _recurrent(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = keras_options.recurrent_options(layer, build.model.major)
    options, spec, tensors = keras_cells.parameters(options, build.weights(layer), layer.label)
    _check_width(layer, inputs[0], spec)
    initial = _initial(build, layer, inputs)
    x = _with_call_mask(build, layer, _with_dropout(build, layer, inputs[0], options), initial)
    return _run(build, _Direction(layer.name, options, spec, tensors, x, initial, inputs[0].mask))


def _bidirectional(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    wrapper = build.options(layer)
    mode = wrapper.take("merge_mode", default="concat")
    forward, backward = _both_options(build, layer, wrapper.take("layer"), wrapper.take("backward_layer"))
    wrapper.done()
    if mode is not None and mode not in MERGES:
        raise wrapper.refused("merge_mode", mode, f"one of {', '.join(MERGES)}, or null")
    arrays = build.weights(layer)
    first = keras_cells.array_count(forward)
    first = first if len(arrays) == first + keras_cells.array_count(backward) else len(arrays) // 2
    forward, spec, tensors = keras_cells.parameters(forward, arrays[:first], f"{layer.label}, forwards,")
    backward, spec_back, tensors_back = keras_cells.parameters(backward, arrays[first:], f"{layer.label}, backwards,")
    _check_width(layer, inputs[0], spec)
    _check_width(layer, inputs[0], spec_back)
    initial, passed = _initial(build, layer, inputs), inputs[0].mask
    x = _with_call_mask(build, layer, _with_dropout(build, layer, inputs[0], forward), initial)

    repeats = bool(x.mask) and forward.return_sequences and not forward.zero_output
    alike = spec == spec_back and backward == keras_options.backwards(forward) and not forward.go_backwards
    if alike and mode is not None and not (repeats or forward.return_state or initial):
        both = {name + layer_suffix(0): tensor for name, tensor in tensors.items()}
        both |= {name + layer_suffix(0, 1): tensor for name, tensor in tensors_back.items()}
        direction = _Direction(layer.name, forward, spec, both, x, (), passed)
        return _node(build, direction, layer.name, {"bidirectional": True, "merge": MERGES[mode]})

    half, name = len(initial) // 2, layer.name
    y, *states = _run(build, _Direction(f"{name}/forward", forward, spec, tensors, x, initial[:half], passed))
    # Keras reverses the outputs of the second layer once more, so that the steps of both match.
    direction = _Direction(f"{name}/backward", backward, spec_back, tensors_back, x, initial[half:], passed)
    z, *states_back = _run(build, direction, reverse_outputs=True)
    if mode is None:
        return [y, z, *states, *states_back]
    if mode != "concat" and spec.output_size != spec_back.output_size:
        raise wrapper.refused("merge_mode", mode, f"concat for {spec.output_size} and {spec_back.output_size} units")
    build.node(name, "Merge", (y.name, z.name), {"mode": MERGES[mode]})
    width = spec.output_size + (spec_back.output_size if mode == "concat" else 0)
    return [replace(y, name=name, width=width), *states, *states_back]


def _with_call_mask(build: Builder, layer: Layer, x: Value, initial: Sequence[Value]) -> Value:
    """The input with the mask that the layer uses.

    Keras 3 passes a mask on by itself only to a layer with one tensor argument (``Layer.__call__``). A layer that is
    called with a state uses only a mask that is given by name.
    """
    unmasked = bool(initial) and build.model.major >= 3 and not any(layer.masks)
    return replace(x, mask="") if unmasked else x


def _both_options(
    build: Builder, layer: Layer, config: Any, backward_config: Any
) -> tuple[RecurrentOptions, RecurrentOptions]:
    """The options of the two layers of a Bidirectional."""
    inner = inner_layer(layer, config)
    if inner.kind not in keras_options.RECURRENT:
        raise ConversionError(
            f"{layer.label} wraps a {inner.kind}; expected one of {', '.join(keras_options.RECURRENT)}."
        )
    forward = keras_options.recurrent_options(inner, build.model.major)
    backward = keras_options.backwards(forward)
    if backward_config is not None:
        backward = keras_options.recurrent_options(inner_layer(layer, backward_config), build.model.major)
    shared = ("return_sequences", "return_state", "stateful")
    if forward.go_backwards == backward.go_backwards or any(
        getattr(forward, name) != getattr(backward, name) for name in shared
    ):
        raise ConversionError(
            f"{layer.label} has layers that cannot be combined; expected one of them with go_backwards, and the same "
            f"{', '.join(shared)}."
        )
    if "-tf" in build.model.version or build.model.since(
        2, 4
    ):  # since Keras is part of TensorFlow: zeros at masked steps
        return replace(forward, zero_output=forward.return_sequences), replace(
            backward, zero_output=backward.return_sequences
        )
    return forward, backward


def _run(build: Builder, direction: _Direction, *, reverse_outputs: bool = False) -> list[Value]:
    """One direction: its output in Keras's order or in the reverse order; and its state, if the options ask for it."""
    backwards = direction.options.go_backwards
    directions = {"reverse": True} if backwards else {}
    if (
        not direction.options.return_sequences or backwards == reverse_outputs
    ):  # the last output, or all in order of time
        return _node(build, direction, direction.name, directions)
    output, *states = _node(build, direction, f"{direction.name}/in time", directions)
    build.node(f"{direction.name}/turned", "Flip", (output.name,), outputs=(direction.name,))
    return [replace(output, name=direction.name), *states]


def _node(build: Builder, direction: _Direction, output: str, directions: dict[str, Any]) -> list[Value]:
    options, spec, x = direction.options, direction.spec, direction.inputs
    if len(direction.initial) not in (0, len(spec.state_sizes)):
        raise ConversionError(
            f"{direction.name!r} is called with {len(direction.initial)} initial states; expected "
            f"{len(spec.state_sizes)}."
        )
    settings = {"cell": options.kind, "input_size": spec.input_size, "hidden_size": spec.hidden_size}
    settings |= {**options.layer_options(), **directions}
    masked = direction.passed if options.return_sequences else ""
    if masked and x.mask and not options.zero_output:
        settings["repeat"] = True
    if options.stateful:
        settings["stateful"] = True
    states = {f"{direction.name}/{part}": size for part, size in spec.state_sizes.items() if options.return_state}
    inputs = (x.name, x.mask, *(part.name for part in direction.initial))
    build.node(
        direction.name,
        "Recurrent",
        inputs if any(inputs[1:]) else inputs[:1],
        settings,
        (output, "", *states) if options.return_sequences else ("", output, *states),
        {
            f"layer.{name if layer_suffix(0) in name else name + layer_suffix(0)}": tensor
            for name, tensor in direction.tensors.items()
        },
    )
    width = spec.output_size * (2 if directions.get("merge") == "concat" else 1)
    return [Value(output, masked, width), *(Value(name, width=size, state=True) for name, size in states.items())]


def _initial(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    """The initial state: Keras 2 has it among the inputs, Keras 3 in its own argument."""
    return [*inputs[1:], *(build.value(one, state=True) for one in layer.initial)]


def _with_dropout(build: Builder, layer: Layer, x: Value, options: RecurrentOptions) -> Value:
    """The inputs after a recurrent layer's ``dropout``, which drops the same values at every step."""
    if not options.dropout:
        return x
    settings = {"p": options.dropout, "locked": True}
    return replace(x, name=build.node(f"{layer.name}/dropout", "Dropout", (x.name,), settings))


def _check_width(layer: Layer, x: Value, spec: CellSpec) -> None:
    if x.width not in (None, spec.input_size):
        raise ConversionError(
            f"{layer.label} has weights for {spec.input_size} inputs and gets {x.width}. Its weights and its settings "
            "are not from the same model."
        )


LAYERS = {kind: Entry(_recurrent, states=True) for kind in keras_options.RECURRENT}
LAYERS["Bidirectional"] = Entry(_bidirectional, states=True)
