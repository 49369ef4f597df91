"""The cases that are measured: layers, shapes and peers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}

TORCH, CELL_LOOP = "torch.nn", "loop over torch.nn cells"
KERAS = ("keras-tensorflow", "keras-jax", "keras-torch")
PLAIN, RECOMPUTE, FLOAT32 = "holdfast, plain", "holdfast, recompute", "holdfast, float32"

SHAPES = ((128, 28, 128, 128), (256, 28, 256, 256), (64, 60, 128, 256), (20, 35, 650, 650), (64, 100, 512, 1024))
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
    """

    group: str
    name: str
    cell: str
    shape: tuple[int, int, int, int]
    options: Mapping[str, Any] = field(default_factory=dict)
    peers: tuple[str, ...] = (TORCH,)
    passes: tuple[str, ...] = ("forward", "training")
    uneven: bool = False
    states: bool = False
    bfloat16: bool = False

    @property
    def title(self) -> str:
        """Name and shape."""
        return f"{self.name} {self.shape}"

    def operations(self, running: int, which: str) -> int:
        """The number of multiplications and additions of a pass over ``running`` steps, counted over all rows.

        A training step has three times as many as a forward pass, minus those for the gradient of the first layer's
        input.
        """
        _, _, I, H = self.shape  # noqa: E741
        directions = 2 if self.options.get("bidirectional") else 1
        inputs = [I] + [H * directions] * (self.options.get("num_layers", 1) - 1)
        each = 2 * running * directions * GATES[self.cell] * H
        forward = sum(each * (width + H) for width in inputs)
        return 3 * forward - each * I if which == "training" else forward


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
    """Every case, in the order of the table."""
    for cell in GATES:
        for number, shape in enumerate(SHAPES):
            peers = (TORCH, CELL_LOOP, *KERAS) if number == 0 else (TORCH, *KERAS) if cell == "LSTM" else (TORCH,)
            yield Case("layers", cell, cell, shape, peers=peers)
    for shape in SHAPES[:4]:
        yield Case("layers", "LSTM, lengths T/2 to T", "LSTM", shape, uneven=True)
    two_ways = {**TWO_LAYERS, "bidirectional": True}
    yield Case("layers", "LSTM, 2 layers, bidirectional", "LSTM", SHAPES[2], two_ways)
    yield Case("layers", "LSTM, 2 layers", "LSTM", (128, 8, 2, 20), TWO_LAYERS)
    yield Case("layers", "LSTM, one row", "LSTM", (1, 28, 28, 128))
    yield Case("layers", "LSTM, one step of a stream", "LSTM", (1, 1, 28, 128), passes=("step",))
    for shape in (SHAPES[0], SHAPES[2]):
        for name, options in VARIANTS.items():
            yield Case("variants", name, "LSTM", shape, options, peers=(PLAIN,))
        yield Case("variants", "projection to half", "LSTM", shape, {"proj_size": shape[3] // 2}, peers=(PLAIN,))
        yield Case("variants", "state of every step", "LSTM", shape, peers=(PLAIN,), states=True)
    yield Case("bfloat16", "LSTM, bfloat16", "LSTM", SHAPES[1], peers=(FLOAT32,), bfloat16=True)
    yield Case("memory", "LSTM, long", "LSTM", (32, 2048, 256, 256), peers=(TORCH, RECOMPUTE), passes=("training",))
    yield Case("epoch", "MNIST epoch", "LSTM", (128, 28, 28, 192), peers=(TORCH, "keras-jax"), passes=("epoch",))
