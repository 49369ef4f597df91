"""``import_meta_graph``: programs that save, and others that open what they saved without the code of the model."""

from __future__ import annotations

import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

import tensorflow_probe
from holdfast.errors import ConversionError, HoldfastWarning
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


TRAIN = """
    import numpy as np
    import tensorflow as tf

    tf.set_random_seed(1)
    x = tf.placeholder(tf.float32, [None, 28, 28], name="x")
    y = tf.placeholder(tf.float32, [None, 10], name="y")
    keep_prob = tf.placeholder_with_default(1.0, [], name="keep_prob")

    def cell():
        return tf.nn.rnn_cell.DropoutWrapper(tf.nn.rnn_cell.BasicLSTMCell(24), output_keep_prob=keep_prob)

    cells = tf.nn.rnn_cell.MultiRNNCell([cell() for _ in range(2)])
    outputs, _ = tf.nn.dynamic_rnn(cells, x, dtype=tf.float32)
    w = tf.Variable(tf.random_normal([24, 10]), name="w")
    b = tf.Variable(tf.zeros([10]), name="b")
    logits = tf.add(tf.matmul(outputs[:, -1, :], w), b, name="logits")
    tf.add_to_collection("predictions", tf.nn.softmax(logits))
    cost = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(logits=logits, labels=y), name="cost")
    train = tf.train.AdamOptimizer(0.01).minimize(cost, name="train")
    right = tf.equal(tf.argmax(logits, 1), tf.argmax(y, 1))
    accuracy = tf.reduce_mean(tf.cast(right, tf.float32), name="accuracy")
    random = np.random.RandomState(0)
    images, labels = random.rand(16, 28, 28), np.eye(10)[random.randint(0, 10, 16)]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(3):
            session.run(train, {x: images, y: labels, keep_prob: 0.8})
        tf.train.Saver(max_to_keep=3).save(session, "./model", global_step=3)
        saved = session.run([logits, accuracy], {x: images, y: labels})
        for _ in range(2):
            session.run(train, {x: images, y: labels})
        np.savez("one.npz", *saved, *session.run([cost] + tf.global_variables(), {x: images, y: labels}))
"""
OPEN = """
    import numpy as np
    import tensorflow as tf

    random = np.random.RandomState(0)
    images, labels = random.rand(16, 28, 28), np.eye(10)[random.randint(0, 10, 16)]
    with tf.Session() as session:
        saver = tf.train.import_meta_graph("./model-3.meta", clear_devices=True)
        saver.restore(session, tf.train.latest_checkpoint("./"))
        graph = tf.get_default_graph()
        x, y = graph.get_tensor_by_name("x:0"), graph.get_tensor_by_name("y:0")
        train = graph.get_operation_by_name("train")
        softmax = tf.get_collection("predictions")[0]
        assert softmax.shape.as_list() == [None, 10]
        saved = session.run(["logits:0", "accuracy:0"], {x: images, y: labels})
        np.testing.assert_allclose(session.run(softmax, {x: images}).sum(1), 1, rtol=1e-5)
        for _ in range(2):
            session.run(train, {x: images, y: labels})
        cost = graph.get_tensor_by_name("cost:0")
        np.savez("two.npz", *saved, *session.run([cost] + tf.global_variables(), {x: images, y: labels}))
        saver.save(session, "./model", global_step=5)
"""


def test_another_process_predicts_and_trains_to_the_same_bits(tmp_path: Path) -> None:
    for name, text in (("train.py", TRAIN), ("open.py", OPEN)):
        (tmp_path / name).write_text(dedent(text), "utf-8")
        subprocess.run([sys.executable, "-m", "holdfast.tf1", name], cwd=tmp_path, check=True)
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "two.npz") as two:
        assert len(one.files) == len(two.files) == 3 + 6 + 2 * 6 + 2  # variables, slots, powers of the betas
        for name in one.files:
            np.testing.assert_array_equal(one[name], two[name])
    assert {path.name for path in tmp_path.glob("*.meta")} == {"model-3.meta", "model-5.meta"}
    saver = tf.train.import_meta_graph(f"{tmp_path}/model-5.meta")  # a graph that was imported is saved again
    assert saver._keep == 3
    assert tf.get_default_graph().get_operation_by_name("train").line == "line 20 of train.py"


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
    penalty = tf.losses.get_regularization_loss()
    train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_sum(stacked) + penalty)
    made = assert_same(tmp_path, outputs, state.slow, stacked, one, penalty, feeds={"x:0": X})
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


def test_the_saver_of_the_file_saves_what_the_first_one_saved(tmp_path: Path) -> None:
    first, second = tf.Variable(1.0, name="first"), tf.Variable(2.0, name="second")
    saver = tf.train.Saver({"one": first}, max_to_keep=2)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        path = saver.save(session, f"{tmp_path}/model")
        saver.save(session, f"{tmp_path}/without", write_meta_graph=False)
    assert not (tmp_path / "without.meta").exists()
    with tf.Graph().as_default(), tf.Session() as session:
        other = tf.train.import_meta_graph(f"{path}.meta")
        other.restore(session, path)
        assert session.run("first:0") == 1
        assert list(other._variables) == ["one"]
    assert second.op.name in [op.name for op in again(tmp_path).get_operations()]


