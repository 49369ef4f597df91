"""Graphs that a file makes again: loops, cells and helpers of a program, and every expression of the comparison."""

from __future__ import annotations

import copy
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorflow_probe
from holdfast.tf1 import graph as tf
from holdfast.tf1.graph.graph import Graph
from tensorflow_network_cases import CASES
from tensorflow_programs import PROGRAMS

X = np.random.RandomState(0).standard_normal((4, 7, 5)).astype(np.float32)
Y = np.array([0, 2, 1, 2])


@pytest.fixture(autouse=True)
def _own_graph() -> Any:
    with tf.Graph().as_default():
        yield


def again(tmp_path: Path) -> Graph:
    """The default graph as a file gives it."""
    path = f"{tmp_path}/graph.meta"
    tf.train.export_meta_graph(path)
    with tf.Graph().as_default() as made:
        tf.train.import_meta_graph(path)
    return made


def assert_same(tmp_path: Path, *fetches: Any, feeds: dict[str, Any] | None = None) -> Graph:
    """That the graph of a file has the same operations, and computes the same from the same variables."""
    tf.set_random_seed(1)
    start = tf.global_variables_initializer()
    here = tf.get_default_graph()
    made = again(tmp_path)
    assert [op.name for op in made.get_operations()] == [op.name for op in here.get_operations()]
    for key, values in here.collections.items():
        names = [getattr(value, "name", value) for value in values]
        assert [getattr(value, "name", value) for value in made.get_collection(key)] == names
    with tf.Session() as session:
        session.run(start)
        expected = session.run(list(fetches), feeds or {})
        values = {variable.op.name: session.run(variable) for variable in tf.global_variables()}
    with made.as_default(), tf.Session() as session:
        for variable in tf.global_variables():
            variable.load(values[variable.op.name], session)
        got = session.run([getattr(fetch, "name", fetch) for fetch in fetches], feeds or {})
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    return made


def test_a_loop_that_is_unrolled(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [None, 7, 5], name="x")
    steps = [tf.squeeze(each, [1]) for each in tf.split(x, 7, 1)]
    outputs, _ = tf.nn.static_rnn(tf.nn.rnn_cell.GRUCell(3), tf.unstack(x, 7, 1), dtype=tf.float32)
    both, _, _ = tf.nn.static_bidirectional_rnn(
        tf.nn.rnn_cell.LSTMCell(3, use_peepholes=True), tf.nn.rnn_cell.LSTMCell(3), steps, dtype=tf.float32
    )
    state = tf.zeros([4, 3])
    with tf.variable_scope("by_hand") as scope:
        for number, step in enumerate(steps):
            if number:
                scope.reuse_variables()
            w = tf.get_variable("w", [8, 3])
            state = tf.tanh(tf.matmul(tf.concat([step, state], 1), w), name="state")
    made = assert_same(tmp_path, outputs[-1], both[0], state, feeds={"x:0": X})
    assert made.get_tensor_by_name("by_hand/state_6:0").shape.as_list() == [4, 3]


def test_loops_and_conditions_with_functions_of_the_program(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [4, 7, 5], name="x")
    count = tf.placeholder_with_default(3, [], name="count")
    w = tf.get_variable("w", [5, 5])
    array = tf.TensorArray(tf.float32, size=0, dynamic_size=True)

    def body(i: Any, h: Any, kept: Any) -> Any:
        h = tf.tanh(tf.matmul(h, w) + x[:, 0])
        return i + 1, h, kept.write(i, tf.cond(i > 1, lambda: h * 2, lambda: tf.square(h)))

    _, h, kept = tf.while_loop(lambda i, h, kept: i < count, body, (tf.constant(0), x[:, 1], array))
    scanned = tf.scan(lambda state, step: tf.tanh(tf.matmul(state, w) + step), tf.transpose(x, [1, 0, 2]), h)
    mapped = tf.map_fn(lambda pair: pair[0] + tf.reduce_sum(pair[1]), (x, scanned[:4]), dtype=tf.float32)
    chosen = tf.case([(count > 5, lambda: h), (count > 2, lambda: h * 3)], lambda: -h)
    (slope,) = tf.gradients([tf.reduce_sum(kept.stack()), scanned, chosen], [w])
    assert_same(tmp_path, h, kept.stack(), scanned, mapped, chosen, slope, feeds={"x:0": X})


