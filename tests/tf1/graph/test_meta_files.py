"""``import_meta_graph``: programs that save, and others that open what they saved without the code of the model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from holdfast.errors import ConversionError, HoldfastWarning
from holdfast.tf1 import graph as tf

X = np.random.RandomState(0).standard_normal((4, 7, 5)).astype(np.float32)
Y = np.array([0, 2, 1, 2])


@pytest.fixture(autouse=True)
def _own_graph() -> Any:
    with tf.Graph().as_default():
        yield


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
        assert session.graph.get_operation_by_name(second.op.name).type == "VariableV2"


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


def test_forms_of_other_versions(tmp_path: Path) -> None:
    old, legacy, seq2seq = tf.models.rnn.rnn_cell, tf.contrib.legacy_seq2seq, tf.contrib.seq2seq
    x = tf.placeholder(tf.float32, [None, 7, 5], name="x")
    fed_back = tf.placeholder(tf.bool, [], name="fed_back")
    stack = old.MultiRNNCell([old.BasicLSTMCell(4), old.LSTMCell(3, 4)])
    _, joined = tf.nn.dynamic_rnn(stack, x, tf.reduce_sum(tf.ones([4, 7]), 1), tf.ones([4, 14]), scope="joined")
    decoder = seq2seq.BasicDecoder(
        tf.nn.rnn_cell.GRUCell(6), seq2seq.TrainingHelper(x, [7, 2, 3, 4]), tf.zeros([4, 6]), tf.layers.Dense(2)
    )
    outputs, last = seq2seq.dynamic_decode(decoder)
    symbols = [tf.constant([1, 2]), tf.constant([3, 0])]
    made, state = legacy.embedding_rnn_seq2seq(
        symbols, symbols, tf.nn.rnn_cell.GRUCell(4), 6, 5, 3, feed_previous=fed_back
    )
    tf.scalar_summary(["a", "b"], tf.ones([2]))
    moving = tf.train.ExponentialMovingAverage(0.9)
    moving.apply([tf.reduce_sum(joined)])
    chosen = tf.select(tf.reverse(joined, dims=[False, True]) > 0, joined, -joined)
    sparse = tf.cast(tf.SparseTensor([[0, 1]], [2.5], [2, 3]), tf.int32)
    for each in (chosen, outputs.rnn_output, outputs.sample_id, last, *made, state, tf.sparse_tensor_to_dense(sparse)):
        tf.add_to_collection("results", each)
    feeds = {"x:0": X, "fed_back:0": True}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(tmp_path / "model"))
        expected = session.run(tf.get_collection("results"), feeds)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(str(tmp_path / "model.meta")).restore(session, str(tmp_path / "model"))
        for one, other in zip(session.run(tf.get_collection("results"), feeds), expected, strict=True):
            np.testing.assert_array_equal(one, other)


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
