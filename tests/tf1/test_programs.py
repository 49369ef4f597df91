"""The tutorial programs in TensorFlow 1's words, small: a classifier with carried state, and one layer four ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, count, islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from holdfast import tf1
from holdfast.data import Batches, Encoder, load
from holdfast.tasks.classify.settings import ClassifyData


@pytest.fixture(autouse=True)
def _own_store() -> Any:
    with tf1.VariableStore().as_default():
        yield


def digits(batch: int) -> tuple[Iterator[Any], Any]:
    """Batches of 8x8 images, read row by row, without end; and the test images."""
    settings = ClassifyData(source="digits", scaling="unit", validation=0)
    splits = load(settings, None, seed=0)
    encoder = Encoder.fit(splits.train, settings)
    batches = Batches(encoder.encode(splits.train), batch, shuffle=True, drop_last=True)
    test = encoder.encode(splits.test)
    return chain.from_iterable(map(batches.epoch, count())), test.__getitems__(list(range(128)))


def accuracy(scores: Tensor, batch: Any) -> float:
    return float((scores.argmax(-1) == batch.targets).double().mean())


def test_a_classifier_with_carried_state() -> None:
    batches, _ = digits(128)
    with tf1.variable_scope("in"):
        w_in = tf1.get_variable("weights", (8, 64), initializer=nn.init.normal_)
        b_in = tf1.get_variable("biases", (64,), initializer=lambda b: nn.init.constant_(b, 0.1))
    with tf1.variable_scope("out"):
        w_out = tf1.get_variable("weights", (64, 10))
        b_out = tf1.get_variable("biases", (10,), initializer=nn.init.zeros_)
    cell = tf1.BasicLSTMCell(64, forget_bias=1.0, state_is_tuple=True)
    tf1.build(cell, 64)
    state = cell.zero_state(128, torch.float32)
    optimizer = torch.optim.Adam(tf1.trainable_variables(), lr=5e-3)
    history, states = [], []
    for batch in islice(batches, 81):
        hidden = batch.inputs @ w_in + b_in
        outputs, final = tf1.dynamic_rnn(cell, hidden, initial_state=state, time_major=False)
        scores = final.h @ w_out + b_out
        assert torch.equal(final.h, outputs[:, -1])
        history.append(accuracy(scores, batch))
        optimizer.zero_grad()
        nn.functional.cross_entropy(scores, batch.targets).backward()
        optimizer.step()
        state = tf1.LSTMStateTuple(*(part.detach() for part in final))
        states.append(state.c)
    assert history[0] < 0.4
    assert sum(history[-5:]) / 5 > 0.85
    assert not torch.equal(states[-1], states[-2])
    assert list(tf1.default_store().variables)[-2:] == ["rnn/basic_lstm_cell/kernel", "rnn/basic_lstm_cell/bias"]


FORMS: dict[str, Callable[[], tf1.RNNCell]] = {
    "basic LSTM": lambda: tf1.BasicLSTMCell(32, forget_bias=1.0),
    "LSTM": lambda: tf1.LSTMCell(32),
    "GRU": lambda: tf1.GRUCell(32),
    "GRU, dynamic": lambda: tf1.GRUCell(32),
}


def last_output(cell: tf1.RNNCell, form: str, x: Tensor) -> Tensor:
    if "dynamic" in form:
        return tf1.dynamic_rnn(cell, x, dtype=torch.float32, scope=form)[0][:, -1]
    return tf1.static_rnn(cell, list(x.unbind(1)), dtype=torch.float32, scope=form)[0][-1]


def test_one_layer_four_ways() -> None:
    shares = {}
    for form, make in FORMS.items():
        torch.manual_seed(0)
        batches, test = digits(128)
        last = partial(last_output, make(), form)
        with torch.no_grad():
            last(test.inputs)
        with tf1.variable_scope(form):
            w, b = tf1.get_variable("w", (32, 10)), tf1.get_variable("b", (10,), initializer=nn.init.zeros_)
        optimizer = torch.optim.Adam(tf1.trainable_variables(form), lr=1e-2)
        for batch in islice(batches, 60):
            optimizer.zero_grad()
            nn.functional.cross_entropy(last(batch.inputs) @ w + b, batch.targets).backward()
            optimizer.step()
        shares[form] = accuracy(last(test.inputs) @ w + b, test)
    assert all(share > 0.75 for share in shares.values()), shares
    assert shares["GRU"] == shares["GRU, dynamic"]
