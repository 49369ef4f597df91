"""Runs Keras layers for the benchmarks, in an environment that has Keras and not Holdfast.

Started as ``python -m benchmarks.keras_peer BACKEND THREADS`` by ``workers.py``.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.rounds import average
from benchmarks.worker_loop import serve

Run = Callable[[], Any]

KINDS = {"LSTM": "LSTM", "GRU": "GRU", "RNN": "SimpleRNN"}
# For each Keras gate (i f c o; z r h) the index of the gate in torch.nn (i f g o; r z n); the same in both directions.
ORDER = {"LSTM": [0, 1, 2, 3], "GRU": [1, 0, 2], "RNN": [0]}
UNROLLED = 60  # the most steps for which TensorFlow also tries an unrolled layer


def main() -> None:
    serve(Peer, sys.argv[1], int(sys.argv[2]))


class Peer:
    """One backend of Keras; its public methods are the requests."""

    def __init__(self, backend: str, threads: int):
        self.backend = backend
        start_backend(backend, threads)
        self._chosen: dict[str, tuple[str, Run]] = {}
        self._fit: Run | None = None

    def versions(self) -> dict[str, str]:
        """Versions of Keras and its backend."""
        import keras

        backend = __import__(self.backend)
        return {"keras": keras.__version__, self.backend: backend.__version__}

    def prepare(self, numbers: str, cell: str, hidden_size: int, answers: str) -> dict[str, Any]:
        """Builds a layer with the weights from a file, and chooses the fastest way to run each pass."""
        import keras

        given = dict(np.load(numbers))
        steps = given["x"].shape[1]
        ways: dict[str, dict[str, Run]] = {"forward": {}, "training": {}}
        for unroll in [False, True] if self.backend == "tensorflow" and steps <= UNROLLED else [False]:
            layer = getattr(keras.layers, KINDS[cell])(hidden_size, return_sequences=True, unroll=unroll)
            layer.build(given["x"].shape)
            layer.set_weights(to_keras(cell, given))
            passes = RUNS[self.backend](layer, given["x"], given["dy"])
            for which, runs in passes.items():
                for setting, run in runs.items():
                    if not (unroll and "XLA" in setting):  # XLA compiles this for a long time, and it is not faster
                        ways[which][f"{setting}, unrolled" if unroll else setting] = run
        self._chosen = {which: fastest(runs) for which, runs in ways.items()}
        gradients = [np.asarray(g) for g in self._chosen["training"][1]()[1]]
        output = np.asarray(self._chosen["forward"][1]())
        np.savez(answers, output=output, **from_keras(cell, gradients))
        return {"setting": {which: name for which, (name, _) in self._chosen.items()}}

    def seconds(self, which: str, calls: int, warm: bool) -> dict[str, float]:
        """The mean time of ``calls`` calls."""
        return {"seconds": average(self._chosen[which][1], calls, warm)}

    def prepare_epoch(self, images: str, hidden_size: int, batch: int, rate: float, clip: float) -> dict[str, Any]:
        """Builds a classifier of images for ``model.fit``, and compiles it for the full and the last batch size."""
        import keras

        given = np.load(images)
        x, labels = given["images"], given["labels"]
        model = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.LSTM(hidden_size), keras.layers.Dense(10)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(rate, global_clipnorm=clip), loss)
        few = batch + len(x) % batch
        model.fit(x[:few], labels[:few], batch_size=batch, verbose=0)
        self._fit = lambda: model.fit(x, labels, batch_size=batch, verbose=0)
        return {"setting": {"epoch": "model.fit"}}

    def epoch(self) -> dict[str, float]:
        """Time and mean loss of one epoch."""
        assert self._fit
        start = time.perf_counter()
        history = self._fit()
        return {"seconds": time.perf_counter() - start, "loss": history.history["loss"][-1]}


def start_backend(backend: str, threads: int) -> None:
    os.environ |= {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": str(threads)}
    os.environ |= {"NPROC": str(threads), "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    if backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.experimental.set_synchronous_execution(True)
    if backend == "torch":
        import torch

        torch.set_num_threads(threads)


def jax_runs(layer: Any, x: Any, dy: Any) -> dict[str, dict[str, Run]]:
    import jax

    weights = [variable.value for variable in layer.trainable_variables]
    others = [variable.value for variable in layer.non_trainable_variables]
    x, dy = jax.numpy.asarray(x), jax.numpy.asarray(dy)

    def output(weights: Any, x: Any) -> Any:
        return layer.stateless_call(weights, others, x)[0]

    def step(weights: Any, x: Any, dy: Any) -> Any:
        y, back = jax.vjp(lambda weights: output(weights, x), weights)
        return y, back(dy)[0]

    forward, training = jax.jit(output), jax.jit(step)
    return {
        "forward": {"jit": lambda: jax.block_until_ready(forward(weights, x))},
        "training": {"jit": lambda: jax.block_until_ready(training(weights, x, dy))},
    }


def tensorflow_runs(layer: Any, x: Any, dy: Any) -> dict[str, dict[str, Run]]:
    import tensorflow as tf

    weights = [variable.value for variable in layer.trainable_variables]
    x, dy = tf.constant(x), tf.constant(dy)

    def step(x: Any, dy: Any) -> Any:
        with tf.GradientTape() as tape:
            y = layer(x, training=True)
        return y, tape.gradient(y, weights, output_gradients=dy)

    def ways(function: Any, *arguments: Any) -> dict[str, Run]:
        graph, compiled = tf.function(function), tf.function(function, jit_compile=True)
        return {"graph": lambda: graph(*arguments), "graph, XLA": lambda: compiled(*arguments)}

    return {"forward": ways(lambda x: layer(x, training=False), x), "training": ways(step, x, dy)}


def torch_runs(layer: Any, x: Any, dy: Any) -> dict[str, dict[str, Run]]:
    import torch

    weights = [variable.value for variable in layer.trainable_variables]
    x, dy = torch.from_numpy(x), torch.from_numpy(dy)

    def forward() -> Any:
        with torch.no_grad():
            return layer(x, training=False)

    def step() -> Any:
        y = layer(x, training=True)
        return y.detach(), torch.autograd.grad(y, weights, dy)

    return {"forward": {"eager": forward}, "training": {"eager": step}}


RUNS = {"jax": jax_runs, "tensorflow": tensorflow_runs, "torch": torch_runs}


def fastest(runs: dict[str, Run]) -> tuple[str, Run]:
    """The way to run a pass with the smallest median of three times, after one run that compiles."""
    medians = {}
    for name, run in runs.items():
        times = []
        for _ in range(4 if len(runs) > 1 else 0):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        medians[name] = statistics.median(times[1:] or [0.0])
    best = min(medians, key=medians.__getitem__)
    return best, runs[best]


def to_keras(cell: str, given: dict[str, Any]) -> list[Any]:
    """Kernel [I, G H], recurrent kernel [H, G H] and bias [G H] (GRU: [2, 3 H]) from torch.nn's parameters."""
    weight_ih, weight_hh, bias_ih, bias_hh = (
        reordered(cell, given[f"{name}_l0"]) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return [weight_ih.T, weight_hh.T, np.stack([bias_ih, bias_hh]) if cell == "GRU" else bias_ih + bias_hh]


def from_keras(cell: str, gradients: list[Any]) -> dict[str, Any]:
    """Gradients by torch.nn's names; Keras's single bias gives the gradient of each of torch.nn's two."""
    kernel, recurrent, bias = gradients
    biases = bias if cell == "GRU" else [bias, bias]
    named = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias_ih": biases[0], "bias_hh": biases[1]}
    return {f"{name}_l0": reordered(cell, value) for name, value in named.items()}


def reordered(cell: str, value: Any) -> Any:
    """A [G H, ...] array with its gates in the other library's order."""
    return np.concatenate([np.split(value, len(ORDER[cell]))[gate] for gate in ORDER[cell]])


if __name__ == "__main__":
    main()
