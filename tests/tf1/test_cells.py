"""Every cell against its equations: outputs, states and all gradients, through the engines and a step at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tf1_equations as eq
from holdfast import tf1
from holdfast.errors import OptionError, ShapeError

B, T, I, H = 3, 6, 4, 5  # noqa: E741
LENGTHS = [6, 0, 3]


@pytest.fixture(autouse=True)
def _own_store() -> Any:
    with tf1.VariableStore().as_default():
        yield


Case = tuple[Callable[[], tf1.RNNCell], Callable[[eq.Variables], eq.Step], str]
CASES: dict[str, Case] = {
    "basic": (lambda: tf1.BasicLSTMCell(H), eq.lstm, "native"),
    "basic, forget bias": (lambda: tf1.BasicLSTMCell(H, 2.5), lambda v: eq.lstm(v, 2.5), "native"),
    "basic, no forget bias": (lambda: tf1.BasicLSTMCell(H, 0.0), lambda v: eq.lstm(v, 0), "native"),
    "basic, softsign": (
        lambda: tf1.BasicLSTMCell(H, activation=F.softsign),
        lambda v: eq.lstm(v, φ=F.softsign),
        "native",
    ),
    "basic, relu by name": (
        lambda: tf1.BasicLSTMCell(H, activation="relu"),
        lambda v: eq.lstm(v, φ=torch.relu),
        "native",
    ),
    "basic, own activation": (
        lambda: tf1.BasicLSTMCell(H, activation=torch.sin),
        lambda v: eq.lstm(v, φ=torch.sin),
        "reference",
    ),
    "basic, TensorFlow's hard sigmoid": (
        lambda: tf1.BasicLSTMCell(H, activation="hard_sigmoid"),
        lambda v: eq.lstm(v, φ=lambda x: (0.2 * x + 0.5).clamp(0, 1)),
        "native",
    ),
    "peepholes": (lambda: tf1.LSTMCell(H, use_peepholes=True), eq.lstm, "native"),
    "everything": (
        lambda: tf1.LSTMCell(H, True, 0.4, nn.init.normal_, 3, 0.2, forget_bias=0.7),
        lambda v: eq.lstm(v, 0.7, cell_clip=0.4, proj_clip=0.2),
        "native",
    ),
    "a clip without a projection": (lambda: tf1.LSTMCell(H, proj_clip=0.01), eq.lstm, "native"),
    "block": (
        lambda: tf1.LSTMBlockCell(H, 0.3, 0.4, True),
        lambda v: eq.lstm(v, 0.3, cell_clip=0.4),
        "native",
    ),
    "block, no clip": (lambda: tf1.LSTMBlockCell(H, cell_clip=-0.3), eq.lstm, "native"),
    "cudnn lstm": (lambda: tf1.CudnnCompatibleLSTMCell(H), lambda v: eq.lstm(v, 0), "native"),
    "gru": (lambda: tf1.GRUCell(H), eq.gru, "native"),
    "gru, relu": (lambda: tf1.GRUCell(H, torch.relu), lambda v: eq.gru(v, torch.relu), "native"),
    "block gru": (lambda: tf1.GRUBlockCellV2(cell_size=H), eq.gru, "native"),
    "cudnn gru": (lambda: tf1.CudnnCompatibleGRUCell(H), eq.gru, "native"),
    "rnn": (lambda: tf1.BasicRNNCell(H), eq.rnn, "native"),
    "rnn, sigmoid": (lambda: tf1.BasicRNNCell(H, F.sigmoid), lambda v: eq.rnn(v, torch.sigmoid), "native"),
    "normalised": (
        lambda: tf1.LayerNormBasicLSTMCell(H, 0.5, norm_gain=0.9, norm_shift=0.1),
        lambda v: eq.normalised_lstm(v, 0.5),
        "unroll",
    ),
    "not normalised": (lambda: tf1.LayerNormBasicLSTMCell(H, layer_norm=False), eq.lstm, "native"),
    "sru": (lambda: tf1.SRUCell(H, "relu"), lambda v: eq.sru(v, torch.relu), "unroll"),
}


def made(case: str) -> tuple[tf1.RNNCell, eq.Step, str]:
    """A cell with random variables, and its equations on the same."""
    make, equations, engine = CASES[case]
    cell = make()
    tf1.build(cell, I, torch.float64)
    for variable in cell.trainable_variables:
        nn.init.normal_(variable)
    return cell, equations(cell.by_name()), engine


def random_state(cell: tf1.RNNCell) -> Any:
    zeros = cell.zero_state(B, torch.float64)
    return type(zeros)(*map(torch.randn_like, zeros)) if isinstance(zeros, tuple) else torch.randn_like(zeros)


def tensors(*results: Any) -> list[Tensor]:
    return [y for result in results for y in (tensors(*result) if isinstance(result, tuple | list) else [result])]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_equations_and_gradients(case: str, reverse: bool) -> None:
    cell, step, engine = made(case)
    x = torch.randn(B, T, I, dtype=torch.float64)
    x[0, 0, 0] = 7.0
    state = random_state(cell)
    expected = eq.over_time(step, x, tuple(state) if isinstance(state, tuple) else state, LENGTHS, reverse)
    x_nan = x.clone()
    x_nan[2, 3:] = torch.nan  # past its length
    if reverse:
        other = tf1.BasicRNNCell(2)
        (_, y), (_, final) = tf1.bidirectional_dynamic_rnn(
            other, cell, x_nan, LENGTHS, initial_state_bw=state, dtype=torch.float64
        )
    else:
        y, final = tf1.dynamic_rnn(cell, x_nan, LENGTHS, state)
    actual, expected_tensors = tensors(y, final), tensors(*expected)
    for got, want in zip(actual, expected_tensors, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-10)
    weights = [torch.randn_like(y) for y in expected_tensors]
    variables = cell.trainable_variables
    gradients = torch.autograd.grad(actual, variables, weights, allow_unused=True)
    for name, got, want in zip(
        cell.by_name(),
        gradients,
        torch.autograd.grad(expected_tensors, variables, weights, allow_unused=True),
        strict=True,
    ):
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-8, msg=lambda m, n=name: f"{n}: {m}")
    assert tf1.explain(cell, x, LENGTHS, state).engine == engine


@pytest.mark.parametrize("case", CASES)
def test_one_step(case: str) -> None:
    cell, step, _ = made(case)
    x, state = torch.randn(B, I, dtype=torch.float64), random_state(cell)
    output, new = cell(x, state)
    for got, want in zip(tensors(output, new), tensors(*step(x, state)), strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-10)
    assert output.shape == (B, cell.output_size)
    assert isinstance(new, type(state))


def test_the_state_of_an_lstm_is_c_and_h() -> None:
    cell = tf1.LSTMCell(H, num_proj=2)
    assert cell.state_size == tf1.LSTMStateTuple(c=5, h=2)
    state = cell.zero_state(B, torch.float64)
    assert isinstance(state, tf1.LSTMStateTuple)
    assert (state.c.shape, state.h.shape, state.c.dtype) == ((B, 5), (B, 2), torch.float64)
    y, new = tf1.dynamic_rnn(cell, torch.randn(B, T, I), dtype=torch.float32)
    assert torch.equal(new.h, y[:, -1])


def test_a_state_in_one_tensor() -> None:
    x = torch.randn(B, T, I)
    one, two = tf1.LSTMCell(H, num_proj=2, state_is_tuple=False), tf1.LSTMCell(H, num_proj=2, reuse=True)
    assert one.state_size == 7
    state = torch.randn(B, 7)
    y, final = tf1.dynamic_rnn(one, x, initial_state=state)
    expected, parts = tf1.dynamic_rnn(two, x, initial_state=(state[:, :5], state[:, 5:]))
    assert torch.equal(y, expected)
    assert torch.equal(final, torch.cat(parts, 1))


def test_initial_values() -> None:
    """The biases of a GRU's gates are 1, all others 0; kernels as initializer says, or Xavier's."""
    tf1.build(cell := tf1.GRUCell(50), 70)
    named = cell.by_name()
    assert named["gates/bias"].eq(1).all()
    assert named["candidate/bias"].eq(0).all()
    limit = (6 / (120 + 100)) ** 0.5
    assert 0.95 * limit < named["gates/kernel"].abs().max() <= limit
    tf1.build(cell := tf1.GRUCell(5, bias_initializer=lambda b: b.fill_(3)), 7, scope="b")
    assert cell.by_name()["gates/bias"].eq(3).all()
    tf1.build(cell := tf1.LSTMCell(5, True, initializer=lambda w: w.fill_(2), num_proj=2), 7)
    assert all(v.eq(0 if name == "bias" else 2).all() for name, v in cell.by_name().items())
    tf1.build(cell := tf1.LSTMCell(500, True), 7, scope="d")
    assert 0.9 * (3 / 500) ** 0.5 < cell.by_name()["w_f_diag"].abs().max() <= (3 / 500) ** 0.5


def test_dtype_is_that_of_the_cell_or_of_the_inputs() -> None:
    tf1.build(cell := tf1.GRUCell(5, dtype=torch.float64), 7)
    assert {variable.dtype for variable in cell.trainable_variables} == {torch.float64}
    with pytest.raises(ShapeError) as caught:
        tf1.dynamic_rnn(cell, torch.randn(2, 3, 7), dtype=torch.float64)
    assert str(caught.value) == (
        "gru_cell inputs is torch.float32 on cpu; expected torch.float64 on cpu, as the parameters: convert one of "
        "them with .to(...)."
    )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: tf1.LSTMCell(5, num_proj=5),
            "lstm_cell num_proj is 5; expected None, or 1 to less than num_units = 5.",
        ),
        (
            lambda: tf1.LSTMCell(5, num_unit_shards=2),
            "lstm_cell num_unit_shards is 2; expected None or 1: Holdfast stores each variable in one piece.",
        ),
        (
            lambda: tf1.LSTMCell(5, cell_clip=-1.0),
            "LSTM cell_clip is -1.0; expected a positive bound, or None for no bound.",
        ),
        (lambda: tf1.GRUBlockCellV2(), "GRUBlockCellV2 got num_units=None and cell_size=None; expected one of them."),
        (lambda: tf1.SRUCell(0), "sru_cell num_units is 0; expected a whole number from 1 on."),
        (lambda: tf1.BasicRNNCell(0), "RNN hidden_size is 0; expected a whole number from 1 on."),
        (
            lambda: tf1.LayerNormBasicLSTMCell(5, dropout_keep_prob=0),
            "layer_norm_basic_lstm_cell dropout_keep_prob is 0; expected a probability above 0 and at most 1 "
            "(keep all).",
        ),
    ],
)
def test_options_out_of_range(make: Callable[[], object], text: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(text)}$"):
        make()


def test_shapes_that_do_not_fit() -> None:
    cell = tf1.BasicLSTMCell(H)
    zeros = torch.zeros(B, H)
    cell(torch.randn(B, I), (zeros, zeros))
    for inputs, state, text in (
        (
            torch.randn(B, 3),
            (zeros, zeros),
            "basic_lstm_cell inputs has a depth of 3; expected 4, the depth that its variables were made for. Make "
            "another cell for other inputs.",
        ),
        (
            torch.randn(B, I),
            zeros,
            "basic_lstm_cell state is a tensor of shape (3, 5); expected 2 parts of sizes (5, 5).",
        ),
        (torch.randn(B, I), (zeros,), "basic_lstm_cell state is a tuple of 1; expected 2 parts of sizes (5, 5)."),
        (
            torch.randn(B, I),
            (zeros, zeros[:2]),
            "basic_lstm_cell state is a tensor of shape (2, 5); expected a tensor (batch, size) = (3, 5).",
        ),
        (
            torch.randn(B, I),
            (zeros, 1),
            "basic_lstm_cell state is an int; expected a tensor (batch, size) = (3, 5).",
        ),
    ):
        with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
            cell(inputs, state)


def test_recurrent_dropout_is_off_in_evaluation_and_new_at_every_step() -> None:
    """The candidate is dropped, in both forms of the cell, with the same masks from the same seed."""
    x = torch.randn(B, T, I)
    for layer_norm in (True, False):
        make = {"layer_norm": layer_norm, "dropout_keep_prob": 0.5, "dropout_prob_seed": 3, "reuse": tf1.AUTO_REUSE}
        cells = [tf1.LayerNormBasicLSTMCell(64, **make) for _ in range(3)]  # type: ignore[arg-type]
        with tf1.variable_scope(str(layer_norm)):
            a, b, c = (
                tf1.dynamic_rnn(one, x, dtype=torch.float32, parallel_iterations=k)[0]
                for one, k in zip(cells, (None, 2, None), strict=True)
            )
            again = tf1.dynamic_rnn(cells[2], x, dtype=torch.float32)[0]
            cells[0].eval()
            off = tf1.dynamic_rnn(cells[0], x, dtype=torch.float32)[0]
        torch.testing.assert_close(a, b)  # recomputed in segments
        torch.testing.assert_close(a, c)
        assert not torch.allclose(a, again)
        assert not torch.allclose(a, off)
        g = [torch.autograd.grad(y.sum(), cells[0].trainable_variables) for y in (a, b)]
        for one, two in zip(*g, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_the_same_settings_are_checked_once_and_changed_ones_again() -> None:
    cell = tf1.LSTMCell(4)
    assert cell.spec(3) is cell.spec(3)
    assert tf1.LSTMCell(4).spec(3) is cell.spec(3)
    assert cell.spec(5).input_size == 5
    cell.num_units = 6
    assert cell.spec(3).hidden_size == 6
    own = tf1.GRUCell(4, activation=lambda x: x)
    assert own.spec(3).activation is own.activation
    with pytest.raises(OptionError, match="hidden_size"):
        tf1.GRUCell(4.0).spec(3)  # type: ignore[arg-type]
