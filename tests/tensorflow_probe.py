"""Evaluates cases and programs under TensorFlow, or under Holdfast's graphs, so that a test can compare both.

Run as a program by a Python that has TensorFlow: ``python tensorflow_probe.py RESULTS`` writes a pickle.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np


def evaluate(tf: Any, code: str, feeds: dict[str, Any], static: bool = True) -> dict[str, Any]:
    """The values, static shapes, dtypes and gradients of an expression, or the kind of its error and when it came."""
    with tf.Graph().as_default():
        names: dict[str, Any] = {"tf": tf, "np": np}
        for name, value in feeds.items():
            shape = value.shape if static else (None,) * value.ndim
            names[name] = tf.placeholder(value.dtype.name, shape, name=name)
        try:
            outputs = _leaves(_result(code, names))
            outputs = [tf.convert_to_tensor(output) for output in outputs]
            floats = [output for output in outputs if output.dtype.is_floating]
            wanted = [names[name] for name, value in feeds.items() if value.dtype.kind == "f"]
            made = tf.gradients(floats, wanted, [tf.cos(3 * output) for output in floats]) if floats and wanted else []
        except Exception as error:
            return {"error": f"when made, {_kind(error)}"}
        gradients = [None if each is None else tf.convert_to_tensor(each) for each in made]
        with tf.Session() as session:
            values = {names[name]: value for name, value in feeds.items()}
            try:
                session.run([tf.global_variables_initializer(), tf.local_variables_initializer()], values)
                known = [each for each in gradients if each is not None]
                results, slopes = session.run([outputs, known], values)
            except Exception as error:
                return {"error": f"in a run, {type(error).__name__}"}
        rest = iter(slopes)
        return {
            "shapes": [None if each.shape.ndims is None else each.shape.as_list() for each in outputs],
            "dtypes": [each.dtype.base_dtype.name for each in outputs],
            "values": [np.asarray(each) for each in results],
            "gradients": [None if each is None else np.asarray(next(rest)) for each in gradients],
        }


def train(tf: Any, code: str, steps: int = 20) -> list[float]:
    """The losses of a program that defines ``loss``, ``train`` and ``feed(step)``, each from before its step."""
    with tf.Graph().as_default():
        names: dict[str, Any] = {"tf": tf, "np": np, "draw": np.random.RandomState(7)}
        exec(code, names)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            losses = []
            for step in range(steps):
                loss, _ = session.run([names["loss"], names["train"]], names["feed"](step))
                losses.append(float(loss))
        return losses


def _result(code: str, names: dict[str, Any]) -> Any:
    if "out = " not in code:
        return eval(code, names)
    exec(code, names)
    return names["out"]


def _leaves(structure: Any) -> list[Any]:
    if isinstance(structure, list | tuple):
        return [leaf for part in structure for leaf in _leaves(part)]
    return [structure]


def _kind(error: Exception) -> str:
    """The kind of an error that a program may catch."""
    own = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
    return own[0]


def everything(tf: Any) -> dict[str, Any]:
    """The results of all cases, with known and with unknown sizes, and of all programs."""
    from tensorflow_network_cases import CASES
    from tensorflow_programs import PROGRAMS

    found: dict[str, Any] = {}
    for name, (code, feeds) in CASES.items():
        found[name] = evaluate(tf, code, feeds)
        found[f"{name}, unknown sizes"] = evaluate(tf, code, feeds, static=False)
    for name, code in PROGRAMS.items():
        found[name] = train(tf, code)
    return found


if __name__ == "__main__":
    import tensorflow

    tensorflow.compat.v1.disable_v2_behavior()
    Path(sys.argv[1]).write_bytes(pickle.dumps(everything(tensorflow.compat.v1)))
