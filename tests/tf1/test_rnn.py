"""dynamic_rnn, static_rnn and the fused cells: they agree, with every argument, and say what runs."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from holdfast import tf1
from holdfast.errors import OptionError, ShapeError

X = torch.randn(3, 8, 4)
LENGTHS = [8, 0, 5]
FLOAT = torch.float32
CELLS = {
    "lstm": lambda: tf1.LSTMCell(5, use_peepholes=True),
    "gru": lambda: tf1.GRUCell(5),
    "normalised": lambda: tf1.LayerNormBasicLSTMCell(5),
    "stack": lambda: tf1.MultiRNNCell([tf1.BasicLSTMCell(3), tf1.SRUCell(5)]),
}


@pytest.fixture(autouse=True)
def _own_store() -> Any:
    with tf1.VariableStore().as_default():
        yield


def parts(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else [y for part in state for y in parts(part)]


def same(one: Any, other: Any) -> None:
    for a, b in zip(parts(one), parts(other), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_all_ways_agree(name: str) -> None:
    cell = CELLS[name]()
    y, final = tf1.dynamic_rnn(cell, X, LENGTHS, dtype=FLOAT)
    assert y[0].abs().min() > 0
    assert y[2, 5:].eq(0).all()
    assert y[1].eq(0).all()
    turned, same_final = tf1.dynamic_rnn(cell, X.transpose(0, 1), LENGTHS, dtype=FLOAT, time_major=True)
    same((turned.transpose(0, 1), same_final), (y, final))
    listed, same_final = tf1.static_rnn(cell, list(X.unbind(1)), dtype=FLOAT, sequence_length=LENGTHS)
    assert len(listed) == 8
    same((torch.stack(listed, 1), same_final), (y, final))
    for use_dynamic_rnn in (True, False):
        adapted = tf1.FusedRNNCellAdaptor(cell, use_dynamic_rnn)
        turned, same_final = adapted(X.transpose(0, 1), dtype=FLOAT, sequence_length=LENGTHS)
        same((turned.transpose(0, 1), same_final), (y, final))
        listed, _ = adapted(list(X.unbind(1)), dtype=FLOAT, sequence_length=LENGTHS)
        same(torch.stack(listed, 1), y)
    state = cell.zero_state(3, FLOAT)
    same(tf1.dynamic_rnn(cell, X, torch.tensor(LENGTHS), state), (y, final))
    steps = []
    for t in range(8):
        output, state = cell(X[:, t], state)
        steps.append(output)
    same((torch.stack(steps, 1)[0], y[0, -1]), (y[0], steps[-1][0]))


@pytest.mark.parametrize("name", CELLS)
def test_two_halves_are_the_whole(name: str) -> None:
    cell = CELLS[name]()
    y, final = tf1.dynamic_rnn(cell, X, dtype=FLOAT)
    first, state = tf1.dynamic_rnn(cell, X[:, :3], dtype=FLOAT)
    second, state = tf1.dynamic_rnn(cell, X[:, 3:], initial_state=state)
    same((torch.cat([first, second], 1), state), (y, final))


@pytest.mark.parametrize("options", [{"parallel_iterations": 3}, {"parallel_iterations": 100}, {"swap_memory": True}])
@pytest.mark.parametrize("name", CELLS)
def test_memory_changes_no_number(name: str, options: dict[str, Any]) -> None:
    cell = CELLS[name]()
    results = [tf1.dynamic_rnn(cell, X, LENGTHS, dtype=FLOAT, **arguments) for arguments in ({}, options)]
    same(*results)
    gradients = [torch.autograd.grad(y.square().sum(), cell.trainable_variables) for y, _ in results]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_fewer_parallel_iterations_keep_less() -> None:
    """What the graph of a call holds on to for the backward pass."""

    def kept(**options: Any) -> int:
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        cell = tf1.LSTMCell(16)
        x = torch.randn(4, 400, 4)
        with tf1.VariableStore().as_default(), torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            tf1.dynamic_rnn(cell, x, dtype=FLOAT, **options)
        return sum(sizes.values())

    assert kept(parallel_iterations=20) < 0.5 * kept()


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_the_fused_cell_and_time_reversed(lengths: list[int] | None) -> None:
    fused = tf1.LSTMBlockFusedCell(5, 0.5, cell_clip=0.3, use_peephole=True)
    x = X.transpose(0, 1)
    y, final = fused(x, dtype=FLOAT, sequence_length=lengths)
    cell = tf1.LSTMBlockCell(5, 0.5, 0.3, True, reuse=True, name="lstm_fused_cell")
    cell.make_variables(4, FLOAT, None)
    same(tf1.dynamic_rnn(cell, x, lengths, dtype=FLOAT, time_major=True), (y, final))
    state = (torch.randn(3, 5), torch.randn(3, 5))
    turned = tf1.TimeReversedFusedRNN(fused)
    actual, final = turned(x, state, sequence_length=lengths)
    other = tf1.BasicRNNCell(2)
    (_, expected), (_, last) = tf1.bidirectional_dynamic_rnn(
        other, cell, X, lengths, initial_state_bw=tf1.LSTMStateTuple(*state), dtype=FLOAT
    )
    same((actual.transpose(0, 1), final), (expected, last))
    listed, _ = turned(list(x), state, sequence_length=lengths)
    same(torch.stack(listed), actual)
    assert len(turned.trainable_variables) == 5
    with pytest.raises(OptionError, match=r"^TimeReversedFusedRNN got a LSTMBlockCell; expected a fused cell\. "):
        tf1.TimeReversedFusedRNN(cell)  # type: ignore[arg-type]


def test_two_directions_and_their_lists() -> None:
    cells = [tf1.GRUCell(3), tf1.BasicLSTMCell(2)]
    (fw, bw), states = tf1.bidirectional_dynamic_rnn(*cells, X, LENGTHS, dtype=FLOAT)
    listed, *same_states = tf1.static_bidirectional_rnn(*cells, list(X.unbind(1)), None, None, FLOAT, LENGTHS)
    same(torch.stack(listed, 1), torch.cat([fw, bw], 2))
    same(same_states, states)
    backwards, final = tf1.dynamic_rnn(cells[1], X[2:, :5].flip(1), dtype=FLOAT)
    same((bw[2:, :5], bw[2, 5:], states[1][0][2]), (backwards.flip(1), torch.zeros(3, 2), final[0][0]))
    major, _ = tf1.bidirectional_dynamic_rnn(*cells, X.transpose(0, 1), LENGTHS, dtype=FLOAT, time_major=True)
    same([y.transpose(0, 1) for y in major], (fw, bw))


def test_stacks_of_two_directions() -> None:
    cells_fw, cells_bw = [tf1.GRUCell(3), tf1.BasicLSTMCell(2)], [tf1.BasicRNNCell(4), tf1.GRUCell(3)]
    y, fw, bw = tf1.stack_bidirectional_dynamic_rnn(cells_fw, cells_bw, X, dtype=FLOAT, sequence_length=LENGTHS)
    assert y.shape == (3, 8, 5)
    (a, b), first = tf1.bidirectional_dynamic_rnn(cells_fw[0], cells_bw[0], X, LENGTHS, dtype=FLOAT)
    (c, d), second = tf1.bidirectional_dynamic_rnn(cells_fw[1], cells_bw[1], torch.cat([a, b], 2), LENGTHS, dtype=FLOAT)
    same((y, fw, bw), (torch.cat([c, d], 2), (first[0], second[0]), (first[1], second[1])))
    listed, *states = tf1.stack_bidirectional_rnn(
        cells_fw, cells_bw, list(X.unbind(1)), dtype=FLOAT, sequence_length=LENGTHS
    )
    same((torch.stack(listed, 1), *states), (y, fw, bw))
    for arguments, text in (
        (
            (cells_fw, cells_bw[:1], X),
            "The stack has 2 cells forwards and 1 backwards; expected equally many, at least 1.",
        ),
        (
            (cells_fw, cells_bw, X, [None]),
            "The stack has 2 layers; expected 2 initial states for each direction.",
        ),
    ):
        with pytest.raises(OptionError, match=f"^{re.escape(text)}$"):
            tf1.stack_bidirectional_dynamic_rnn(*arguments, dtype=FLOAT)


def test_wrong_arguments() -> None:
    cell: Any = tf1.GRUCell(3)
    for call, kind, text in (
        (
            lambda: tf1.dynamic_rnn(cell, X),
            OptionError,
            "There is no initial_state and no dtype; expected one of them: give dtype=torch.float32.",
        ),
        (
            lambda: tf1.dynamic_rnn(torch.nn.GRUCell(4, 3), X, dtype=FLOAT),  # type: ignore[arg-type]
            OptionError,
            "The cell is a GRUCell; expected one of holdfast.tf1 or a subclass of tf1.RNNCell.",
        ),
        (
            lambda: tf1.dynamic_rnn(cell, X[0], dtype=FLOAT),
            ShapeError,
            "inputs is a tensor of shape (8, 4); expected a tensor (batch, time, depth).",
        ),
        (
            lambda: tf1.dynamic_rnn(cell, list(X), dtype=FLOAT, time_major=True),  # type: ignore[arg-type]
            ShapeError,
            "inputs is a list of 3; expected a tensor (time, batch, depth).",
        ),
        (
            lambda: tf1.dynamic_rnn(cell, X, dtype=FLOAT, parallel_iterations=0),
            OptionError,
            "parallel_iterations is 0; expected at least 1, or None.",
        ),
        (
            lambda: tf1.dynamic_rnn(cell, X, [9, 1, 1], dtype=FLOAT),
            ShapeError,
            "lengths go from 1 to 9; expected 0 to 8, the number of steps in the input.",
        ),
        (
            lambda: tf1.static_rnn(cell, X, dtype=FLOAT),  # type: ignore[arg-type]
            ShapeError,
            "static_rnn inputs is a Tensor; expected a list of tensors (batch, depth), one per step.",
        ),
        (
            lambda: tf1.static_rnn(cell, [], dtype=FLOAT),
            ShapeError,
            "static_rnn inputs is an empty list; expected a list of tensors (batch, depth), one per step.",
        ),
        (
            lambda: tf1.static_rnn(cell, [X[:, 0], X[:2, 0]], dtype=FLOAT),
            ShapeError,
            "inputs has steps of ['(2, 4)', '(3, 4)']; expected at least one, of one shape.",
        ),
        (
            lambda: tf1.explain(tf1.GRUCell(3), X, dtype=FLOAT),
            OptionError,
            "explain got a GRUCell without variables; call it first, or make them with tf1.build.",
        ),
    ):
        with pytest.raises(kind, match=f"^{re.escape(text)}$"):
            call()


def test_explain() -> None:
    stack = tf1.MultiRNNCell(
        [
            tf1.BasicLSTMCell(4),
            tf1.ResidualWrapper(tf1.GRUCell(4)),
            tf1.DropoutWrapper(tf1.GRUCell(4), state_keep_prob=0.5),
            tf1.SRUCell(3),
        ]
    )
    tf1.dynamic_rnn(stack, X, dtype=FLOAT)
    explanation = tf1.explain(stack, X.transpose(0, 1), dtype=FLOAT, time_major=True)
    assert [(choice.part, choice.engine) for choice in explanation.choices] == [
        ("multi_rnn_cell/cell_0", "native"),
        ("multi_rnn_cell/cell_1", "native"),
        ("multi_rnn_cell/cell_2", "unroll"),
        ("multi_rnn_cell/cell_3", "unroll"),
    ]
    assert explanation.choices[2].reasons["native"] == (
        "DropoutWrapper drops parts of the state between two steps (state_keep_prob), so it runs step by step."
    )
    assert explanation.choices[3].reasons["reference"] == (
        "SRUCell is not a cell that Holdfast's layers describe, so it runs step by step."
    )
    stack.eval()
    assert tf1.explain(stack, X, dtype=FLOAT).choices[2].engine == "native"
