"""Translation: the network against itself taken apart, the loss by hand, and every recipe the whole way."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from holdfast import experiment, recipes
from holdfast.data.readers import pairs
from holdfast.data.records import Records
from holdfast.data.sets.published import locate
from holdfast.data.vocabulary import BEGIN, END, PADDING, UNKNOWN
from holdfast.decoding import greedy
from holdfast.errors import DataError, OptionError, RecipeError
from holdfast.files import storage
from holdfast.predictor import Predictor
from holdfast.settings import DataSettings, TrainSettings
from holdfast.tasks.translate.settings import TranslateAnswers, TranslateModel, TranslateRecipe
from holdfast.tasks.translate.task import TranslateTask
from holdfast.training import Listener

PAIRS = pairs.grouped(
    ["abc", "b", "ca", "abc", "bbcca", "a"], ["cba", "b", "ac", "CBA", "accbb", "a"], [f"x[{k}]" for k in range(6)]
)


def task(data=(), answers=(), **model):
    settings = {"hidden_size": 6, "embedding_size": 5, **model}
    recipe = TranslateRecipe(
        name="t",
        data={"unit": "characters", **dict(data)},
        model=TranslateModel(**settings),
        predict=TranslateAnswers(**dict(answers)),
    )
    return TranslateTask.fit(recipe, PAIRS)


def encoded(of, examples=PAIRS):
    (batch,) = of.batches(examples).epoch(0)
    return batch


def late(batch):
    """What the decoder reads."""
    return F.pad(batch.targets[:, :-1], (1, 0), value=BEGIN)


def split_up(scores, lengths):
    return scores.split(lengths.tolist())


VARIANTS = [
    {},
    {"attention": "none"},
    {"attention": "additive", "cell": "gru", "bidirectional": True},
    {"attention": "dot", "bidirectional": True, "num_layers": 2},
    {"attention": "dot", "bidirectional": True, "merge": "sum", "cell": "rnn"},
    {"attention": "none", "bidirectional": True, "decoder_size": 7},
    {"bidirectional": True, "num_layers": 2, "decoder_size": 4, "residual": False},
    {"bidirectional": True, "hidden_size": [6, 4]},
    {"bidirectional": True, "options": {"proj_size": 3}},
    {"tied": "output", "attention": "additive"},
]


@pytest.mark.parametrize("model", VARIANTS, ids=str)
def test_padding_changes_nothing(model):
    of = task(**model)
    net, batch = of.build().eval(), encoded(of)
    together = split_up(net(batch.inputs, batch.lengths, late(batch), batch.target_lengths), batch.target_lengths)
    for k in range(len(PAIRS)):
        one = encoded(of, PAIRS.subset([k]))
        torch.testing.assert_close(together[k], net(one.inputs, None, late(one), None))


def test_nan_in_the_padding_changes_no_score_and_no_gradient():
    of = task(bidirectional=True)
    results = []
    for filler in (0.0, math.nan):
        torch.manual_seed(0)
        net, batch = of.build(), encoded(of)
        with torch.no_grad():
            net.source_embedding.weight[PADDING] = net.target_embedding.weight[PADDING] = filler
        scores = net(batch.inputs, batch.lengths, late(batch), batch.target_lengths)
        scores.square().sum().backward()
        results.append([scores, *(parameter.grad for parameter in net.parameters())])
    for clean, dirty in zip(*results, strict=True):
        assert torch.isfinite(clean).all()
        assert torch.equal(clean, dirty)


@pytest.mark.parametrize("model", VARIANTS, ids=str)
def test_the_decoder_step_by_step_scores_as_over_known_targets(model):
    of = task(**model)
    net, batch = of.build().eval(), encoded(of)
    known = torch.log_softmax(net(batch.inputs, batch.lengths, late(batch), batch.target_lengths), -1)
    forbidden = [PADDING, UNKNOWN, BEGIN]
    known[:, forbidden] = -math.inf
    with torch.inference_mode():
        state = net.begin(batch.inputs, batch.lengths)
        steps = []
        for tokens in late(batch).unbind(1):
            scores, state = net.step(tokens[:, None], state)
            steps.append(scores[:, 0])
    for row, expected in enumerate(split_up(known, batch.target_lengths)):
        found = torch.stack([step[row] for step in steps[: len(expected)]])
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", VARIANTS, ids=str)
def test_selected_hypotheses_go_on_as_their_own(model):
    """Two sentences with two hypotheses each, from three sentences with one."""
    of = task(**model)
    net, batch = of.build().eval(), encoded(of, PAIRS.subset([0, 3, 1]))
    with torch.inference_mode():
        begun = net.begin(batch.inputs, batch.lengths)
        _, state = net.step(torch.tensor([[5], [6], [7]]), begun)
        state = net.select(state, torch.tensor([0, 2]), torch.tensor([[0, 0], [0, 0]]))
        scores, state = net.step(torch.tensor([[4, 5], [6, 7]]), state)
        state = net.select(state, torch.tensor([1]), torch.tensor([[1, 0]]))
        scores, _ = net.step(torch.tensor([[5, 6]]), state)
        for hypothesis, tokens in enumerate([[7, 7, 5], [7, 6, 6]]):
            one = encoded(of, PAIRS.subset([1]))
            state = net.begin(one.inputs, one.lengths)
            for token in tokens:
                alone, state = net.step(torch.tensor([[token]]), state)
            torch.testing.assert_close(scores[0, hypothesis], alone[0, 0], rtol=1e-5, atol=1e-6)


def test_without_attention_the_encoders_state_is_copied_into_the_decoder():
    of = task(attention="none")
    net, batch = of.build().eval(), encoded(of)
    _, (h, c) = net.encoder(net.source_embedding(batch.inputs), lengths=batch.lengths)
    begun = net.begin(batch.inputs, batch.lengths)
    assert begun.memory is None
    assert torch.equal(begun.recurrent[0], h)
    assert torch.equal(begun.recurrent[1], c)
    assert not list(net.bridge.parameters())


def test_the_directions_state_is_joined_for_the_decoder():
    of = task(bidirectional=True)
    net, batch = of.build().eval(), encoded(of)
    _, (h, c) = net.encoder(net.source_embedding(batch.inputs), lengths=batch.lengths)
    begun = net.begin(batch.inputs, batch.lengths)
    assert torch.equal(begun.recurrent[0][0], torch.cat([h[0], h[1]], -1))
    assert torch.equal(begun.recurrent[1][0], torch.cat([c[0], c[1]], -1))
    narrow = task(bidirectional=True, decoder_size=4).build()
    assert {name: tuple(p.shape) for name, p in narrow.bridge.named_parameters()} == {
        "h0.weight": (4, 12),
        "h0.bias": (4,),
        "c0.weight": (4, 12),
        "c0.bias": (4,),
    }


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


def table(tmp_path, **data):
    lines = [f"{word}\t{word[::-1]}" for word in ("ab", "ba", "abc", "cab", "bc", "cc", "a", "bb", "ca", "ac")]
    lines += ["ab\tsame", "abc\tsame", "cc\tsame"]
    (tmp_path / "all.tsv").write_text("\n".join(lines))
    settings = {"train": [str(tmp_path / "all.tsv")], "unit": "characters", "test_fraction": 0.3, **data}
    return TranslateRecipe(name="t", data=settings)


def test_no_sentence_of_the_first_column_is_in_two_parts_whichever_way(tmp_path):
    forwards = TranslateTask.load(table(tmp_path), None)
    parts = [set(part.inputs) for part in (forwards.train, forwards.validation, forwards.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 10
    backwards = TranslateTask.load(table(tmp_path, reverse=True), None)
    for ours, theirs in ((forwards.train, backwards.train), (forwards.test, backwards.test)):
        assert {target for targets in theirs.targets for target in targets} <= set(ours.inputs)
    assert "same" in backwards.train.inputs
    assert "same" not in backwards.test.inputs  # although a held-out source has it as a target
    assert "same" in {target for targets in forwards.test.targets for target in targets}


def test_files_without_targets_cannot_be_trained_on(tmp_path):
    recipe = table(tmp_path)
    path = tmp_path / "all.tsv"
    path.write_text("one\ntwo\n")
    message = f"{path} has only sources; expected source<TAB>target in each line."
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        TranslateTask.load(recipe, None)


def test_test_files_are_kept_whole(tmp_path):
    (tmp_path / "test.tsv").write_text("xy\tba\nba\tab\n")
    for reverse, sources in ((False, ["xy", "ba"]), (True, ["ba", "ab"])):
        splits = TranslateTask.load(table(tmp_path, reverse=reverse, test=[str(tmp_path / "test.tsv")]), None)
        assert splits.test.inputs == sources


def test_an_empty_line_has_an_answer():
    of = task(bidirectional=True)
    with torch.inference_mode():
        (answer,) = of.answers(of.build().eval(), encoded(of, of.from_lines([""])))
    assert answer["source"] == ""


def test_files_are_read_in_the_way_that_is_learned(tmp_path):
    recipe = table(tmp_path, reverse=True)
    of = TranslateTask.fit(recipe, TranslateTask.load(recipe, None).train)
    found = of.read([tmp_path / "all.tsv"])
    assert found.inputs[:2] == ["ba", "same"]
    (tmp_path / "bare.txt").write_text("ab\nba\n")
    assert of.read([tmp_path / "bare.txt"]).inputs == ["ab", "ba"]


@pytest.mark.parametrize("name", ["fra.txt", "fra.txt.gz"])
def test_the_known_pairs_are_found_as_published_and_gzipped(name, tmp_path):
    path = tmp_path / "anki-fra-eng" / name
    path.parent.mkdir()
    path.touch()
    assert locate(DataSettings(source="fra-eng"), "pairs", tmp_path) == ([path], [])


def test_made_up_dates_of_the_test_are_never_trained_on():
    recipe = recipes.load("dates", ["data.examples=2000"])
    splits = TranslateTask.load(recipe, None)
    days = [{target for targets in part.targets for target in targets} for part in (splits.train, splits.test)]
    assert len(days[0]) > 1500
    assert len(days[1]) > 150
    assert not days[0] & days[1]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", day) for day in days[1])
    other_way = TranslateTask.load(recipes.load("dates", ["data.examples=2000", "data.reverse=true"]), None)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", day) for day in other_way.test.inputs)


class StoppedError(Exception):
    """The run was cut off."""


class StopsAfter(Listener):
    """Cuts a run off in the middle of an epoch."""

    def __init__(self, updates):
        self.updates = updates

    def update(self, training, sequences):
        if training.step > self.updates:
            raise StoppedError


@pytest.mark.parametrize("name", [name for name in recipes.names() if recipes.load(name).task == "translate"])
def test_the_whole_way_of_a_small_trial(name, tmp_path, request):
    recipe = recipes.load(name, ["train.limit=small", "train.threads=1", "train.checkpoint_seconds=0"])
    data_dir = request.getfixturevalue("real_data")("anki-fra-eng") if recipe.data.source == "fra-eng" else None
    done = experiment.train(recipe, tmp_path / "whole", data_dir=data_dir)
    assert set(done.results) == {"loss", "token_loss", "bleu", "chrf", "exact_match"}
    assert done.results["token_loss"] < math.log(len(Predictor(done.path).task.target)) + 0.5
    found = experiment.evaluate(done.path, data_dir=data_dir)
    assert found.metrics == done.results
    assert found.details.count("source:") == 5
    shortened = experiment.evaluate(done.path, options=["longest=1"], data_dir=data_dir)
    assert shortened.metrics["loss"] == found.metrics["loss"]
    assert shortened.details != found.details

    with pytest.raises(StoppedError):
        experiment.train(recipe, tmp_path / "cut", data_dir=data_dir, listeners=[StopsAfter(2)])
    resumed = experiment.train(recipe, tmp_path / "cut", data_dir=data_dir, resume=True)
    assert resumed.results == done.results
    ours, theirs = (storage.read(run.path / "model.safetensors", "model")[0] for run in (done, resumed))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)

    lines = ["3 March 2021", "How are you?"]
    of_beam, of_greed = (Predictor(done.path, options=[f"beam={beam}"]) for beam in (5, 1))
    answers = list(of_beam.predict_lines(lines))
    assert [(row["origin"], row["source"]) for row in answers] == [("line 1", lines[0]), ("line 2", lines[1])]
    assert all(1 <= len(row["alternatives"]) <= 4 for row in answers)
    task, batch = of_greed.task, encoded(of_greed.task, of_greed.task.from_lines(lines))
    with torch.inference_mode():
        state = of_greed.model.begin(batch.inputs, batch.lengths)
        taken = greedy(of_greed.model, state, 2 * batch.lengths + 20, begin=BEGIN, end=END)
    greeds = [row["translation"] for row in of_greed.predict_lines(lines)]
    assert greeds == [task.target.decode(one.tokens) for one in taken]
    (tmp_path / "sources.txt").write_text("\n".join(lines))
    assert [row["translation"] for row in of_greed.predict([tmp_path / "sources.txt"])] == greeds


def test_the_sample_in_the_docs_is_read(tmp_path, monkeypatch):
    text = (Path(__file__).resolve().parents[3] / "docs" / "translate.md").read_text("utf-8")
    (sample,) = re.findall(r"^`pairs\.tsv`:\n\n```text\n(.*?)^```", text, re.M | re.S)
    (written,) = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    (tmp_path / "pairs.tsv").write_text(sample, encoding="utf-8")
    (tmp_path / "greetings.toml").write_text(written, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DATA", raising=False)
    recipe = recipes.load("greetings.toml")
    splits = TranslateTask.load(recipe, None)
    assert sorted(map(len, (splits.train, splits.validation, splits.test))) == [1, 1, 2]
    everything = {**dict(zip(splits.train.inputs, splits.train.targets, strict=True))}
    for part in (splits.validation, splits.test):
        everything |= dict(zip(part.inputs, part.targets, strict=True))
    assert everything["Good morning."] == ["Bonjour.", "Bon matin."]
    assert len(TranslateTask.fit(recipe, splits.train).encode(splits.train)) == 2
