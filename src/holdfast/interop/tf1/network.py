"""The recurrent layers of a TensorFlow 1 checkpoint: one by one, or as the network that they form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from holdfast.cells import CellSpec
from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import ConversionError
from holdfast.interop.network import Network, Node
from holdfast.interop.selection import LoneLayer, Selection, build_layer
from holdfast.interop.tf1.checkpoint import Checkpoint
from holdfast.interop.tf1.names import CELLS, FORGET_BIAS_STORED, Place, other_cell, parse_name, place_of
from holdfast.interop.tf1.weights import parameters, spec_of
from holdfast.layers.recurrent_layer import RecurrentLayer


class Cell(NamedTuple):
    """A recurrent cell of a checkpoint: its place, its description, and its parameters in Holdfast's layout."""

    place: Place
    spec: CellSpec
    parameters: dict[str, Tensor]

    def options(self) -> dict[str, Any]:
        """The arguments of its layer."""
        sizes = {"input_size": self.spec.input_size, "hidden_size": self.spec.hidden_size}
        return {**sizes, **self.spec.changed_options()}


def read_cells(path: str | Path | Checkpoint, scope: str = "", forget_bias: float = 1.0, **options: Any) -> list[Cell]:
    """The recurrent cells of a checkpoint, found by the names that TensorFlow 1's cells gave their variables.

    A checkpoint holds numbers only. Give the program's other settings here: the forget bias, an activation other than
    tanh, clips. The checkpoint does not show dropout or residual connections either.

    Args:
        path: The checkpoint, as :class:`Checkpoint` takes it.
        scope: Read only the cells under this scope; if empty, all cells.
        forget_bias: The number that the program's LSTM cells added at run time; TensorFlow's default is 1. Cells called
            ``cudnn_compatible_lstm_cell`` added none.
        **options: Options of every cell, as in :class:`CellSpec`.

    Raises:
        ModelFileError: The checkpoint cannot be read.
        ConversionError: It has a cell that no layer describes, or variables that do not form a cell.
    """
    checkpoint = path if isinstance(path, Checkpoint) else Checkpoint(path)
    names: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for name in checkpoint:
        if scope and not name.startswith(f"{scope}/"):
            continue
        if other := other_cell(name):
            raise ConversionError(
                f"{checkpoint.path} has variable {name} of {other}, which no layer of Holdfast describes. Give a "
                "scope without it; holdfast.tf1 has some of these cells, and its store restores them."
            )
        if parts := parse_name(name):
            names[parts[:2]][parts[2]] = name
    cells = []
    for (cell_scope, cell), variables in names.items():
        label, kind = f"{checkpoint.path}: {cell_scope}", CELLS[cell]
        tensors = {variable: checkpoint.read(name) for variable, name in variables.items()}
        dtypes = {tensor.dtype for tensor in tensors.values()}
        if len(dtypes) > 1 or not all(dtype.is_floating_point for dtype in dtypes):
            listed = ", ".join(sorted(map(str, dtypes)))
            raise ConversionError(f"{label} has variables of {listed}; expected one floating-point dtype.")
        spec = spec_of(kind, tensors, label, options)
        bias = 0.0 if cell == FORGET_BIAS_STORED else forget_bias
        cells.append(Cell(place_of(cell_scope, cell), spec, parameters(spec, tensors, bias, label)))
    return sorted(cells, key=lambda cell: (cell.place.block, cell.place.stage, cell.place.direction, cell.place.layer))


def read_layers(
    path: str | Path | Checkpoint, scope: str = "", forget_bias: float = 1.0, **options: Any
) -> dict[str, RecurrentLayer]:
    """A layer per cell of a checkpoint, batch first, by the cell's scope.

    A backward cell (``bw``) has ``reverse=True``.

    Args:
        path: As in :func:`read_cells`.
        scope: As in :func:`read_cells`.
        forget_bias: As in :func:`read_cells`.
        **options: As in :func:`read_cells`.

    Raises:
        ModelFileError: As in :func:`read_cells`.
        ConversionError: As in :func:`read_cells`.
    """
    selection = select(path, scope, forget_bias, **options)
    return {name: build_layer(layer, name) for name, layer in selection.layers.items()}


