"""The recurrent layers of Keras, alone and in both directions, as nodes of a network."""

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
from holdfast.interop.keras.build import Builder, Entry, Value, inner_layer
from holdfast.interop.keras.model import Layer
from holdfast.interop.keras.options import RecurrentOptions

MERGES = {"concat": "concat", "sum": "sum", "ave": "mean", "mul": "product"}
"""Keras's ways to merge two directions, and Holdfast's names of them."""


@dataclass(frozen=True)
class _Direction:
    """A recurrent layer in one direction.

    Attributes:
        name: Of its node, and of its output.
        options: Those of the layer.
        spec: The cell.
        tensors: The parameters of the cell.
        inputs: What it takes.
        initial: The initial state that it is called with.
        passed: The mask that goes on with its outputs.
    """

    name: str
    options: RecurrentOptions
    spec: CellSpec
    tensors: dict[str, Tensor]
    inputs: Value
    initial: Sequence[Value]
    passed: str


def _recurrent(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    options = keras_options.recurrent(layer, build.model.major)
    options, spec, tensors = keras_cells.parameters(options, build.weights(layer), layer.label)
    _check_width(layer, inputs[0], spec)
    initial = _initial(build, layer, inputs)
    x = _counted(build, layer, _dropped(build, layer, inputs[0], options), initial)
    return _run(build, _Direction(layer.name, options, spec, tensors, x, initial, inputs[0].mask))


def _bidirectional(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    wrapper = build.options(layer)
    mode = wrapper.take("merge_mode", default="concat")
    one, two = _both(build, layer, wrapper.take("layer"), wrapper.take("backward_layer"))
    wrapper.done()
    if mode is not None and mode not in MERGES:
        raise wrapper.refused("merge_mode", mode, f"one of {', '.join(MERGES)}, or null")
    arrays = build.weights(layer)
    first = keras_cells.count(one)
    first = first if len(arrays) == first + keras_cells.count(two) else len(arrays) // 2
    one, spec, tensors = keras_cells.parameters(one, arrays[:first], f"{layer.label}, forwards,")
    two, back, tensors_back = keras_cells.parameters(two, arrays[first:], f"{layer.label}, backwards,")
    _check_width(layer, inputs[0], spec)
    _check_width(layer, inputs[0], back)
    initial, passed = _initial(build, layer, inputs), inputs[0].mask
    x = _counted(build, layer, _dropped(build, layer, inputs[0], one), initial)

    repeats = bool(x.mask) and one.return_sequences and not one.zero_output
    alike = spec == back and two == keras_options.backwards(one) and not one.go_backwards
    if alike and mode is not None and not (repeats or one.return_state or initial):
        both = {name + layer_suffix(0): tensor for name, tensor in tensors.items()}
        both |= {name + layer_suffix(0, 1): tensor for name, tensor in tensors_back.items()}
        together = _Direction(layer.name, one, spec, both, x, (), passed)
        return _node(build, together, layer.name, {"bidirectional": True, "merge": MERGES[mode]})

    half, name = len(initial) // 2, layer.name
    y, *states = _run(build, _Direction(f"{name}/forward", one, spec, tensors, x, initial[:half], passed))
    # Keras turns what the second layer gives around once more, so that steps meet their like.
    last = _Direction(f"{name}/backward", two, back, tensors_back, x, initial[half:], passed)
    z, *more = _run(build, last, turned=True)
    if mode is None:
        return [y, z, *states, *more]
    if mode != "concat" and spec.output_size != back.output_size:
        raise wrapper.refused("merge_mode", mode, f"concat for {spec.output_size} and {back.output_size} units")
    build.node(name, "Merge", (y.name, z.name), {"mode": MERGES[mode]})
    width = spec.output_size + (back.output_size if mode == "concat" else 0)
    return [replace(y, name=name, width=width), *states, *more]


def _counted(build: Builder, layer: Layer, x: Value, initial: Sequence[Value]) -> Value:
    """The input with the mask that the layer heeds: in Keras 3, called with a state, only one that it is given by name.

    There a mask comes by itself to a layer of one tensor argument alone (``Layer.__call__``).
    """
    alone = bool(initial) and build.model.major >= 3 and not any(layer.masks)
    return replace(x, mask="") if alone else x


def _both(build: Builder, layer: Layer, config: Any, other: Any) -> tuple[RecurrentOptions, RecurrentOptions]:
    """The options of the two layers of a Bidirectional."""
    inner = inner_layer(layer, config)
    if inner.kind not in keras_options.RECURRENT:
        raise ConversionError(
            f"{layer.label} wraps a {inner.kind}; expected one of {', '.join(keras_options.RECURRENT)}."
        )
    one = keras_options.recurrent(inner, build.model.major)
    two = keras_options.backwards(one)
    if other is not None:
        two = keras_options.recurrent(inner_layer(layer, other), build.model.major)
    shared = ("return_sequences", "return_state", "stateful")
    if one.go_backwards == two.go_backwards or any(getattr(one, name) != getattr(two, name) for name in shared):
        raise ConversionError(
            f"{layer.label} has layers that do not go together; expected one of them with go_backwards, and the same "
            f"{', '.join(shared)}."
        )
    if "-tf" in build.model.version or build.model.since(2, 4):  # since it is TensorFlow's: zeros at masked steps
        return replace(one, zero_output=one.return_sequences), replace(two, zero_output=two.return_sequences)
    return one, two


def _run(build: Builder, direction: _Direction, *, turned: bool = False) -> list[Value]:
    """One direction: its output as Keras orders it, or ``turned`` around; and its state if that is asked for."""
    backwards = direction.options.go_backwards
    directions = {"reverse": True} if backwards else {}
    if not direction.options.return_sequences or backwards == turned:  # the last output, or all of them in time
        return _node(build, direction, direction.name, directions)
    made, *states = _node(build, direction, f"{direction.name}/in time", directions)
    build.node(f"{direction.name}/turned", "Flip", (made.name,), outputs=(direction.name,))
    return [replace(made, name=direction.name), *states]


def _node(build: Builder, direction: _Direction, output: str, directions: dict[str, Any]) -> list[Value]:
    options, spec, x = direction.options, direction.spec, direction.inputs
    if len(direction.initial) not in (0, len(spec.state_sizes)):
        raise ConversionError(
            f"{direction.name!r} is called with {len(direction.initial)} initial states; expected "
            f"{len(spec.state_sizes)}."
        )
    settings = {"cell": options.kind, "input_size": spec.input_size, "hidden_size": spec.hidden_size}
    settings |= {**options.of_cell(), **directions}
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
    kept = [Value(name, width=size, state=True) for name, size in states.items()]
    return [Value(output, masked, width), *kept]


def _initial(build: Builder, layer: Layer, inputs: list[Value]) -> list[Value]:
    """The initial state: Keras 2 has it among the inputs, Keras 3 as an argument of its own."""
    return [*inputs[1:], *(build.taken(one, state=True) for one in layer.initial)]


def _dropped(build: Builder, layer: Layer, x: Value, options: RecurrentOptions) -> Value:
    """The inputs with the ``dropout`` of a recurrent layer, which drops the same values at every step."""
    if not options.dropout:
        return x
    settings = {"p": options.dropout, "locked": True}
    return replace(x, name=build.node(f"{layer.name}/dropout", "Dropout", (x.name,), settings))


def _check_width(layer: Layer, x: Value, spec: CellSpec) -> None:
    if x.width not in (None, spec.input_size):
        raise ConversionError(
            f"{layer.label} has weights for {spec.input_size} inputs and gets {x.width}. Its weights and its settings "
            "are not of one model."
        )


LAYERS = {kind: Entry(_recurrent, states=True) for kind in keras_options.RECURRENT}
LAYERS["Bidirectional"] = Entry(_bidirectional, states=True)
