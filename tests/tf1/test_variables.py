"""Names, scopes and sharing of variables, as TensorFlow 1 has them, and their restoring from a checkpoint."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tf1_writer
from holdfast import tf1
from holdfast.errors import ModelFileError, OptionError, ShapeError

X = torch.randn(2, 3, 4)
FLOAT = torch.float32


@pytest.fixture(autouse=True)
def store() -> Any:
    with tf1.VariableStore().as_default() as store:
        yield store


def names(under: str = "") -> list[str]:
    return [name for name in tf1.default_store().variables if name.startswith(under)]


def test_names_are_those_of_a_checkpoint() -> None:
    tf1.dynamic_rnn(tf1.BasicLSTMCell(3), X, dtype=FLOAT)
    assert names() == ["rnn/basic_lstm_cell/kernel", "rnn/basic_lstm_cell/bias"]
    tf1.static_rnn(tf1.LSTMCell(3, True, num_proj=2, name="own"), list(X), dtype=FLOAT, scope="a")
    parts = ("kernel", "bias", "w_f_diag", "w_i_diag", "w_o_diag", "projection/kernel")
    assert names("a/") == [f"a/own/{name}" for name in parts]
    stack = tf1.MultiRNNCell([tf1.GRUCell(2), tf1.DropoutWrapper(tf1.ResidualWrapper(tf1.BasicRNNCell(2)))])
    tf1.dynamic_rnn(stack, X, dtype=FLOAT, scope="b")
    assert names("b/") == [
        *(f"b/multi_rnn_cell/cell_0/gru_cell/{p}/{s}" for p in ("gates", "candidate") for s in ("kernel", "bias")),
        *(f"b/multi_rnn_cell/cell_1/basic_rnn_cell/{s}" for s in ("kernel", "bias")),
    ]
    cells = [tf1.LSTMBlockCell(2), tf1.GRUBlockCellV2(2)]
    tf1.bidirectional_dynamic_rnn(*cells, X, dtype=FLOAT)
    assert names("bidirectional_rnn/fw") == [f"bidirectional_rnn/fw/lstm_cell/{s}" for s in ("kernel", "bias")]
    assert len(names("bidirectional_rnn/bw/gru_cell/")) == 4
    tf1.stack_bidirectional_dynamic_rnn([tf1.BasicRNNCell(2)], [tf1.SRUCell(2)], X, dtype=FLOAT)
    assert "stack_bidirectional_rnn/cell_0/bidirectional_rnn/bw/sru_cell/kernel" in names()
    tf1.stack_bidirectional_rnn([tf1.BasicRNNCell(2)], [tf1.SRUCell(2)], list(X), dtype=FLOAT, scope="c")
    assert "c/cell_0/bw/sru_cell/kernel" in names()
    tf1.LSTMBlockFusedCell(2)(X, dtype=FLOAT)
    tf1.dynamic_rnn(tf1.LayerNormBasicLSTMCell(3), X, dtype=FLOAT, scope="d")
    assert "lstm_fused_cell/kernel" in names()
    assert "d/layer_norm_basic_lstm_cell/transform/gamma" in names()


def test_a_second_cell_of_that_name_is_refused_and_the_same_cell_shares() -> None:
    cell = tf1.GRUCell(3)
    y, _ = tf1.dynamic_rnn(cell, X, dtype=FLOAT)
    again, _ = tf1.dynamic_rnn(cell, X, dtype=FLOAT, scope="elsewhere")
    assert torch.equal(y, again)
    assert len(names()) == 4
    with pytest.raises(OptionError) as caught:
        tf1.dynamic_rnn(tf1.GRUCell(3), X, dtype=FLOAT)
    assert str(caught.value) == (
        "Variable rnn/gru_cell/gates/kernel exists already. Call the cell that made it, give another scope, or share "
        "it by reuse=True or reuse=tf1.AUTO_REUSE."
    )


@pytest.mark.parametrize("reuse", [True, tf1.AUTO_REUSE])
def test_sharing(reuse: Any) -> None:
    first, second, third = tf1.GRUCell(3), tf1.GRUCell(3), tf1.GRUCell(3, reuse=reuse)
    with tf1.variable_scope("a"):
        y, _ = tf1.dynamic_rnn(first, X, dtype=FLOAT)
    with tf1.variable_scope("a", reuse=reuse):
        again, _ = tf1.dynamic_rnn(second, X, dtype=FLOAT)
    with tf1.variable_scope("a"):
        once_more, _ = tf1.dynamic_rnn(third, X, dtype=FLOAT)
    assert torch.equal(y, again)
    assert torch.equal(y, once_more)
    assert first.trainable_variables[0] is second.trainable_variables[0] is third.trainable_variables[0]
    assert tf1.trainable_variables() == first.trainable_variables
    assert tf1.trainable_variables("a/rnn/gru_cell/gates") == first.trainable_variables[:2]
    assert tf1.trainable_variables("a/rnn/gru") == []


def test_sharing_what_is_not_there_or_has_another_shape() -> None:
    with pytest.raises(OptionError) as caught, tf1.variable_scope("a", reuse=True):
        tf1.dynamic_rnn(tf1.GRUCell(3), X, dtype=FLOAT)
    assert str(caught.value) == (
        "Variable a/rnn/gru_cell/gates/kernel does not exist, and reuse=True needs one that does. Make it first, or "
        "give reuse=tf1.AUTO_REUSE."
    )
    tf1.dynamic_rnn(tf1.BasicRNNCell(3), X, dtype=FLOAT)
    with pytest.raises(ShapeError) as failed:
        tf1.dynamic_rnn(tf1.BasicRNNCell(5, reuse=True), X, dtype=FLOAT)
    assert str(failed.value) == (
        "Variable rnn/basic_rnn_cell/kernel has shape (7, 3); expected (9, 5) to share it. Give another scope."
    )


def test_names_of_cells_are_made_unique_within_a_scope() -> None:
    state = torch.zeros(2, 3)
    with tf1.variable_scope("s"):
        for _ in range(3):
            tf1.GRUCell(3)(X[:, 0], state)
        tf1.GRUCell(3)(X[:, 0], state, scope="inner")
    assert [name for name in names() if name.endswith("gates/bias")] == [
        "s/gru_cell/gates/bias",
        "s/gru_cell_1/gates/bias",
        "s/gru_cell_2/gates/bias",
        "s/inner/gates/bias",
    ]
    with tf1.variable_scope("s", reuse=True):  # once more from the first name
        tf1.GRUCell(3)(X[:, 0], state)
    with tf1.variable_scope(None, "t") as one, tf1.variable_scope(None, "t") as inner:
        assert (one.name, inner.name) == ("t", "t/t")
    with tf1.variable_scope(None, "t") as two:
        assert two.name == "t_1"
    with tf1.variable_scope(one) as back:
        assert back.name == "t"
    with pytest.raises(OptionError, match=r"^variable_scope got neither a name nor a default_name; expected one of "):
        tf1.variable_scope(None).__enter__()


def test_get_variable() -> None:
    with tf1.variable_scope("a", initializer=nn.init.ones_):
        ones = tf1.get_variable("w", (2, 3))
        twos = tf1.get_variable("v", (2,), torch.float64, lambda v: v.fill_(2), trainable=False)
    with tf1.variable_scope("a", reuse=True):
        assert tf1.get_variable("w") is ones
    assert ones.eq(1).all()
    assert twos.dtype == torch.float64
    assert names() == ["a/w", "a/v"]
    assert tf1.trainable_variables() == [ones]
    assert tf1.get_variable_scope().name == ""
    with pytest.raises(ShapeError, match=r"^Variable x is new and got no shape\. Give one\.$"):
        tf1.get_variable("x")


def test_a_fresh_store() -> None:
    tf1.get_variable("x", (1,))
    with tf1.VariableStore().as_default(), tf1.variable_scope("inner"):
        assert names() == []
        with tf1.VariableStore().as_default():
            assert tf1.get_variable_scope().name == ""
    tf1.reset_default_graph()
    assert names() == []


class OwnCell(tf1.RNNCell):
    """As the documents of TensorFlow 1 write one."""

    state_size = 3  # type: ignore[assignment]
    output_size = 2  # type: ignore[assignment]

    def call(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        w = tf1.get_variable("w", (inputs.shape[-1], 3), inputs.dtype)
        new = torch.tanh(inputs @ w + state)
        return new[:, :2], new


def test_a_cell_of_ones_own() -> None:
    cell = OwnCell(name="own")
    y, state = tf1.dynamic_rnn(cell, X, [3, 1], dtype=FLOAT)
    assert names() == ["rnn/own/w"]
    w = tf1.trainable_variables()[0]
    expected = torch.tanh(X[1, 0] @ w)
    torch.testing.assert_close(state[1], expected)
    torch.testing.assert_close(y[1], torch.stack([expected[:2], torch.zeros(2), torch.zeros(2)]))
    with pytest.raises(OptionError, match=r"^Variable rnn/own/w exists already\. "):
        tf1.dynamic_rnn(OwnCell(name="own"), X, dtype=FLOAT)

    class Wrong(OwnCell):
        def call(self, inputs: Tensor, state: Tensor) -> Any:
            return state

    with pytest.raises(ShapeError) as caught:
        tf1.dynamic_rnn(Wrong(), X, dtype=FLOAT)
    assert str(caught.value) == "Wrong.call(inputs, state) returned a Tensor; expected the pair (output, new state)."


def test_a_cell_of_ones_own_that_makes_its_variables_beforehand() -> None:
    class Built(OwnCell):
        def build(self, inputs_shape: Any) -> None:
            self.w = self.add_variable("w", (inputs_shape[-1], 3), nn.init.ones_)

        def call(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            new = inputs @ self.w + state
            return new[:, :2], new

    cell = Built()
    _, (_, state) = tf1.dynamic_rnn(tf1.MultiRNNCell([tf1.GRUCell(4), cell]), X, dtype=FLOAT)
    assert names()[-1] == "rnn/multi_rnn_cell/cell_1/rnn_cell/w"
    assert cell.trainable_variables == [cell.w]
    assert torch.equal(state[:, 0], state[:, 2])


def test_an_optimiser_trains_them() -> None:
    cell = tf1.BasicLSTMCell(3)
    tf1.build(cell, 4)
    optimizer = torch.optim.Adam(tf1.trainable_variables(), lr=0.1)
    losses = []
    for _ in range(20):
        loss = (tf1.dynamic_rnn(cell, X, dtype=FLOAT)[0] - 0.3).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    assert set(cell.state_dict()) == {"kernel", "bias"}


# Restoring


def test_restoring_before_and_after_variables_are_made(tmp_path: Path, store: tf1.VariableStore) -> None:
    shapes = {"rnn/gru_cell/gates/kernel": (7, 6), "rnn/gru_cell/gates/bias": (6,)}
    shapes |= {"rnn/gru_cell/candidate/kernel": (7, 3), "rnn/gru_cell/candidate/bias": (3,), "out": (2,)}
    arrays = tf1_writer.filled(shapes)
    tf1_writer.write_v2(tmp_path / "m", arrays)
    cell = tf1.GRUCell(3)
    before, _ = tf1.dynamic_rnn(cell, X, dtype=FLOAT)
    store.restore(tmp_path / "m")
    after, _ = tf1.dynamic_rnn(cell, X, dtype=FLOAT)
    assert not torch.allclose(before, after)
    for name, variable in store.variables.items():
        assert torch.equal(variable, torch.from_numpy(arrays[name]))
    with tf1.VariableStore().as_default() as second:
        second.restore(tmp_path / "m", scope="rnn")
        assert torch.equal(tf1.dynamic_rnn(tf1.GRUCell(3), X, dtype=FLOAT)[0], after)
        assert not tf1.get_variable("out", (2,)).detach().allclose(torch.from_numpy(arrays["out"]))  # not in the scope


def test_restoring_older_names(tmp_path: Path, store: tf1.VariableStore) -> None:
    arrays = tf1_writer.filled({"RNN/BasicLSTMCell/Linear/Matrix": (7, 12), "RNN/BasicLSTMCell/Linear/Bias": (12,)})
    tf1_writer.write_v1(tmp_path / "m", arrays)
    store.restore(tmp_path / "m")
    tf1.dynamic_rnn(tf1.BasicLSTMCell(3), X, dtype=FLOAT)
    for variable, array in zip(store.variables.values(), arrays.values(), strict=True):
        assert torch.equal(variable, torch.from_numpy(array))


def test_restoring_what_does_not_fit_changes_nothing(tmp_path: Path, store: tf1.VariableStore) -> None:
    tf1.get_variable("a", (2,))
    tf1.get_variable("b", (2,))
    values = {name: variable.clone() for name, variable in store.variables.items()}
    for arrays, text in (
        (
            {"a": (2,)},
            "has no variable b; the store has one of shape (2,). Restore under another scope, or give the cell and its "
            "scope the names of the program that saved it.",
        ),
        (
            {"a": (2,), "b": (3,)},
            "has variable b of shape (3,) and torch.float32; the store's is (2,) and torch.float32. Build the model "
            "that was saved.",
        ),
    ):
        tf1_writer.write_v2(tmp_path / "m", tf1_writer.filled(arrays))
        with pytest.raises(ModelFileError, match=f"^{re.escape(f'{tmp_path}/m {text}')}$"):
            store.restore(tmp_path / "m")
        assert all(torch.equal(variable, values[name]) for name, variable in store.variables.items())
