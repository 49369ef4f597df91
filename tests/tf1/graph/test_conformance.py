"""Holdfast's graphs against TensorFlow itself: values, static shapes, gradients, errors, and losses in training.

They need a Python with TensorFlow 2 (its ``compat.v1``), named by the environment variable HOLDFAST_TENSORFLOW.
"""

from __future__ import annotations

import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorflow_probe
from holdfast.tf1 import graph as tf
from tensorflow_network_cases import CASES
from tensorflow_programs import PROGRAMS

PYTHON = os.environ.get("HOLDFAST_TENSORFLOW")
needs_tensorflow = pytest.mark.skipif(not PYTHON, reason="HOLDFAST_TENSORFLOW names no Python with TensorFlow")

# TensorFlow knows less of these shapes than follows from the arguments, or asks for more than is needed.
KNOWS_LESS = (
    "tf.nn.atrous_conv2d(x, y, 2, 'SAME')",
    "tf.nn.conv2d_transpose(x, y, [2, 8, 8, 3], [1, 2, 2, 1], 'SAME')",
    "tf.scan(lambda a, e: tf.tanh(tf.matmul(a, y) + e), x, tf.zeros([2, 3]))[-1]",
    "out = tf.nn.dynamic_rnn(Cell(), x, initial_state=h)",
    "out = tf.nn.dynamic_rnn(Cell(), x, n, h, time_major=True)",
)
SHORT = ["two dense layers, Adam", "an embedding, descent", "a recurrent network in while_loop, Adam", "CTC"]


@pytest.fixture(scope="session")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    results = tmp_path_factory.mktemp("tensorflow") / "results.pickle"
    program = Path(tensorflow_probe.__file__)
    settings = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([str(PYTHON), program, results], check=True, cwd=program.parent, env={**os.environ, **settings})
    found: dict[str, Any] = pickle.loads(results.read_bytes())
    return found


def differences(ours: dict[str, Any], other: dict[str, Any]) -> list[str]:
    if "error" in ours or "error" in other:
        same = [each.get("error", "none").split(",") for each in (ours, other)]
        when_made = same[0] == same[1]
        in_a_run = same[0][0] == same[1][0] == "in a run"
        return [] if when_made or in_a_run else [f"{ours.get('error')} and {other.get('error')}"]
    found = [f"{what} {ours[what]} and {other[what]}" for what in ("shapes", "dtypes") if ours[what] != other[what]]
    for what in ("values", "gradients"):
        for one, two in zip(ours[what], other[what], strict=True):
            if (one is None) != (two is None):
                found.append(f"{what}: {one} and {two}")
            elif one is not None and one.shape != two.shape:
                found.append(f"{what} of shapes {one.shape} and {two.shape}")
            elif one is not None and not np.allclose(one, two, 1e-4, 1e-5, equal_nan=True):
                found.append(f"{what}: {one} and {two}")
    return found


@needs_tensorflow
@pytest.mark.parametrize("static", [True, False], ids=["known sizes", "unknown sizes"])
@pytest.mark.parametrize("name", CASES)
def test_an_expression(name: str, static: bool, theirs: dict[str, Any]) -> None:
    if not static and name.endswith(KNOWS_LESS):
        pytest.skip("TensorFlow knows less of the shape")
    code, feeds = CASES[name]
    key = name if static else f"{name}, unknown sizes"
    assert differences(tensorflow_probe.evaluate(tf, code, feeds, static), theirs[key]) == []


@needs_tensorflow
@pytest.mark.parametrize("name", PROGRAMS)
def test_training(name: str, theirs: dict[str, Any]) -> None:
    np.testing.assert_allclose(tensorflow_probe.train(tf, PROGRAMS[name]), theirs[name], rtol=1e-5, atol=1e-6)


def test_the_comparison_finds_differences() -> None:
    one = tensorflow_probe.evaluate(tf, "tf.exp(x)", {"x": np.float32([1, 2])})
    assert differences(one, one) == []
    for other in (
        {**one, "shapes": [[None]]}, {**one, "values": [one["values"][0] + 1e-2]}, {**one, "gradients": [None]},
        {"error": "when made, ValueError"},
    ):  # fmt: skip
        assert differences(one, other)


@pytest.mark.parametrize("name", SHORT)
def test_programs_of_the_comparison_train_without_tensorflow(name: str) -> None:
    losses = tensorflow_probe.train(tf, PROGRAMS[name])
    assert np.isfinite(losses).all()
    assert len(set(losses)) == len(losses)