def test_a_graph_without_variables_has_no_saver() -> None:
    tf.add_to_collection("doubled", tf.placeholder(tf.float32, name="x") * 2)
    tf.add_to_collection("words", "abc")
    tf.add_to_collection("things", {1, 2})
    meta = tf.train.export_meta_graph()
    with tf.Graph().as_default(), tf.Session() as session:
        with pytest.warns(HoldfastWarning, match="does not hold a value of collection 'things': an object of the cl"):
            assert tf.train.import_meta_graph(meta) is None
        assert session.run(tf.get_collection("doubled"), {"x:0": 3}) == [6]
        assert tf.get_collection("words") == ["abc"]
        assert tf.get_collection("things") == []


def test_what_cannot_be_made_again_is_said_when_it_is_opened(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [], name="x")
    tf.Variable(tf.py_func(lambda a: a, [tf.constant(1.0)], tf.float32), validate_shape=False, name="v")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(session, f"{tmp_path}/model")  # the checkpoint is written as ever
        assert session.run(x + 1, {x: 1}) == 2
    assert tf.train.checkpoint_exists(path)
    with tf.Graph().as_default() as graph:
        with pytest.raises(
            ConversionError,
            match=r"model.meta does not hold its graph: tf.py_func runs a Python function in each run \(line \d+ of "
            r"test_meta_files.py: tf.py_func\). Make the graph by the program's own code, and restore the checkpoint",
        ):
            tf.train.import_meta_graph(f"{path}.meta")
        assert graph.get_operations() == []


def _of_tf_data() -> None:
    tf.data.Dataset.from_tensor_slices(np.arange(3)).make_one_shot_iterator().get_next()


def _of_an_object() -> None:
    class Numbers:
        def __array__(self, *args: Any, **options: Any) -> Any:
            return np.arange(3)

    tf.constant(Numbers())


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (_of_tf_data, r"operation Const \(Const, line \d+ of .*\) was made by a function that files do not hold"),
        (_of_an_object, r"an object of the class Numbers cannot be stored \(line \d+ of .*: tf.constant\)"),
    ],
)
def test_the_reason_names_the_operation_and_its_line(build: Any, reason: str) -> None:
    build()
    meta = tf.train.export_meta_graph()
    with tf.Graph().as_default(), pytest.raises(ConversionError, match=f"The graph does not hold its graph: {reason}"):
        tf.train.import_meta_graph(meta)


def test_a_graph_that_is_not_empty(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [], name="x")
    tf.multiply(x, 2, name="twice")
    meta = tf.train.export_meta_graph()
    with pytest.raises(ConversionError, match=r"has an operation x, and so has the default graph; .*reset_default_gr"):
        tf.train.import_meta_graph(meta)
    with tf.Graph().as_default(), tf.Session() as session:
        other = tf.placeholder(tf.float32, [], name="other")
        tf.train.import_meta_graph(meta)
        assert session.run(other + session.graph.get_tensor_by_name("twice:0"), {other: 1, "x:0": 3}) == 7


def test_arguments_that_are_refused() -> None:
    meta = tf.train.export_meta_graph()
    with pytest.raises(ConversionError, match="got import_scope='a'; expected None"):
        tf.train.import_meta_graph(meta, import_scope="a")
    with pytest.raises(ConversionError, match="got input_map; expected only clear_devices"):
        tf.train.import_meta_graph(meta, input_map={})
    with pytest.raises(ConversionError, match="got export_scope or graph_def; expected None"):
        tf.train.export_meta_graph(export_scope="a")


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_of_the_comparison(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[Graph] = []
    session = tf.Session
    monkeypatch.setattr(
        "holdfast.tf1.graph.session.Session.run", lambda self, *args: graphs.append(self.graph) or _stop()
    )
    assert session is tf.Session
    with pytest.raises(InterruptedError):
        tensorflow_probe.train(tf, PROGRAMS[name])
    _assert_made_again(graphs[0])


def _stop() -> None:
    raise InterruptedError


def _assert_made_again(graph: Graph) -> None:
    meta = tf.train.export_meta_graph(graph=graph)
    with tf.Graph().as_default() as made:
        tf.train.import_meta_graph(meta)  # which compares all operations, their inputs and shapes
    assert len(made.get_operations()) == len(graph.get_operations()) > 0


def test_every_expression_of_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def evaluated(self: Any, fetches: Any, feeds: Any = None) -> Any:
        _assert_made_again(self.graph)
        made.append("")
        raise InterruptedError

    monkeypatch.setattr("holdfast.tf1.graph.session.Session.run", evaluated)
    for code, feeds in CASES.values():
        tensorflow_probe.evaluate(tf, code, feeds)
    assert len(made) > 400
