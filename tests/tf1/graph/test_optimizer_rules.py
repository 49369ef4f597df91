"""Each optimiser against its equations in NumPy, for whole gradients and for rows that were looked up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from holdfast.tf1 import graph as tf

STEPS = 6
Rule = Callable[[np.ndarray, np.ndarray, dict[str, np.ndarray], int], np.ndarray]


def slot(slots: dict[str, Any], name: str, like: np.ndarray, first: float = 0.0) -> np.ndarray:
    return slots.setdefault(name, np.full_like(like, first))


def adam(w: np.ndarray, g: np.ndarray, s: dict[str, Any], t: int) -> np.ndarray:
    s["m"] = 0.9 * slot(s, "m", w) + 0.1 * g
    s["v"] = 0.999 * slot(s, "v", w) + 0.001 * g**2
    return w - 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * s["m"] / (np.sqrt(s["v"]) + 1e-8)


def momentum(nesterov: bool) -> Rule:
    def rule(w: np.ndarray, g: np.ndarray, s: dict[str, Any], t: int) -> np.ndarray:
        s["a"] = 0.9 * slot(s, "a", w) + g
        return w - 0.1 * (g + 0.9 * s["a"] if nesterov else s["a"])

    return rule


def adagrad(w: np.ndarray, g: np.ndarray, s: dict[str, Any], t: int) -> np.ndarray:
    s["a"] = slot(s, "a", w, 0.1) + g**2
    return w - 0.1 * g / np.sqrt(s["a"])


def adadelta(w: np.ndarray, g: np.ndarray, s: dict[str, Any], t: int) -> np.ndarray:
    s["a"] = 0.95 * slot(s, "a", w) + 0.05 * g**2
    update = g * np.sqrt(slot(s, "d", w) + 1e-4) / np.sqrt(s["a"] + 1e-4)
    s["d"] = 0.95 * s["d"] + 0.05 * update**2
    return w - 0.5 * update


def rmsprop(centered: bool) -> Rule:
    def rule(w: np.ndarray, g: np.ndarray, s: dict[str, Any], t: int) -> np.ndarray:
        s["r"] = 0.9 * slot(s, "r", w, 1.0) + 0.1 * g**2
        s["mean"] = 0.9 * slot(s, "mean", w) + 0.1 * g
        under = s["r"] - s["mean"] ** 2 if centered else s["r"]
        s["p"] = 0.3 * slot(s, "p", w) + 0.1 * g / np.sqrt(under + 1e-10)
        return w - s["p"]

    return rule


def ftrl(w: np.ndarray, g: np.ndarray, s: dict[str, Any], t: int) -> np.ndarray:
    old = slot(s, "a", w, 0.1)
    s["a"] = old + g**2
    s["z"] = slot(s, "z", w) + g - (np.sqrt(s["a"]) - np.sqrt(old)) / 0.2 * w
    moved = (np.sign(s["z"]) * 0.01 - s["z"]) / (np.sqrt(s["a"]) / 0.2 + 2 * 0.02)
    return np.where(np.abs(s["z"]) > 0.01, moved, 0)


def shrunk(w: np.ndarray, rate: Any) -> np.ndarray:
    return np.sign(w) * np.maximum(np.abs(w) - rate * 0.01, 0) / (1 + rate * 0.02)


def proximal_adagrad(w: np.ndarray, g: np.ndarray, s: dict[str, Any], t: int) -> np.ndarray:
    s["a"] = slot(s, "a", w, 0.1) + g**2
    rate = 0.2 / np.sqrt(s["a"])
    return shrunk(w - rate * g, rate)


def dual_averaging(w: np.ndarray, g: np.ndarray, s: dict[str, Any], t: int) -> np.ndarray:
    s["g"] = slot(s, "g", w) + g
    s["gg"] = slot(s, "gg", w, 0.1) + g**2
    total = np.sign(s["g"]) * np.maximum(np.abs(s["g"]) - 0.01 * t, 0)
    return -0.2 * total / (np.sqrt(s["gg"]) + 0.2 * 0.02 * t)


BOTH = {"l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02}
# Of each: how it is made, its equations, and whether rows without a gradient stay as they are.
OPTIMIZERS: dict[str, tuple[Callable[[Any], Any], Rule, bool]] = {
    "descent": (lambda step: tf.train.GradientDescentOptimizer(0.1), lambda w, g, s, t: w - 0.1 * g, True),
    "adam": (lambda step: tf.train.AdamOptimizer(0.1), adam, False),
    "momentum": (lambda step: tf.train.MomentumOptimizer(0.1, 0.9), momentum(False), True),
    "nesterov": (lambda step: tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True), momentum(True), True),
    "adagrad": (lambda step: tf.train.AdagradOptimizer(0.1), adagrad, True),
    "adadelta": (lambda step: tf.train.AdadeltaOptimizer(0.5, epsilon=1e-4), adadelta, True),
    "rmsprop": (lambda step: tf.train.RMSPropOptimizer(0.1, momentum=0.3), rmsprop(False), True),
    "centered": (lambda step: tf.train.RMSPropOptimizer(0.1, momentum=0.3, centered=True), rmsprop(True), True),
    "ftrl": (lambda step: tf.train.FtrlOptimizer(0.2, **BOTH), ftrl, True),
    "proximal": (
        lambda step: tf.train.ProximalGradientDescentOptimizer(0.2, **BOTH),
        lambda w, g, s, t: shrunk(w - 0.2 * g, 0.2),
        True,
    ),
    "proximal_adagrad": (lambda step: tf.train.ProximalAdagradOptimizer(0.2, **BOTH), proximal_adagrad, True),
    "dual_averaging": (lambda step: tf.train.AdagradDAOptimizer(0.2, step, **BOTH), dual_averaging, True),
    "replicas": (lambda step: tf.train.SyncReplicasOptimizer(tf.train.AdamOptimizer(0.1), 2), adam, False),
}


@pytest.fixture(autouse=True)
def _own_graph() -> Any:
    with tf.Graph().as_default():
        yield


def trained(name: str, loss: Any, variable: Any, feeds: list[Any]) -> tuple[np.ndarray, int]:
    count = tf.Variable(0, trainable=False, dtype=tf.int64)
    step = OPTIMIZERS[name][0](count).minimize(loss, global_step=count)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for feed in feeds:
            session.run(step, feed)
        return session.run([variable, count])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_whole_gradients(name: str) -> None:
    rng = np.random.default_rng(1)
    first, grads = rng.standard_normal((4, 3)), rng.standard_normal((STEPS, 4, 3))
    w, g = tf.Variable(first, dtype=tf.float32), tf.placeholder(tf.float32, [4, 3])
    got, count = trained(name, tf.reduce_sum(w * g), w, [{g: grad} for grad in grads])
    expected, slots = first, {}
    for t, grad in enumerate(grads, 1):
        expected = OPTIMIZERS[name][1](expected, grad, slots, t)
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-6)
    assert count == STEPS


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_that_were_looked_up(name: str) -> None:
    rng = np.random.default_rng(2)
    first, grads = rng.standard_normal((5, 3)), rng.standard_normal((STEPS, 4, 3))
    ids = [[0, 0, 3, 1], [3, 3, 3, 0], [1, 1, 0, 0], [0, 3, 1, 0], [3, 1, 1, 3], [0, 0, 0, 0]]
    table, rows, g = (
        tf.Variable(first, dtype=tf.float32),
        tf.placeholder(tf.int32, [4]),
        tf.placeholder(tf.float32, [4, 3]),
    )
    loss = tf.reduce_sum(tf.nn.embedding_lookup(table, rows) * g)
    got, _ = trained(name, loss, table, [{rows: row, g: grad} for row, grad in zip(ids, grads, strict=True)])
    _, rule, lazy = OPTIMIZERS[name]
    expected, slots = first.copy(), [{} for _ in first]
    for t, (row, grad) in enumerate(zip(ids, grads, strict=True), 1):
        whole = np.zeros_like(first)
        np.add.at(whole, row, grad)
        for number in range(len(first)):
            if number in row or not lazy:
                expected[number] = rule(expected[number], whole[number], slots[number], t)
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-6)


def test_a_learning_rate_may_be_a_variable_or_be_fed() -> None:
    w, rate, fed = tf.Variable(1.0), tf.Variable(0.5, trainable=False), tf.placeholder(tf.float32, [])
    loss = w * 1.0
    by_variable = tf.train.GradientDescentOptimizer(rate).minimize(loss)
    by_feed = tf.train.GradientDescentOptimizer(learning_rate=fed).minimize(loss)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(by_variable)
        assert session.run(w) == 0.5
        session.run(tf.assign(rate, 0.25))
        session.run(by_variable)
        assert session.run(w) == 0.25
        session.run(by_feed, {fed: 1.0})
        assert session.run(w) == -0.75


def test_what_is_fetched_beside_a_step_is_from_before_it() -> None:
    w = tf.Variable([1.0, 2.0])
    loss = tf.reduce_sum(tf.square(w))
    step = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        _, before, weights, row = session.run([step, loss, w, w[1:]])
        assert before == 5
        assert weights.tolist() == [1, 2]
        assert row.tolist() == [2]
        assert session.run(w).tolist() == [0, 0]


def test_norms_are_clipped_over_rows_as_they_were_looked_up() -> None:
    table = tf.Variable(np.zeros((3, 1), np.float32))
    loss = tf.reduce_sum(tf.gather(table, [0, 0, 1]) * 2.0)
    (grad,) = tf.gradients(loss, [table])
    assert isinstance(grad, tf.IndexedSlices)
    (clipped,), norm = tf.clip_by_global_norm([grad], 1.0)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert session.run(norm) == pytest.approx(np.sqrt(12))  # three rows, not the two after adding
        values = session.run(tf.convert_to_tensor(clipped))
    np.testing.assert_allclose(values[:, 0], np.array([4, 2, 0]) / np.sqrt(12), rtol=1e-6)


def test_none_gradients_are_skipped_and_no_gradient_is_an_error() -> None:
    used, unused = tf.Variable(1.0), tf.Variable(1.0)
    optimizer = tf.train.AdamOptimizer(0.1)
    pairs = optimizer.compute_gradients(used * 2.0)
    assert [gradient is None for gradient, _ in pairs] == [False, True]
    optimizer.apply_gradients(pairs)
    assert optimizer.get_slot(used, "m") is not None
    assert optimizer.get_slot(unused, "m") is None
    with pytest.raises(ValueError, match="depends on none"):
        optimizer.minimize(tf.constant(1.0))
    with pytest.raises(ValueError, match="no gradient"):
        optimizer.apply_gradients([(None, used)])
    with pytest.raises(ValueError, match="global_step"):
        tf.train.SyncReplicasOptimizer(optimizer).minimize(used * 2.0)


def test_slots_have_tensorflows_names() -> None:
    with tf.variable_scope("layer"):
        w = tf.get_variable("w", [2])
    tf.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(w))
    assert [variable.op.name for variable in tf.global_variables()] == [
        "layer/w", "beta1_power", "beta2_power", "layer/w/Adam", "layer/w/Adam_1"
    ]  # fmt: skip


def test_the_operation_of_a_step_has_the_name_that_the_program_gave() -> None:
    with tf.Graph().as_default() as graph:
        loss, step = tf.square(tf.Variable(1.0)), tf.train.create_global_step()
        made = [
            tf.train.AdamOptimizer().minimize(loss),
            tf.train.AdamOptimizer().minimize(loss, step),
            tf.train.GradientDescentOptimizer(0.1).minimize(loss, name="train"),
            tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss, step, name="other"),
        ]
        with tf.name_scope("scope"):
            made.append(tf.train.AdagradOptimizer(0.1).minimize(loss, step))
        assert [op.name for op in made] == ["Adam", "Adam_1", "train", "other", "scope/Adagrad"]
        assert graph.get_operation_by_name("train") is made[2]
