"""ONNX models whose node LSTM or GRU is wrong, each with the start of its error message."""

from __future__ import annotations

import numpy as np
from tests.interop.onnx.hostile_models import attribute, node_of, weights

H = np.float32
LAYERS: dict[str, tuple[bytes, str]] = {
    "a hidden size of 2^60": (
        attribute("hidden_size", 2**60),
        "The node 'cell' (LSTM) has hidden_size 1152921504606846976, and R of shape (1, 16, 4)",
    ),
    "a hidden size below zero": (
        attribute("hidden_size", -4),
        "The node 'cell' (LSTM) has hidden_size -4, and R of shape",
    ),
    "a hidden size that is text": (
        attribute("hidden_size", "4"),
        "The node 'cell' (LSTM) has hidden_size = '4'; expected a int.",
    ),
    "a direction that is none": (
        attribute("direction", "sideways"),
        "The node 'cell' (LSTM) has direction 'sideways'; expected one of forward, reverse, bidirectional.",
    ),
    "two directions and weights for one": (
        attribute("direction", "bidirectional"),
        "The node 'cell' (LSTM) has W of shape (1, 16, 3) and torch.float32; expected 2 first",
    ),
    "a layout that is none": (
        attribute("layout", 7),
        "The node 'cell' (LSTM) has layout 7; expected 0 (time first) or 1",
    ),
    "an attribute that is none": (
        attribute("peephole", 1),
        "The node 'cell' (LSTM) has an attribute 'peephole'; expected only",
    ),
    "an attribute of the GRU": (
        attribute("linear_before_reset", 1),
        "The node 'cell' (LSTM) has an attribute 'linear_bef",
    ),
    "an activation that is none": (
        attribute("activations", ["Sigmoid", "Tan", "Tanh"]),
        "The node 'cell' (LSTM) has the activation 'Tan': did you mean 'Tanh'?",
    ),
    "an activation too few": (
        attribute("activations", ["Sigmoid", "Tanh"]),
        "The node 'cell' (LSTM) has activations ['Sigmoid', 'Tanh']; expected 3 for each of 1 directions.",
    ),
    "a million activations": (
        attribute("activations", ["Tanh"] * 10_000),
        "The node 'cell' (LSTM) has activations ['Tanh'",
    ),
    "parameters for no activation": (
        attribute("activation_alpha", [0.5]),
        "The node 'cell' (LSTM) has activation_alpha = [0.5], and 0 of its activations take one; expected one for each",
    ),
    "a parameter that is not a number": (
        attribute("activation_alpha", [float("nan")] * 3),
        "The node 'cell' (LSTM) has activation_alpha = [nan, nan, nan]; expected a list of numbers.",
    ),
    "a clip below zero": (
        attribute("clip", -1.0),
        "The node 'cell' (LSTM) cannot be a cell of Holdfast: LSTM gate_clip is -1.0",
    ),
    "a clip that is not a number": (
        attribute("clip", float("nan")),
        "The node 'cell' (LSTM) cannot be a cell of Holdfast",
    ),
    "R of other rows": (
        weights("R", np.zeros((1, 12, 4), H)),
        "The node 'cell' (LSTM) has (12, 4) as recurrent weights",
    ),
    "W without directions": (
        weights("W", np.zeros((16, 3), H)),
        "The node 'cell' (LSTM) has W of shape (16, 3) and R of",
    ),
    "W of no inputs": (
        weights("W", np.zeros((1, 16, 0), H)),
        "The node 'cell' (LSTM) cannot be a cell of Holdfast: LSTM input_si",
    ),
    "W of integers": (weights("W", np.zeros((1, 16, 3), np.int64)), "The node 'cell' (LSTM) has W of shape (1, 16, 3)"),
    "R of doubles": (
        weights("R", np.zeros((1, 16, 4))),
        "The node 'cell' (LSTM) has R of shape (1, 16, 4) and torch.float64",
    ),
    "one bias": (
        weights("B", np.zeros((1, 16), H)),
        "The node 'cell' (LSTM) has B of shape (1, 16); expected 32 numbers",
    ),
    "a node without inputs": (node_of("LSTM", [], ["y"]), "The node 'one' (LSTM) has inputs (); expected X, W, R"),
    "a node without weights": (
        node_of("LSTM", ["x", "", "n"], ["y"]),
        "The node 'one' (LSTM) has inputs ('x', '', 'n')",
    ),
    "a node with too many outputs": (
        node_of("GRU", ["x"] * 3, ["y", "h", "c"]),
        "The node 'one' (GRU) gives ('y', 'h', 'c')",
    ),
}
