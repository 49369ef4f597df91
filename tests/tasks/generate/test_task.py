"""Generation: the loss over windows and lines, its penalties, and the tokens of a text."""

import math
from dataclasses import replace

import pytest
import torch
from tests.tasks.generate.cat_texts import TEXT, task, texts
from torch.nn import functional as F

from holdfast.data.vocabulary import BEGIN
from holdfast.settings import TrainSettings
from holdfast.training import validate

CPU = torch.device("cpu")


def whole(of, text=TEXT):
    """The tokens of a text and those before them, as one row."""
    ids = torch.from_numpy(of.tokens(text)).long()[None]
    return torch.cat([torch.tensor([[BEGIN]]), ids[:, :-1]], 1), ids


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("window", [1, 7, 1000])
def test_the_loss_over_windows_with_carried_state_is_that_of_the_whole(cell, window, monkeypatch):
    monkeypatch.setattr("holdfast.tasks.generate.task.MEASURED_ROWS", 1)
    of = task({"window": window}, {"cell": cell, "num_layers": 2})
    model = of.build().double().eval()
    inputs, targets = whole(of)
    scores, _ = model(inputs)
    nats = F.cross_entropy(scores[0], targets[0], reduction="sum").item()
    found = validate(model, of, of.batches(texts(TEXT)), CPU)
    assert found["loss"] == pytest.approx(nats / len(TEXT), rel=1e-12)
    assert found["perplexity"] == pytest.approx(math.exp(nats / len(TEXT)), rel=1e-12)
    assert found["bits_per_character"] == pytest.approx(nats / len(TEXT) / math.log(2), rel=1e-12)


def test_the_gradient_of_a_window_stops_where_the_state_was_carried_in():
    of = task()
    model = of.build()
    first, second = list(of.batches(texts(TEXT), TrainSettings(batch_size=2)).epoch(0))[:2]
    assert not second.fresh.any()
    state = of.loss(model, first).state
    carried = tuple(part.detach().requires_grad_() for part in state)
    torch.autograd.backward(of.loss(model, second, carried).loss)
    assert all(part.grad.abs().sum() > 0 for part in carried)
    again = of.loss(model, first, carried)  # a first window takes no state, even if there is one
    torch.testing.assert_close(again.loss, of.loss(model, first).loss)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("sizes", [7, [7, 5]])
def test_a_row_that_begins_anew_has_a_state_of_zeros_and_the_others_keep_theirs(cell, sizes):
    of = task(model={"cell": cell, "hidden_size": sizes})
    model = of.build().double().eval()
    first, second = list(of.batches(texts(TEXT), TrainSettings(batch_size=4)).epoch(0))[:2]
    state = of.loss(model, first).state
    mixed = replace(second, fresh=torch.tensor([False, True, False, True]))
    found = of.loss(model, mixed, state).outputs
    keeping, anew = of.loss(model, second, state).outputs, of.loss(model, second, None).outputs
    torch.testing.assert_close(found, torch.stack([keeping[0], anew[1], keeping[2], anew[3]]))
    assert not torch.allclose(keeping, anew)


@pytest.mark.parametrize(("unit", "size"), [("words", 0), ("pieces", 200)])
def test_bits_count_the_characters_of_the_text_whatever_a_token_is(unit, size):
    of = task({"unit": unit, "vocabulary_size": size})
    model = of.build().eval()
    batches = of.batches(texts(TEXT))
    found = validate(model, of, batches, CPU)
    tokens = len(of.tokens(TEXT))
    assert tokens < len(TEXT) / 2
    assert found["bits_per_character"] * math.log(2) * len(TEXT) == pytest.approx(found["loss"] * tokens)


def test_tokens_of_a_long_text_are_those_of_the_text_at_once(monkeypatch):
    for unit in ("characters", "words", "pieces"):
        of = task({"unit": unit})
        at_once = of.vocabulary.encode([TEXT])[0]
        monkeypatch.setattr("holdfast.tasks.generate.task._CHUNK", 10)
        assert of.tokens(TEXT).tolist() == at_once
        assert of.tokens("").tolist() == []
        monkeypatch.undo()


def test_a_padded_batch_of_lines_has_the_loss_of_each_line_alone():
    of = task({"sequences": "lines"})
    model = of.build().double().eval()
    lines = ["the cat", "sat", "on the mat. not the dog!"]
    found = validate(model, of, of.batches(texts(*lines)), CPU)
    alone = [validate(model, of, of.batches(texts(line)), CPU) for line in lines]
    tokens = [len(line) + 1 for line in lines]
    nats = sum(one["loss"] * count for one, count in zip(alone, tokens, strict=True))
    assert found["loss"] == pytest.approx(nats / sum(tokens), rel=1e-12)
    assert found["bits_per_character"] == pytest.approx(found["loss"] / math.log(2))
    (batch,) = of.batches(texts(*lines)).epoch(0)
    assert of.loss(model, batch).loss.item() == pytest.approx(found["loss"], rel=1e-12)


def test_each_token_has_the_same_weight_in_windows_of_any_length():
    """The losses of an epoch's windows come to those of all tokens, in full windows."""
    of = task({"window": 9, "vary_window": True})
    model = of.build().double().eval()
    windows = list(of.batches(texts(TEXT), TrainSettings(batch_size=4, seed=3)).epoch(0))
    assert len({w.inputs.shape[1] for w in windows}) > 2
    steps = [of.loss(model, window) for window in windows]
    nats = sum(step.outputs.sum() for step in steps)
    torch.testing.assert_close(sum(step.loss for step in steps), nats / (4 * 9))


def test_the_penalties_by_hand():
    of = task(model={"activation_regularisation": 2, "temporal_regularisation": 3}, data={"sequences": "lines"})
    model = of.build()
    (batch,) = of.batches(texts("the cat", "sat")).epoch(0)
    assert batch.lengths.tolist() == [8, 4]
    plain = of.loss(model.eval(), batch).loss
    h = model(batch.inputs, batch.lengths, return_outputs=True)[2]
    rows = [h[0, :8], h[1, :4]]
    activation = sum(row.square().sum() for row in rows) / (12 * 12)
    change = sum((row[1:] - row[:-1]).square().sum() for row in rows) / (10 * 12)
    torch.testing.assert_close(of.loss(model.train(), batch).loss, plain + 2 * activation + 3 * change)
