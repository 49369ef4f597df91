"""MultiRNNCell, DropoutWrapper and ResidualWrapper."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from holdfast import tf1
from holdfast.errors import OptionError, ShapeError

FLOAT = torch.float32
B, T, I = 4, 6, 5  # noqa: E741
X = torch.randn(B, T, I)


@pytest.fixture(autouse=True)
def _own_store() -> Any:
    with tf1.VariableStore().as_default():
        yield


class Echo(tf1.RNNCell):
    """Gives its inputs, and counts in its state: what wrappers do shows."""

    def __init__(self, size: int = 1000) -> None:
        super().__init__()
        self.size = size

    @property
    def state_size(self) -> Any:
        return tf1.LSTMStateTuple(self.size, self.size)

    @property
    def output_size(self) -> int:
        return self.size

    def call(self, inputs: Tensor, state: Any) -> Any:
        return inputs, tf1.LSTMStateTuple(state.c + 1, state.h + 1)


ONES = torch.ones(2, 5, 1000)


def test_layers_run_one_after_the_other() -> None:
    cells = [tf1.BasicLSTMCell(3), tf1.GRUCell(2)]
    stack = tf1.MultiRNNCell(cells)
    y, (first, second) = tf1.dynamic_rnn(stack, X, [6, 3, 0, 1], dtype=FLOAT)
    assert (stack.state_size, stack.output_size) == (((3, 3), 2), 2)
    inner, expected_first = tf1.dynamic_rnn(cells[0], X, [6, 3, 0, 1], dtype=FLOAT)
    expected, expected_second = tf1.dynamic_rnn(cells[1], inner, [6, 3, 0, 1], dtype=FLOAT)
    for a, b in ((y, expected), (first.c, expected_first.c), (second, expected_second)):
        assert torch.equal(a, b)
    zeros = stack.zero_state(B, FLOAT)
    assert isinstance(zeros[0], tf1.LSTMStateTuple)
    steps, state = [], zeros
    for t in range(T):
        output, state = stack(X[:, t], state)
        steps.append(output)
    torch.testing.assert_close(torch.stack(steps, 1)[0], y[0])


def test_a_stack_with_its_states_side_by_side() -> None:
    stack = tf1.MultiRNNCell([tf1.BasicLSTMCell(3, state_is_tuple=False), tf1.GRUCell(2)], state_is_tuple=False)
    assert stack.state_size == 8
    y, state = tf1.dynamic_rnn(stack, X, initial_state=torch.zeros(B, 8))
    assert torch.equal(state[:, 6:], y[:, -1])
    for wrong, text in (
        (torch.zeros(B, 7), "MultiRNNCell state is a tensor of shape (4, 7); expected a tensor (batch, 8)."),
        ((y, y), "MultiRNNCell state is a tuple of 2; expected a tensor (batch, 8)."),
    ):
        with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
            tf1.dynamic_rnn(stack, X, initial_state=wrong)
    with pytest.raises(OptionError) as caught:
        tf1.MultiRNNCell([tf1.BasicLSTMCell(3)], state_is_tuple=False)
    assert str(caught.value) == (
        "MultiRNNCell has state_is_tuple=False and cells whose states are tuples; expected tensors. Make the cells "
        "with state_is_tuple=False too."
    )
    with pytest.raises(OptionError, match=r"^MultiRNNCell got cells=\[\]; expected a list of one cell or more\.$"):
        tf1.MultiRNNCell([])
    with pytest.raises(
        ShapeError, match=r"^MultiRNNCell state is a tuple of 1; expected a tuple of 2, one for each cell\.$"
    ):
        tf1.dynamic_rnn(tf1.MultiRNNCell([Echo(), Echo()]), X, initial_state=(torch.zeros(B, 3),))


@pytest.mark.parametrize("by_steps", [False, True])
@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("place", ["input_keep_prob", "output_keep_prob"])
def test_dropout_of_inputs_and_outputs(place: str, variational: bool, by_steps: bool) -> None:
    """Kept values are scaled; a new mask at every step, or one for the sequence."""
    keep = {place: 0.8, "variational_recurrent": variational}
    cell = tf1.DropoutWrapper(Echo(), **keep)  # type: ignore[arg-type]
    wrapped: tf1.RNNCell = tf1.ResidualWrapper(cell, lambda inputs, outputs: outputs) if by_steps else cell
    y, state = tf1.dynamic_rnn(wrapped, ONES, dtype=FLOAT)
    assert set(y.unique().tolist()) == {0.0, 1.25}
    assert abs(y.ne(0).double().mean() - 0.8) < 0.02
    assert torch.equal(y[:, 0], y[:, 1]) == variational
    assert not torch.equal(y[0], y[1])
    assert state.h.eq(5).all()
    cell.eval()
    assert torch.equal(tf1.dynamic_rnn(wrapped, ONES, dtype=FLOAT)[0], ONES)


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_of_the_state_leaves_c(variational: bool) -> None:
    cell = tf1.DropoutWrapper(Echo(), state_keep_prob=0.5, variational_recurrent=variational)
    y, state = tf1.dynamic_rnn(cell, ONES, dtype=FLOAT)
    assert torch.equal(y, ONES)
    assert state.c.eq(5).all()
    # h' = 2 (h + 1) or 0, five times: 62 where it was kept each time
    values = set(state.h.unique().tolist())
    assert values == ({0.0, 62.0} if variational else {0.0, 2.0, 6.0, 14.0, 30.0, 62.0})
    assert abs(state.h.ne(0).double().mean() - 0.5) < 0.05
    both = tf1.DropoutWrapper(Echo(), state_keep_prob=0.5, dropout_state_filter_visitor=lambda state: True)
    assert not tf1.dynamic_rnn(both, ONES, dtype=FLOAT)[1].c.eq(5).all()
    none = tf1.DropoutWrapper(
        Echo(), state_keep_prob=0.5, dropout_state_filter_visitor=lambda state: tf1.LSTMStateTuple(False, False)
    )
    assert tf1.dynamic_rnn(none, ONES, dtype=FLOAT)[1].h.eq(5).all()


def test_the_state_of_a_stack_is_dropped_in_each_cell() -> None:
    stack = tf1.MultiRNNCell([Echo(), Echo()])
    _, states = tf1.dynamic_rnn(tf1.DropoutWrapper(stack, state_keep_prob=0.5), ONES, dtype=FLOAT)
    for state in states:
        assert state.c.eq(5).all()
        assert not state.h.eq(5).all()


@pytest.mark.parametrize("state_keep_prob", [1.0, 0.6])
def test_a_seed_and_recomputing(state_keep_prob: float) -> None:
    """The masks are those of the seed, and the same when the backward pass computes steps again."""
    keep = {"input_keep_prob": 0.5, "output_keep_prob": 0.7, "state_keep_prob": state_keep_prob, "seed": 5}
    inner = tf1.GRUCell(I)
    results = []
    for options in ({}, {"parallel_iterations": 2}):
        y, _ = tf1.dynamic_rnn(tf1.DropoutWrapper(inner, **keep), X, dtype=FLOAT, **options)  # type: ignore[arg-type]
        results.append((y, *torch.autograd.grad(y.square().sum(), inner.trainable_variables)))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)
    cell = tf1.DropoutWrapper(inner, **keep)  # type: ignore[arg-type]
    y, _ = tf1.dynamic_rnn(cell, X, dtype=FLOAT)
    torch.testing.assert_close(y, results[0][0])
    assert not torch.allclose(tf1.dynamic_rnn(cell, X, dtype=FLOAT)[0], y)  # the next call draws on


def test_probabilities_out_of_range() -> None:
    for value in (0, 1.1, -0.5, "x"):
        text = f"DropoutWrapper state_keep_prob is {value!r}; expected a probability above 0 and at most 1 (keep all)."
        with pytest.raises(OptionError, match=f"^{re.escape(text)}$"):
            tf1.DropoutWrapper(Echo(), state_keep_prob=value)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"^DropoutWrapper got a GRUCell; expected a cell of holdfast\.tf1\.$"):
        tf1.DropoutWrapper(torch.nn.GRUCell(2, 2))  # type: ignore[arg-type]


def test_residual_connections() -> None:
    inner = tf1.GRUCell(I)
    y, state = tf1.dynamic_rnn(inner, X, [6, 3, 0, 1], dtype=FLOAT)
    x = X.clone()
    x[1, 3:] = torch.nan
    actual, same_state = tf1.dynamic_rnn(tf1.ResidualWrapper(inner), x, [6, 3, 0, 1], dtype=FLOAT)
    torch.testing.assert_close(actual[0], X[0] + y[0])
    torch.testing.assert_close(actual[1, :3], X[1, :3] + y[1, :3])
    assert actual[1, 3:].eq(0).all()
    assert torch.equal(state, same_state)
    actual, _ = tf1.dynamic_rnn(tf1.ResidualWrapper(inner, lambda a, b: a * b), x, [6, 3, 0, 1], dtype=FLOAT)
    torch.testing.assert_close(actual[0], X[0] * y[0])
    assert actual[1, 3:].eq(0).all()
    with pytest.raises(ShapeError) as caught:
        tf1.dynamic_rnn(tf1.ResidualWrapper(tf1.GRUCell(3, name="b")), X, dtype=FLOAT)
    assert str(caught.value) == (
        "ResidualWrapper has inputs of shape (4, 6, 5) and outputs of shape (4, 6, 3); expected them to be equal to be "
        "added. Give a residual_fn."
    )
