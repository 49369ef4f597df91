"""The options of a layer beyond those of its cell: their names, defaults and checks, and the cells they lead to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from holdfast.cells import NAMES, CellOptions, CellSpec, Kind, make_spec
from holdfast.engines.memory import Memory
from holdfast.errors import OptionError, did_you_mean

Merge = Literal["concat", "sum", "mean", "product"]
MERGES = ("concat", "sum", "mean", "product")


class LayerOptions(CellOptions, total=False):
    """The keyword arguments of a layer that torch.nn does not have: RecurrentLayer's and the cell's."""

    merge: Merge
    locked_dropout: bool
    residual: bool
    reverse: bool
    engine: str
    memory: Memory
    segment: int | None


_LAYER_ONLY = LayerOptions.__annotations__.keys() - CellOptions.__annotations__.keys()

DEFAULTS: dict[str, Any] = {
    "num_layers": 1,
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
    "merge": "concat",
    "locked_dropout": False,
    "residual": False,
    "reverse": False,
    "engine": "auto",
    "memory": "keep",
}
"""The options that the text of a layer shows if they have another value."""


def check_options(name: str, merge: str, dropout: float, switches: Mapping[str, bool]) -> None:
    """Refuses options of a layer that do not exist, are out of range, or contradict each other.

    Args:
        name: What messages call the layer.
        merge: As in :class:`~holdfast.layers.recurrent_layer.RecurrentLayer`.
        dropout: As there.
        switches: The options that are True or False, among them ``reverse`` and ``bidirectional``.

    Raises:
        OptionError: One does; the message names it.
    """
    if merge not in MERGES:
        raise OptionError(f"{name} has no merge {merge!r}: {did_you_mean(str(merge), MERGES)}")
    for option, value in switches.items():
        if value not in (True, False):
            raise OptionError(f"{name} {option} is {value!r}; expected True or False.")
    if not 0 <= dropout <= 1:
        raise OptionError(f"{name} dropout is {dropout}; expected a probability from 0 to 1.")
    if switches["reverse"] and switches["bidirectional"]:
        raise OptionError(f"{name} got reverse and bidirectional; expected one of them: both directions run already.")


def layer_sizes(name: str, hidden_size: int | Sequence[int], num_layers: int) -> list[int]:
    """H of each layer.

    Raises:
        OptionError: ``hidden_size`` and ``num_layers`` are not numbers of layers and sizes that fit together.
    """
    if not isinstance(num_layers, int) or num_layers < 1:
        raise OptionError(f"{name} num_layers is {num_layers!r}; expected a whole number from 1 on.")
    if not isinstance(hidden_size, Sequence):
        return [hidden_size] * num_layers
    if not hidden_size or num_layers not in (1, len(hidden_size)):
        raise OptionError(
            f"{name} hidden_size has {len(hidden_size)} sizes and num_layers is {num_layers}; expected one size per "
            "layer (num_layers may be left out)."
        )
    return list(hidden_size)


def make_specs(
    kind: Kind, input_size: int, sizes: Sequence[int], widening: int, residual: bool, options: Mapping[str, Any]
) -> Iterator[CellSpec]:
    """The cell of each layer; the output of one layer is the input of the next.

    Args:
        kind: The kind of cell.
        input_size: I of the first layer.
        sizes: H of each layer.
        widening: How many outputs of a cell, side by side, make the output of a layer: 2 for concatenated directions.
        residual: Whether layers add their input to their output, from the second layer on.
        options: ``bias`` and the other options of the cell.

    Raises:
        OptionError: An option is unknown or out of range, or ``residual`` would add unequal sizes.
    """
    width = input_size
    for number, size in enumerate(sizes):
        spec = make_spec(kind, {"input_size": width, "hidden_size": size, **options}, _LAYER_ONLY)
        output = spec.output_size * widening
        if residual and number and output != width:
            raise OptionError(
                f"{NAMES[kind]} residual: layer {number} has input size {width} and output size {output}; expected "
                "them to be equal to be added."
            )
        yield spec
        width = output
