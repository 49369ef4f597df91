"""Translation: the loss by hand, batches, answers, training, saving, and what is refused."""

from __future__ import annotations

import json
import re

import pytest
import torch
from tests.tasks.translate.reversed_words import PAIRS, encoded, late, task
from torch.nn import functional as F

from holdfast.data.records import Records
from holdfast.data.vocabulary import END
from holdfast.errors import DataError, OptionError, RecipeError
from holdfast.files import storage
from holdfast.settings import TrainSettings
from holdfast.tasks.translate.settings import TranslateAnswers
from holdfast.tasks.translate.task import TranslateTask


def test_the_loss_is_that_of_the_tokens_summed_over_a_sentence():
    of = task()
    net, batch = of.build().eval(), encoded(of)
    step = of.loss(net, batch)
    by_hand = []
    for k in range(len(PAIRS)):
        one = encoded(of, PAIRS.subset([k]))
        scores = net(one.inputs, None, late(one), None).detach()
        by_hand.append(F.cross_entropy(scores, one.targets[0], reduction="sum"))
    torch.testing.assert_close(step.loss, torch.stack(by_hand).mean())
    torch.testing.assert_close(step.outputs[:, 0], torch.stack(by_hand).double(), rtol=1e-5, atol=1e-6)
    metrics = of.metrics()
    metrics.update(step.outputs, batch)
    tokens = sum(len(targets[0]) + 1 for targets in PAIRS.targets)
    assert metrics.compute()["token_loss"] == pytest.approx(float(sum(by_hand)) / tokens, rel=1e-6)


def test_label_smoothing_is_torchs_and_only_in_training():
    of = task(label_smoothing=0.3)
    net, batch = of.build(), encoded(of)
    scores = net(batch.inputs, batch.lengths, late(batch), batch.target_lengths)
    wanted = torch.cat([row[:n] for row, n in zip(batch.targets, batch.target_lengths, strict=True)])
    trained, measured = of.loss(net.train(), batch), of.loss(net.eval(), batch)
    for step, smoothing in ((trained, 0.3), (measured, 0.0)):
        expected = F.cross_entropy(scores, wanted, reduction="sum", label_smoothing=smoothing) / len(batch)
        torch.testing.assert_close(step.loss, expected)
    torch.testing.assert_close(trained.outputs, measured.outputs[:, :1])


@pytest.mark.parametrize("beam", [1, 3])
def test_answers_do_not_depend_on_the_batch(beam):
    of = task(bidirectional=True, answers={"beam": beam})
    net = of.build().eval()
    with torch.inference_mode():
        together = of.answers(net, encoded(of))
        alone = [of.answers(net, encoded(of, PAIRS.subset([k])))[0] for k in range(len(PAIRS))]
    assert [row["source"] for row in together] == PAIRS.inputs
    for one, other in zip(together, alone, strict=True):
        assert one.pop("score") == pytest.approx(other.pop("score"), rel=1e-5)
        assert one == other
        assert len(one["alternatives"]) == beam - 1


def test_the_length_of_an_answer_is_bounded():
    of = task(answers={"longest": 3})
    net = of.build().eval()
    with torch.no_grad():
        net.output.bias[END] = -1e9
    with torch.inference_mode():
        assert {len(row["translation"]) for row in of.answers(net, encoded(of))} == {3}
        of.answering = TranslateAnswers()
        assert [len(row["translation"]) for row in of.answers(net, encoded(of))] == [
            2 * len(text) + 20 for text in PAIRS.inputs
        ]


def test_every_target_is_trained_on_and_the_first_is_measured():
    of = task()
    batches = of.batches(PAIRS, TrainSettings(batch_size=4, bucket=2))
    trained = [
        (text, of.target.decode(ids.tolist()))
        for batch in batches.epoch(0)
        for text, ids in zip(batch.texts, batch.targets, strict=True)
    ]
    every = [(source, target) for source, some in zip(PAIRS.inputs, PAIRS.targets, strict=True) for target in some]
    assert sorted(trained) == sorted(every)
    batch = encoded(of)
    assert [of.target.decode(ids.tolist()) for ids in batch.targets] == [some[0] for some in PAIRS.targets]
    assert batch.references[0] == ("cba", "CBA")