def test_everything_around_training(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [None, 5], name="x")
    labels = tf.placeholder(tf.int64, [None], name="labels")
    step = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(0.1, step, 10, 0.9, staircase=True)
    regularizer = tf.contrib.layers.l2_regularizer(0.01)
    with tf.variable_scope("model", regularizer=regularizer, initializer=tf.orthogonal_initializer(seed=3)):
        hidden = tf.layers.dense(x, 8, tf.nn.relu, kernel_initializer=tf.truncated_normal_initializer(0, 0.1))
        hidden = tf.layers.batch_normalization(hidden, training=True)
        logits = tf.contrib.layers.fully_connected(hidden, 3, activation_fn=None)
    loss = tf.losses.sparse_softmax_cross_entropy(labels, logits) + tf.losses.get_regularization_loss()
    accuracy, update = tf.metrics.accuracy(labels, tf.argmax(logits, 1))
    optimizer = tf.train.RMSPropOptimizer(rate, momentum=0.9)
    clipped, norm = tf.clip_by_global_norm(tf.gradients(loss, tf.trainable_variables()), 1.0)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        train = optimizer.apply_gradients(zip(clipped, tf.trainable_variables()), step, name="train")  # noqa: B905
    average = tf.train.ExponentialMovingAverage(0.9)
    with tf.control_dependencies([train]), tf.name_scope("averages"):
        tf.group(average.apply(v for v in tf.trainable_variables()), name="all")
    tf.summary.scalar("loss", loss)
    merged = tf.summary.merge_all()
    tf.local_variables_initializer()
    made = assert_same(tmp_path, loss, norm, logits, rate, feeds={"x:0": X[:, 0], "labels:0": Y})
    for name in (accuracy.name, update.name, merged.name):
        assert made.get_tensor_by_name(name) is not None
    assert made.get_operation_by_name("averages/all").control_inputs
    assert optimizer.get_slot(tf.trainable_variables()[0], "momentum").op.name in str(made.get_operations())


def test_arrays_strings_and_other_values(tmp_path: Path) -> None:
    table = np.random.RandomState(1).standard_normal((300, 70)).astype(np.float32)
    wide = np.arange(40_000, dtype=np.float64).reshape(200, 200)
    embedding = tf.Variable(table, name="embedding", trainable=False)
    double = tf.constant(wide, tf.float32)
    taken = tf.gather(embedding, np.array([3, 1]))
    table[:], wide[:] = 0, 0  # the graph has the values of before
    words = tf.constant(np.array([["a", "\u00e9"], [b"\xff", "d"]], object))
    sparse = tf.SparseTensor(np.array([[0, 1], [1, 0]]), [1.5, float("inf")], [2, 2])
    dense = tf.sparse_tensor_to_dense(sparse, -1.0)
    odd = tf.constant(np.float64("nan"))
    cut = embedding[np.int64(2) : 9 : 3, ..., tf.newaxis, -1]
    shaped = tf.reshape(tf.range(6), tf.TensorShape([2, tf.Dimension(3)]))
    shaped.set_shape([2, 3])
    made = assert_same(tmp_path, taken, double, words, dense, odd, cut, shaped)
    assert made.get_tensor_by_name(shaped.name).shape.as_list() == [2, 3]


def test_names_follow_scopes_that_made_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        with tf.name_scope("layer"), tf.variable_scope(None, "block"):
            pass
    with tf.name_scope("layer"):
        first = tf.constant(1.0, name="c")
    tf.get_default_graph().unique_name("c")
    with tf.variable_scope(None, "block"):
        variable = tf.get_variable("v", [])
    with pytest.raises(ValueError, match="exists already"), tf.variable_scope("block_2"):
        tf.get_variable("v", [])
    second = tf.constant(2.0, name="c")
    names = [first.name, variable.name, second.name]
    assert names == ["layer_2/c:0", "block_2/v:0", "c_1:0"]
    assert_same(tmp_path, first, second)


Pair = namedtuple("Pair", ["slow", "fast"])


class OwnCell(tf.nn.rnn_cell.RNNCell):  # type: ignore[misc,name-defined,unused-ignore]
    """Two states of different speeds."""

    def __init__(self, units: int) -> None:
        self._units = units

    @property
    def state_size(self) -> Any:
        return Pair(self._units, self._units)

    @property
    def output_size(self) -> int:
        return self._units

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> Any:
        with tf.variable_scope(scope or "own", initializer=lambda shape, dtype, **_: tf.ones(shape, dtype) * 0.1):
            joined = tf.concat([inputs, state.fast], 1)
            kernel = tf.get_variable("kernel", [joined.shape[1], self._units], regularizer=lambda w: tf.nn.l2_loss(w))
            fast = tf.tanh(tf.matmul(joined, kernel))
        return fast, Pair(0.9 * state.slow + 0.1 * fast, fast)


