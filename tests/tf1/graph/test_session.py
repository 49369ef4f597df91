"""Runs: what may be fed and fetched, when something is evaluated, and what a session keeps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def test_any_tensor_may_be_fed(session: tf.Session) -> None:
    x = tf.placeholder(tf.float32, [2])
    y = x * 2
    z = y + 1
    assert session.run(z, {y: [10, 20]}).tolist() == [11, 21]
    assert session.run(z, {"Mul:0": [1, 2]}).tolist() == [2, 3]


def test_states_are_keys_whole_and_in_parts(session: tf.Session) -> None:
    cell = tf.nn.rnn_cell.MultiRNNCell([tf.nn.rnn_cell.BasicLSTMCell(3) for _ in range(2)])
    batch = tf.placeholder(tf.int32, [])
    zero = cell.zero_state(batch, tf.float32)
    total = tf.add_n([tf.reduce_sum(part) for state in zero for part in state])
    ones = np.ones((4, 3))
    as_tuples = tuple(tf.nn.rnn_cell.LSTMStateTuple(ones, 2 * ones) for _ in range(2))
    assert session.run(total, {zero: as_tuples}) == 72
    assert session.run(total, {zero[0]: as_tuples[0], batch: 4}) == 36
    assert session.run(total, {zero[1].h: ones, batch: 4}) == 12
    assert session.run(total, {zero: np.ones((2, 2, 4, 3))}) == 48
    with pytest.raises(ValueError, match="structure of 2 tensors"):
        session.run(total, {zero: as_tuples[:1]})


def test_fetches_keep_their_structure(session: tf.Session) -> None:
    a, b = tf.constant(1.0), tf.constant([2, 3])
    state = tf.nn.rnn_cell.LSTMStateTuple(a, b)
    found = session.run({"one": a, "more": [b, (state,)], "op": tf.no_op()})
    assert type(found["one"]) is np.float32
    assert found["op"] is None
    assert isinstance(found["more"][1][0], tf.nn.rnn_cell.LSTMStateTuple)
    assert found["more"][1][0].h.tolist() == [2, 3]
    assert session.run([]) == []


def test_one_evaluation_in_a_run_and_another_in_the_next(session: tf.Session) -> None:
    noise = tf.random_normal([5])
    dropped = tf.nn.dropout(tf.ones([50]), 0.5)
    drawn = tf.multinomial(tf.zeros([1, 1000]), 5)
    both = [(noise, noise + 0), (dropped, dropped * 1), (drawn, tf.identity(drawn))]
    for one, other in both:
        first, second = session.run([one, other])
        assert first.tolist() == second.tolist()
        assert session.run(one).tolist() != first.tolist()


def test_what_is_fetched_beside_a_step_is_from_before_it(session: tf.Session) -> None:
    w = tf.Variable(2.0)
    loss = w * w
    train = tf.train.GradientDescentOptimizer(0.25).minimize(loss)
    session.run(tf.global_variables_initializer())
    assert session.run([train, loss, w]) == [None, 4.0, 2.0]
    assert session.run([w, loss]) == [1.0, 1.0]


def test_a_step_under_control_dependencies_is_seen(session: tf.Session) -> None:
    w = tf.Variable(1.0)
    with tf.control_dependencies([w.assign_add(1.0)]):
        after = w * 10
    session.run(tf.global_variables_initializer())
    assert session.run([after, w]) == [20, 1]
    assert session.run([w, after]) == [2, 30]


def test_the_graph_grows_while_it_runs(session: tf.Session) -> None:
    w = tf.Variable([1.0, 2.0])
    session.run(tf.global_variables_initializer())
    for step in range(3):
        assert session.run(tf.argmax(w)) == 1
        session.run(tf.assign(w, w * (step + 2)))
    assert w.eval().tolist() == [24, 48]
    late = tf.Variable(5.0)
    with pytest.raises(tf.errors.FailedPreconditionError, match="Variable_1"):
        session.run(late)
    session.run(tf.variables_initializer([late]))
    assert late.eval() == 5


def test_the_initializer_covers_the_variables_there_are_when_it_is_made(session: tf.Session) -> None:
    w = tf.Variable(1.0)
    before = tf.global_variables_initializer()
    train = tf.train.AdamOptimizer().minimize(w * w)
    session.run(before)
    with pytest.raises(tf.errors.FailedPreconditionError):
        session.run(train)
    session.run(tf.global_variables_initializer())
    session.run(train)
    assert {v.op.name for v in tf.global_variables()} >= {"Variable", "Variable/Adam", "Variable/Adam_1", "beta1_power"}


def test_two_sessions_have_values_of_their_own() -> None:
    with tf.Graph().as_default() as graph:
        w = tf.Variable(1.0)
        more = w.assign_add(1.0)
        first, second = tf.Session(graph=graph), tf.Session(graph=graph)
        for each in (first, second):
            each.run(w.initializer)
        first.run(more)
        assert first.run(w) == 2
        assert second.run(w) == 1
        assert first.run(w) == 2


def test_graphs_of_one_process_do_not_meet() -> None:
    with tf.Graph().as_default():
        x = tf.constant(1.0)
    with tf.Graph().as_default() as other:
        tf.Variable(1.0, name="w")
        with pytest.raises(ValueError, match="another graph"):
            _ = x + 1
        with pytest.raises(ValueError, match="another graph"):
            tf.Session(graph=other).run(x)
        tf_names = [op.name for op in other.get_operations()]
    assert "w" in tf_names


def test_the_default_graph_begins_anew() -> None:
    tf.reset_default_graph()
    assert tf.Variable(1.0, name="w").name == "w:0"
    tf.reset_default_graph()
    assert tf.Variable(1.0, name="w").name == "w:0"
    assert tf.Variable(1.0, name="w").name == "w_1:0"
    with tf.Graph().as_default(), pytest.raises(RuntimeError, match="as_default"):
        tf.reset_default_graph()
    tf.reset_default_graph()


def test_eval_and_run_use_the_default_session() -> None:
    with tf.Graph().as_default():
        w = tf.Variable(3.0)
        with pytest.raises(ValueError, match="default session"):
            w.eval()
        session = tf.InteractiveSession()
        w.initializer.run()
        assert w.eval() == 3
        session.close()
        with pytest.raises(ValueError, match="default session"):
            w.eval()
        with pytest.raises(RuntimeError, match="closed"):
            session.run(w)


def test_seeds_make_random_numbers_again() -> None:
    def numbers(seed: int) -> list[float]:
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(seed)
            return [*session.run(tf.random_uniform([3])).tolist(), *session.run(tf.truncated_normal([2])).tolist()]

    assert numbers(1) == numbers(1)
    assert numbers(1) != numbers(2)


def test_feeds_that_do_not_fit(session: tf.Session) -> None:
    x = tf.placeholder("float", [None, 3], name="x")
    n = tf.placeholder("int32", name="n")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"'x'.*got no value"):
        session.run(x + 1)
    with pytest.raises(ValueError, match=r"shape \(2, 4\); expected \(\?, 3\)"):
        session.run(x, {x: np.zeros((2, 4))})
    with pytest.raises(TypeError, match="fractions"):
        session.run(n, {n: 0.5})
    with pytest.raises(TypeError, match="Run the tensor first"):
        session.run(x, {x: tf.zeros([2, 3])})
    with pytest.raises(TypeError, match="expected a tensor or an operation"):
        session.run(3)
    assert session.run(x, {x: np.arange(3)[None]}).dtype == np.float32  # whole numbers for fractions


def test_a_failure_names_the_operation_and_the_line(session: tf.Session) -> None:
    x = tf.placeholder(tf.float32, [None, None])
    y = tf.matmul(x, x, name="product")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"MatMul product \(line \d+ of test_session.py"):
        session.run(y, {x: np.zeros((2, 3))})
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Gather.*rows of the table"):
        session.run(tf.while_loop(lambda i: i < 9, lambda i: i + tf.gather([1, 2], i), [3]))


def test_a_tensor_is_neither_true_nor_a_list(session: tf.Session) -> None:
    x = tf.constant([1.0, 2.0])
    with pytest.raises(TypeError, match="Python bool"):
        assert x > 0
    with pytest.raises(TypeError, match="iterated over"):
        list(x)
    with pytest.raises(TypeError, match="NumPy"):
        np.mean(x)
    assert (x == 1) is False
    assert x in {x: 1}


def test_devices_and_configurations_are_accepted() -> None:
    with tf.Graph().as_default(), tf.device("/gpu:0"), tf.Session(config=object()) as session:
        assert session.run(tf.constant(1)) == 1
