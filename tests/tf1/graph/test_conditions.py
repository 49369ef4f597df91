"""What runs before what, and conditions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def test_only_one_branch_runs(session: tf.Session) -> None:
    chosen = tf.placeholder(tf.bool, [])
    a, b = tf.Variable(0), tf.Variable(0)
    result = tf.cond(chosen, lambda: tf.assign_add(a, 1), lambda: tf.assign_add(b, 10))
    session.run(tf.global_variables_initializer())
    assert session.run(result, {chosen: True}) == 1
    assert session.run(result, {chosen: False}) == 10
    assert session.run([a, b]) == [1, 10]


def test_a_branch_may_return_an_operation(session: tf.Session) -> None:
    a = tf.Variable(1.0)
    step = tf.cond(tf.constant(True), lambda: tf.group(tf.assign(a, 5.0)), lambda: tf.no_op())
    session.run(tf.global_variables_initializer())
    session.run(step)
    assert session.run(a) == 5


def test_what_was_made_outside_runs_in_any_case(session: tf.Session) -> None:
    a = tf.Variable(1.0)
    outside = tf.assign(a, 5.0)
    step = tf.cond(tf.constant(False), lambda: tf.group(outside), lambda: tf.no_op())
    session.run(tf.global_variables_initializer())
    session.run(step)
    assert session.run(a) == 5


def test_variables_have_a_gradient_through_the_branch_that_ran(session: tf.Session) -> None:
    chosen, w = tf.placeholder(tf.bool, []), tf.Variable(3.0)
    gradient = tf.gradients(tf.cond(chosen, lambda: w * w, lambda: tf.constant(1.0)), w)[0]
    session.run(tf.global_variables_initializer())
    assert session.run(gradient, {chosen: True}) == 6
    assert session.run(gradient, {chosen: False}) == 0


def test_errors(session: tf.Session) -> None:
    yes = tf.constant(True)
    with pytest.raises(TypeError, match="Python's `if`"):
        tf.cond(True, lambda: yes, lambda: yes)
    with pytest.raises(ValueError, match="returns 1 tensors, false_fn 2"):
        tf.cond(yes, lambda: yes, lambda: [yes, yes])
    with pytest.raises(TypeError, match="same dtypes"):
        tf.cond(yes, lambda: 1, lambda: 1.0)
    with pytest.raises(ValueError, match="returned None"):
        tf.cond(yes, lambda: None, lambda: None)


def test_group_and_tuple(session: tf.Session) -> None:
    a, b = tf.Variable(0), tf.Variable(0)
    session.run(tf.global_variables_initializer())
    assert tf.group(a.assign_add(1), b.assign_add(2).op).run() is None
    assert session.run([a, b]) == [1, 2]
    assert session.run(tf.tuple([a.assign_add(1), b])[1]) == 2
    assert session.run(a) == 2


def test_print_writes_and_passes_on(session: tf.Session, capfd: pytest.CaptureFixture[str]) -> None:
    x = tf.Print(tf.constant([1.0, 2.0, 3.0, 4.0]), [tf.constant([5, 6, 7, 8]), "text"], "numbers ", first_n=1)
    assert session.run(x).tolist() == [1, 2, 3, 4]
    session.run(x)
    assert capfd.readouterr().err == "numbers [5 6 7...][text]\n"


def test_python_functions(session: tf.Session) -> None:
    both = tf.py_func(lambda a, b: (a + b, np.int64(len(a))), [[1.0, 2.0], 1.0], [tf.float32, tf.int64])
    assert [each.tolist() for each in session.run(both)] == [[2, 3], 2]

    def fails(a: float) -> float:
        raise KeyError(a)

    with pytest.raises(KeyError):
        session.run(tf.py_func(fails, [1.0], tf.float32))
    with pytest.raises(TypeError, match="returned float64; expected int32"):
        session.run(tf.py_func(lambda: 0.5, [], tf.int32))