class Scaled:
    """An initializer that extends no class of the library."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        return tf.ones(shape, dtype) * self.scale


class BiggerCell(tf.nn.rnn_cell.BasicLSTMCell):  # type: ignore[misc,name-defined,unused-ignore]
    """A cell of the library with another output."""

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> Any:
        output, state = super().__call__(inputs, state, scope)
        return 2 * output, state


def test_cells_that_a_program_wrote(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [None, 7, 5], name="x")
    dropped = tf.nn.rnn_cell.DropoutWrapper(OwnCell(6), output_keep_prob=1.0)
    outputs, state = tf.nn.dynamic_rnn(dropped, x, dtype=tf.float32)
    stack = tf.nn.rnn_cell.MultiRNNCell([BiggerCell(4), OwnCell(3), tf.nn.rnn_cell.GRUCell(2, activation=tf.nn.relu)])
    stacked, _ = tf.nn.dynamic_rnn(stack, outputs, [7, 6, 5, 1], dtype=tf.float32, scope="stack")
    one, _ = stack(outputs[:, 0], stack.zero_state(4, tf.float32), "stack/rnn")
    scaled = tf.get_variable("scaled", [3], initializer=Scaled(0.5))
    penalty = tf.losses.get_regularization_loss()
    train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_sum(stacked) + penalty)
    made = assert_same(tmp_path, outputs, state.slow, stacked, one, penalty, scaled, feeds={"x:0": X})
    assert made.get_operation_by_name(train.name).type == "Momentum"


def test_decoders(tmp_path: Path) -> None:
    table = tf.get_variable("table", [9, 5])
    cell, layer = tf.nn.rnn_cell.GRUCell(6), tf.layers.Dense(9, use_bias=False)

    class Backwards(tf.contrib.seq2seq.GreedyEmbeddingHelper):  # type: ignore[misc,name-defined,unused-ignore]
        def sample(self, time: Any, outputs: Any, state: Any, name: Any = None) -> Any:
            return super().sample(time, -outputs, state)

    made = []
    for helper in (
        tf.contrib.seq2seq.TrainingHelper(tf.zeros([2, 4, 5]), [4, 2]),
        tf.contrib.seq2seq.GreedyEmbeddingHelper(table, [1, 2], 3),
        Backwards(lambda ids: tf.nn.embedding_lookup(table, ids), [1, 2], 3),
    ):
        decoder = tf.contrib.seq2seq.BasicDecoder(cell, helper, tf.ones([2, 6]), layer)
        with tf.variable_scope("decoder", reuse=tf.AUTO_REUSE):
            outputs, _, lengths = tf.contrib.seq2seq.dynamic_decode(decoder, maximum_iterations=5)
        made += [outputs.rnn_output, outputs.sample_id, lengths]
    assert_same(tmp_path, *made)


def _stopped_by_a_run(self: Any, fetches: Any, feeds: Any = None) -> Any:
    """In place of ``Session.run``: the graph is made again, with a comparison of all its operations."""
    meta = tf.train.export_meta_graph(graph=self.graph)
    with tf.Graph().as_default() as made:
        tf.train.import_meta_graph(meta)
    assert len(made.get_operations()) == len(self.graph.get_operations()) > 0
    raise InterruptedError


@pytest.fixture
def _no_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.tf1.graph.session.Session.run", _stopped_by_a_run)


@pytest.mark.usefixtures("_no_runs")
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_of_the_comparison(name: str) -> None:
    with pytest.raises(InterruptedError):
        tensorflow_probe.train(tf, PROGRAMS[name])


@pytest.mark.usefixtures("_no_runs")
def test_every_expression_of_the_comparison() -> None:
    found = [tensorflow_probe.evaluate(tf, code, feeds).get("error") for code, feeds in CASES.values()]
    others = [error for error in found if error != "in a run, InterruptedError"]
    assert len(found) - len(others) > 400
    assert [error for error in others if not str(error).startswith("when made, ")] == [
        "in a run, ConversionError"
    ]  # py_func


def test_a_copied_cell_is_another(tmp_path: Path) -> None:
    cell = OwnCell(3)
    x = tf.placeholder(tf.float32, [4, 7, 5], name="x")
    first, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32, scope="first")
    second, _ = tf.nn.dynamic_rnn(copy.deepcopy(cell), x, dtype=tf.float32, scope="second")
    assert_same(tmp_path, first, second, feeds={"x:0": X})
