"""The cases that are measured: layers, streams and cells, shapes and peers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

CELLS = ("LSTM", "GRU", "RNN")
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}

TORCH, CELL_LOOP = "torch.nn", "loop over torch.nn cells"
ONNXRUNTIME, OPENVINO = "onnxruntime", "openvino"
KERAS = ("keras-tensorflow", "keras-jax", "keras-torch")
PEERS = (TORCH, CELL_LOOP, ONNXRUNTIME, OPENVINO, *KERAS)
PRODUCTS = "products alone"  # the matrix products of the case, without the rest: the practical ceiling
PLAIN, RECOMPUTE, FLOAT32 = "holdfast, plain", "holdfast, recompute", "holdfast, float32"
OWN = (PRODUCTS, PLAIN, RECOMPUTE, FLOAT32)  # what every run is compared with, whichever peers it is asked for
# The contenders that follow the variables in `instruction_sets.environment`; the others have no such switch.
FOLLOWING = (TORCH, CELL_LOOP, *OWN)

SMALL, WIDE, LONG = (128, 28, 128, 128), (256, 28, 256, 256), (64, 60, 128, 256)
SHAPES = (SMALL, WIDE, LONG)
LSTM_SHAPES = ((20, 35, 650, 650), (64, 100, 512, 1024))
CELL_BATCHES, CELL_SIZES, CELL_STEPS = (1, 8, 32), (64, 256), 20
LAYER_PEERS = (TORCH, ONNXRUNTIME, OPENVINO, PRODUCTS)
STREAM_PEERS = (TORCH, ONNXRUNTIME, PRODUCTS)
TWO_LAYERS = {"num_layers": 2}


@dataclass(frozen=True)
class Case:
    """One layer at one shape.

    Attributes:
        group: The part of the results that it belongs to.
        name: What is special about the case; name and shape together identify it.
        cell: ``"LSTM"``, ``"GRU"`` or ``"RNN"``.
        shape: B rows, T steps, I inputs, H units.
        options: Arguments of our layer beyond sizes and ``batch_first``; also of torch.nn's layer if it has them.
        peers: The contenders that it is compared with.
        passes: What is timed: ``"forward"`` without autograd, ``"training"``: forward and the gradients of all
            parameters, from a gradient of the output; ``"step"``: one step of a stream.
        uneven: Whether rows have different lengths, spread evenly over T/2 to T, in any order.
        states: Whether our layer also returns the state after every step.
        bfloat16: Whether our layer runs under ``torch.autocast("cpu", torch.bfloat16)``.
        weights: The dtype in which our stream keeps its weights.
        one_set: Whether it is measured only with the best instruction set of the processor.
    """

    group: str
    name: str
    cell: str
    shape: tuple[int, int, int, int]
    options: Mapping[str, Any] = field(default_factory=dict)
    peers: tuple[str, ...] = LAYER_PEERS
    passes: tuple[str, ...] = ("forward", "training")
    uneven: bool = False
    states: bool = False
    bfloat16: bool = False
    weights: str = "float32"
    one_set: bool = False

    @property
    def title(self) -> str:
        """Name and shape."""
        return f"{self.name} {self.shape}"

    @property
    def directions(self) -> int:
        """1, or 2 for a bidirectional layer."""
        return 2 if self.options.get("bidirectional") else 1

    @property
    def input_sizes(self) -> list[int]:
        """The number of inputs of each layer."""
        _, _, I, H = self.shape  # noqa: E741
        return [I] + [H * self.directions] * (self.options.get("num_layers", 1) - 1)


VARIANTS: dict[str, dict[str, Any]] = {
    "peepholes": {"peepholes": True},
    "coupled gates": {"coupled_gates": True},
    "zoneout": {"zoneout_h": 0.1, "zoneout_c": 0.1},
    "recurrent dropout, state": {"recurrent_dropout": 0.25},
    "recurrent dropout, candidate": {"recurrent_dropout": 0.25, "recurrent_dropout_mode": "candidate"},
    "cell clip": {"cell_clip": 3.0},
    "layer norm": {"layer_norm": True},
}


def all_cases() -> Iterator[Case]:
    """Every case, in the order of the tables."""
    yield from layer_cases()
    yield from stream_cases()
    for cell in CELLS:
        for size in CELL_SIZES:
            for batch in CELL_BATCHES:
                yield Case("cells", f"{cell}Cell", cell, (batch, CELL_STEPS, size, size), peers=(TORCH,))
    for shape in (SMALL, LONG):
        for name, options in VARIANTS.items():
            yield Case("variants", name, "LSTM", shape, options, peers=(PLAIN,), one_set=True)
        half = {"proj_size": shape[3] // 2}
        yield Case("variants", "projection to half", "LSTM", shape, half, peers=(PLAIN,), one_set=True)
        yield Case("variants", "state of every step", "LSTM", shape, peers=(PLAIN,), states=True, one_set=True)
    yield Case("bfloat16", "LSTM, bfloat16", "LSTM", WIDE, peers=(FLOAT32,), bfloat16=True, one_set=True)
    compared = (TORCH, RECOMPUTE)
    yield Case("memory", "LSTM, long", "LSTM", (32, 2048, 256, 256), peers=compared, passes=("training",), one_set=True)
    compared = (TORCH, "keras-jax")
    yield Case("epoch", "MNIST epoch", "LSTM", (128, 28, 28, 192), peers=compared, passes=("epoch",), one_set=True)


def layer_cases() -> Iterator[Case]:
    """Whole layers, with the sizes of a step from one row of 28 inputs to 64 rows of 1,024 units."""
    for cell in CELLS:
        for shape in (*SHAPES, *LSTM_SHAPES) if cell == "LSTM" else SHAPES:
            peers: tuple[str, ...] = (*LAYER_PEERS, *KERAS) if cell == "LSTM" or shape == SMALL else LAYER_PEERS
            yield Case("layers", cell, cell, shape, peers=(*peers, CELL_LOOP) if shape == SMALL else peers)
    two_ways = {**TWO_LAYERS, "bidirectional": True}
    yield Case("layers", "LSTM, lengths T/2 to T", "LSTM", LONG, uneven=True)
    yield Case("layers", "GRU, lengths T/2 to T", "GRU", LONG, uneven=True)
    yield Case("layers", "LSTM, 2 layers, bidirectional", "LSTM", LONG, two_ways)
    yield Case("layers", "LSTM, 2 layers", "LSTM", (128, 8, 2, 20), TWO_LAYERS)
    yield Case("layers", "LSTM", "LSTM", (64, 100, 16, 64))
    yield Case("layers", "LSTM, one row", "LSTM", (1, 28, 28, 128))
    yield Case("layers", "GRU, one row", "GRU", (1, 28, 28, 128))
    yield Case("layers", "LSTM, one step by a layer", "LSTM", (1, 1, 28, 128), passes=("forward",))


def stream_cases() -> Iterator[Case]:
    """Streams of one sequence, one step per call; those of 2 x 512 units are bound by the memory of their weights."""
    small, large = (1, 1, 28, 128), (1, 1, 80, 512)
    yield Case("layers", "LSTM, one step of a stream", "LSTM", small, peers=STREAM_PEERS, passes=("step",))
    name = "LSTM, 2 layers, one step of a stream"
    yield Case("layers", name, "LSTM", large, TWO_LAYERS, peers=STREAM_PEERS, passes=("step",))
    for weights in ("bfloat16", "int8"):
        name = f"LSTM, 2 layers, one step of a stream, {weights} weights"
        yield Case("weights", name, "LSTM", large, TWO_LAYERS, peers=(FLOAT32,), passes=("step",), weights=weights)