def select(path: str | Path | Checkpoint, scope: str = "", forget_bias: float = 1.0, **options: Any) -> Selection:
    """The recurrent cells of a checkpoint, and its other variables.

    Args:
        path: As in :func:`read_cells`.
        scope: As in :func:`read_cells`.
        forget_bias: As in :func:`read_cells`.
        **options: As in :func:`read_cells`.

    Raises:
        ModelFileError: As in :func:`read_cells`.
        ConversionError: As in :func:`read_cells`.
    """
    checkpoint = path if isinstance(path, Checkpoint) else Checkpoint(path)
    layers = {}
    for cell in read_cells(checkpoint, scope, forget_bias, **options):
        directions = {"reverse": True} if cell.place.direction == "bw" else {}
        tensors = {name + layer_suffix(0): tensor for name, tensor in cell.parameters.items()}
        layers[cell.place.scope] = LoneLayer({"cell": cell.spec.kind, **cell.options(), **directions}, tensors)
    return Selection(layers, tuple(name for name in checkpoint if parse_name(name) is None))


def read(path: str | Path | Checkpoint, scope: str = "", forget_bias: float = 1.0, **options: Any) -> Network:
    """The recurrent layers of a checkpoint as a network, from inputs [B, T, I] to the last layer's outputs [B, T, O].

    The layers are one cell, a MultiRNNCell, two directions, or a stack of these, as one call of TensorFlow 1 ran them.
    Other variables, such as an output layer's, are ignored: a checkpoint does not say how the program used them.

    Args:
        path: As in :func:`read_cells`, like the other arguments.
        scope: The scope.
        forget_bias: The forget bias.
        **options: Options of every cell.

    Raises:
        ModelFileError: As in :func:`read_cells`.
        ConversionError: As in :func:`read_cells`, or there are no recurrent cells, or cells of several calls.
    """
    cells = read_cells(path, scope, forget_bias, **options)
    blocks = sorted({cell.place.block for cell in cells})
    if len(blocks) != 1:
        where = f"under {scope!r}" if scope else "in it"
        content = (
            f"{len(blocks)} recurrent networks, {', '.join(map(repr, blocks))}" if blocks else "no recurrent cells"
        )
        raise ConversionError(f"{path} has {content} {where}; expected one. Give the scope of one, or read its layers.")
    stages: dict[int, dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        stages[cell.place.stage][cell.place.direction].append(cell)
    chain, value = _Chain(cells[0].spec.input_size), "inputs"
    for directions in stages.values():
        value = chain.stage(directions, value)
    network = Network(["inputs"], [value], chain.nodes).to(cells[0].parameters["weight_ih"].dtype)
    for name, node_cells in chain.cells.items():
        part: Any = network.module(name)
        _fill(part.layer, node_cells)
    return network.eval()


class _Chain:
    """The nodes of a network, and the cells whose parameters they get."""

    def __init__(self, depth: int) -> None:
        self.nodes: list[Node] = []
        self.cells: dict[str, list[Cell]] = {}
        self._widths = {"inputs": depth}

    def stage(self, directions: Mapping[str, list[Cell]], value: str) -> str:
        """Adds the nodes of one or two directions, and returns the name of their output."""
        forwards, backwards = directions.get("fw", []), directions.get("bw", [])
        if len(forwards) == len(backwards) == 1 and len(directions) == 2 and forwards[0].spec == backwards[0].spec:
            return self._layer([forwards[0], backwards[0]], value, {"bidirectional": True})
        ends = []
        for direction, cells in sorted(directions.items(), reverse=True):  # forwards first
            end = value
            for cell in cells:
                end = self._layer([cell], end, {"reverse": True} if direction == "bw" else {})
            ends.append(end)
        if len(ends) == 1:
            return ends[0]
        merged = " and ".join(ends)
        self.nodes.append(Node(merged, "Merge", {"mode": "concat"}, tuple(ends), (merged,)))
        self._widths[merged] = sum(self._widths[end] for end in ends)
        return merged

    def _layer(self, cells: list[Cell], value: str, directions: Mapping[str, Any]) -> str:
        spec, name = cells[0].spec, cells[0].place.scope
        if self._widths[value] != spec.input_size:
            raise ConversionError(
                f"{name} takes {spec.input_size} values and the layer below gives {self._widths[value]}; expected the "
                "same number. Read the layers one by one."
            )
        options = {"cell": spec.kind, **cells[0].options(), **directions}
        self.nodes.append(Node(name, "Recurrent", options, (value,), (name,)))
        self.cells[name] = cells
        self._widths[name] = spec.output_size * len(cells)
        return name


@torch.no_grad()
def _fill(layer: RecurrentLayer, cells: Sequence[Cell]) -> None:
    """Gives a layer of one or two directions the parameters of its cells."""
    for direction, cell in enumerate(cells):
        for name, value in cell.parameters.items():
            layer.get_parameter(name + layer_suffix(0, direction)).copy_(value)