def test_batches_are_sorted_by_target_then_source():
    of = task()
    dataset = of.encode(Records(["a", "abc", "b", "ca"], [["cc"], ["a"], ["b"], ["c"]], ["", "", "", ""]))
    order = sorted(range(4), key=dataset.lengths.__getitem__)
    assert order == [2, 3, 1, 0]


@pytest.mark.parametrize("attention", ["none", "dot", "general", "additive"])
def test_it_learns_to_turn_words_round(attention):
    torch.manual_seed(1)
    of = task(hidden_size=32, embedding_size=16, attention=attention)
    net, batch = of.build(), encoded(of)
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        of.loss(net, batch).loss.backward()
        optimizer.step()
    with torch.inference_mode():
        step = of.loss(net.eval(), batch)
    metrics = of.metrics()
    metrics.update(step.outputs, batch)
    assert metrics.compute()["exact_match"] == 1.0
    assert metrics.compute()["chrf"] == pytest.approx(100)
    of.answering = TranslateAnswers(beam=4)
    with torch.inference_mode():
        assert [row["translation"] for row in of.answers(net, batch)] == [some[0] for some in PAIRS.targets]


def test_tied_weights_stay_one_when_saved(tmp_path):
    of = task(data={"shared": True}, tied="all")
    net = of.build()
    assert net.source_embedding.weight is net.target_embedding.weight is net.output.weight
    again = TranslateTask.from_dict(json.loads(json.dumps(of.to_dict())))
    assert again.source is again.target
    assert again.source.tokens == of.source.tokens
    storage.write(tmp_path / "m.safetensors", net.state_dict(), {}, "model")
    other = again.build()
    storage.fit_tensors(other, storage.read(tmp_path / "m.safetensors", "model")[0], tmp_path / "m.safetensors")
    assert other.source_embedding.weight is other.output.weight
    assert torch.equal(other.output.weight, net.output.weight)


def test_a_saved_task_is_the_same():
    of = task(answers={"beam": 3}, bidirectional=True)
    again = TranslateTask.from_dict(json.loads(json.dumps(of.to_dict())))
    assert again.to_dict() == of.to_dict()
    assert again.source.tokens == of.source.tokens
    assert again.target.tokens == of.target.tokens


def test_options_that_do_not_fit():
    message = 'model.tied = "all" needs one vocabulary for both sides; set data.shared = true.'
    with pytest.raises(RecipeError, match=f"^{re.escape(message)}$"):
        task(tied="all")
    message = (
        "model.tied without attention needs decoder outputs as wide as the embedding; got 6 and 5. "
        "Set model.decoder_size = 5, or use attention."
    )
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        task(tied="output", attention="none").build()
    with pytest.raises(OptionError, match="DotAttention got query_size = 4 and memory_size = 6; expected them to be"):
        task(decoder_size=4, attention="dot").build()


def test_sentences_without_targets_are_answered_and_cannot_be_measured():
    of = task()
    net = of.build().eval()
    bare = encoded(of, of.from_lines(["ab", "  c \u00a0 a "]))
    assert bare.texts == ("ab", "c a")
    with torch.inference_mode():
        assert len(of.answers(net, bare)) == 2
    with pytest.raises(DataError, match="The sequences have no labels; expected one for each"):
        of.loss(net, bare)


def test_an_empty_line_has_an_answer():
    of = task(bidirectional=True)
    with torch.inference_mode():
        (answer,) = of.answers(of.build().eval(), encoded(of, of.from_lines([""])))
    assert answer["source"] == ""
