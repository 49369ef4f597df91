"""Variables of TensorFlow 1's cells, and the outputs that its equations give for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

import tf1_equations as eq
import tf1_writer as tf

B, T, I, H = 3, 5, 4, 3  # noqa: E741
X = np.random.default_rng(8).standard_normal((B, T, I))
LSTM_SHAPES = {"kernel": (I + H, 4 * H), "bias": (4 * H,)}
GRU_SHAPES = {
    "gates/kernel": (I + H, 2 * H),
    "gates/bias": (2 * H,),
    "candidate/kernel": (I + H, H),
    "candidate/bias": (H,),
}
Numbers = np.ndarray[Any, np.dtype[np.float64]]


def ran(step: eq.Step, x: Numbers, *sizes: int) -> Numbers:
    """The outputs of a cell of :mod:`tf1_equations` from a state of zeros."""
    zeros = tuple(torch.zeros(len(x), size, dtype=torch.float64) for size in sizes)
    outputs, _ = eq.over_time(step, torch.from_numpy(x.copy()), zeros if len(zeros) > 1 else zeros[0])
    return np.asarray(outputs)


def as_tensors(variables: Mapping[str, Numbers]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in variables.items()}


def lstm(v: Mapping[str, Numbers], x: Numbers, forget_bias: float, clip: float | None = None) -> Numbers:
    units = len(v["bias"]) // 4
    proj = v["projection/kernel"].shape[1] if "projection/kernel" in v else units
    return ran(eq.lstm(as_tensors(v), forget_bias, cell_clip=clip), x, units, proj)


def gru(v: Mapping[str, Numbers], x: Numbers) -> Numbers:
    return ran(eq.gru(as_tensors(v)), x, len(v["gates/bias"]) // 2)


def rnn(v: Mapping[str, Numbers], x: Numbers) -> Numbers:
    return ran(eq.rnn(as_tensors(v)), x, len(v["bias"]))


def under(scope: str, shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Any]:
    return {f"{scope}/{name}": array for name, array in tf.filled(shapes, seed, "float64").items()}


def own(arrays: Mapping[str, Any], scope: str) -> dict[str, Any]:
    return {name.removeprefix(f"{scope}/"): array for name, array in arrays.items() if name.startswith(f"{scope}/")}


def wide(depth: int, units: int) -> dict[str, tuple[int, ...]]:
    return {"kernel": (depth + units, 4 * units), "bias": (4 * units,)}


def outputs(network: Any, x: Numbers = X) -> Numbers:
    with torch.no_grad():
        found: Tensor = network(torch.from_numpy(np.ascontiguousarray(x)))
    return found.numpy()


def close(found: Numbers, expected: Numbers) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
