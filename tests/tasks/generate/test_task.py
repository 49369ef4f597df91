import json
import math
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from holdfast import experiment, recipes
from holdfast.data import Records
from holdfast.data.vocabulary import BEGIN, END, PADDING, UNKNOWN, Vocabulary
from holdfast.errors import DataError, OptionError, RecipeError
from holdfast.files import storage
from holdfast.predictor import Predictor
from holdfast.settings import TrainSettings
from holdfast.tasks import GenerateTask, model_file
from holdfast.tasks.generate.network import LanguageModel
from holdfast.tasks.generate.settings import GenerateAnswers, GenerateData, GenerateModel
from holdfast.training import Listener, TrainingInterrupted, validate

TEXT = "the cat sat on the mat. the dog sat on the log! who sat on the dog? not the cat.\n" * 3
CPU = torch.device("cpu")


def task(data=None, model=None, answers=None, text=TEXT):
    data = GenerateData(**{"window": 8, "restart": 0, **(data or {})})
    vocabulary = Vocabulary.fit([text], data.unit, least=data.least)
    settings = GenerateModel(**{"hidden_size": 12, **(model or {})})
    return GenerateTask(data, settings, GenerateAnswers(**(answers or {})), vocabulary, several=True)


def texts(*several):
    return Records(list(several), list(several), [f"{k}.txt" for k in range(len(several))])


def whole(of, text=TEXT):
    """The tokens of a text and those before them, as one row."""
    ids = torch.from_numpy(of.tokens(text)).long()[None]
    return torch.cat([torch.tensor([[BEGIN]]), ids[:, :-1]], 1), ids


# The loss


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


@pytest.mark.parametrize("unit", ["words", "pieces"])
def test_bits_count_the_characters_of_the_text_whatever_a_token_is(unit):
    of = task({"unit": unit})
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


# The network


def test_tied_weights_are_one_tensor_that_both_layers_train(tmp_path):
    of = task(model={"tied": True})
    model = of.build()
    assert model.output.weight is model.embedding.weight
    assert sum(p.numel() for p in model.parameters()) == len(of.vocabulary) * 13 + 4 * 12 * (12 + 12 + 2)
    (batch,) = of.batches(texts("the cat sat")).epoch(0)
    loss = of.loss(model, batch).loss
    weight = model.embedding.weight
    (both,) = torch.autograd.grad(loss, weight)
    model.output.weight = torch.nn.Parameter(weight.detach().clone())
    apart = torch.autograd.grad(of.loss(model, batch).loss, [model.embedding.weight, model.output.weight])
    assert all(part.abs().sum() > 0 for part in apart)
    torch.testing.assert_close(both, apart[0] + apart[1])

    model = of.build()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    torch.autograd.backward(of.loss(model, batch).loss)
    optimizer.step()
    assert torch.equal(model.output.weight, model.embedding.weight)
    model_file.save(tmp_path / "model.safetensors", of, model)
    back, loaded = model_file.load(tmp_path / "model.safetensors")
    assert loaded.output.weight is loaded.embedding.weight
    assert torch.equal(loaded.output.weight, model.output.weight)
    assert back.vocabulary.tokens == of.vocabulary.tokens


def test_tied_sizes_must_agree():
    message = (
        r"^tied is on, embedding_size is 5, and the recurrent layers give 12 values; expected these to be equal\. "
        r"Set embedding_size = 0\.$"
    )
    with pytest.raises(OptionError, match=message):
        LanguageModel(9, GenerateModel(hidden_size=12, embedding_size=5, tied=True))
    assert LanguageModel(9, GenerateModel(hidden_size=[12, 7], tied=True)).output.in_features == 7
    projected = GenerateModel(hidden_size=12, options={"proj_size": 5}, tied=True)
    assert LanguageModel(9, projected).embedding.embedding_dim == 5


def test_embedding_dropout_drops_a_token_wherever_it_stands():
    model = LanguageModel(40, GenerateModel(hidden_size=6, embedding_dropout=0.4))
    tokens = torch.arange(40).repeat(3, 2)
    x, full = model._embedded(tokens), model.eval()._embedded(tokens)
    assert torch.equal(full, model.embedding(tokens))
    gone = (x == 0).all(-1)
    assert 5 < gone[0, :40].sum() < 27
    assert torch.equal(gone, gone[:1, :40].repeat(3, 2))
    torch.testing.assert_close(x[~gone], full[~gone] / 0.6)


@pytest.mark.parametrize("locked", [False, True])
def test_locked_dropout_of_input_and_output_is_the_same_at_every_step(locked):
    model = LanguageModel(9, GenerateModel(hidden_size=50, input_dropout=0.5, dropout=0.3, locked_dropout=locked))
    tokens = torch.randint(4, 9, (3, 20))
    _, _, outputs, dropped = model(tokens, return_outputs=True)
    for before, after, p in ((model.embedding(tokens), model._embedded(tokens), 0.5), (outputs, dropped, 0.3)):
        kept = after != 0
        assert kept.float().mean() == pytest.approx(1 - p, abs=0.12)
        torch.testing.assert_close(after[kept], before[kept] / (1 - p))
        assert torch.equal(kept, kept[:, :1].expand_as(kept)) == locked
        assert not torch.equal(kept[0], kept[1])


def test_output_dropout_is_dropout_unless_it_is_set():
    assert LanguageModel(9, GenerateModel(dropout=0.3)).output_dropout == 0.3
    assert LanguageModel(9, GenerateModel(dropout=0.3, output_dropout=0)).output_dropout == 0


# From files to answers


def recipe(*overrides, name="mine"):
    table = {"name": name, "task": "generate"}
    table |= {"data": {"train": ["mine.txt"]}, "model": {"hidden_size": 16}, "train": {"threads": 1}}
    document = json.loads(json.dumps(table))
    for override in overrides:
        key, value = override.split("=", 1)
        *parents, last = key.split(".")
        inner = document
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = json.loads(value)
    return recipes.from_dict(document, "mine")


STREAMS = ("train.carry_state=true", "train.batch_size=4", "data.window=16", "data.vary_window=true")
AWD = (
    "model.num_layers=2",
    "model.tied=true",
    "model.locked_dropout=true",
    "model.dropout=0.2",
    "model.input_dropout=0.2",
    "model.embedding_dropout=0.1",
    'model.options={"weight_dropout": 0.3}',
    "model.activation_regularisation=2",
    "model.temporal_regularisation=1",
)


@pytest.fixture
def mine(tmp_path):
    lines = [f"{who} {what} on the {where}." for who in ("a cat", "the dog", "nobody") for what in ("sat", "lay")
             for where in ("mat", "log", "roof", "bed")]  # fmt: skip
    (tmp_path / "mine.txt").write_text("\n".join(lines * 4) + "\n")
    return tmp_path


def test_a_text_is_split_at_its_end(mine):
    text = (mine / "mine.txt").read_text()
    count = len(text)
    held = math.ceil(0.1 * count)
    splits = GenerateTask.load(recipe("data.test_fraction=0"), mine)
    assert splits.train.inputs == [text[: count - held]]
    assert splits.validation.inputs == [text[count - held :]]
    assert splits.test is splits.validation
    splits = GenerateTask.load(recipe("data.test_fraction=0.2", "data.validation=0"), mine)
    assert splits.validation is None
    assert splits.train.inputs[0] + splits.test.inputs[0] == text
    assert len(splits.test.inputs[0]) == math.ceil(0.2 * count)
    splits = GenerateTask.load(recipe("data.limit=1000"), mine)
    assert [len(part.inputs[0]) for part in (splits.train, splits.validation, splits.test)] == [900, 100, held]


def test_lines_are_split_at_random_and_no_line_is_in_two_parts(mine):
    lines = [f"line {k}" for k in range(50)]
    (mine / "mine.txt").write_text("\n".join(lines))
    splits = GenerateTask.load(recipe('data.sequences="lines"'), mine)
    parts = [splits.train.inputs, splits.validation.inputs, splits.test.inputs]
    assert [len(part) for part in parts] == [40, 5, 5]
    assert sorted(line for part in parts for line in part) == sorted(lines)
    other = GenerateTask.load(recipe('data.sequences="lines"', "train.seed=1"), mine)
    assert other.test.inputs != splits.test.inputs
    assert len(GenerateTask.load(recipe('data.sequences="lines"', "data.limit=10"), mine).train) == 9


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ['data.sequences="lines"', "train.carry_state=true"],
            r'^train\.carry_state goes with data\.sequences = "streams"; lines are independent\.$',
        ),
        (
            ["data.validation=0", "data.test_fraction=0"],
            r"^data\.test_fraction and data\.validation are 0: there is no data to measure the model on\.$",
        ),
        (["model.bidirectional=true"], r"^The recipe mine cannot be used: model\.bidirectional is True: input should"),
        (["predict.top_p=0"], r"predict\.top_p is 0: input should be greater than 0\.$"),
    ],
)
def test_what_cannot_be_is_said(mine, overrides, message):
    with pytest.raises(RecipeError, match=message):
        GenerateTask.load(recipe(*overrides), mine)


def test_a_model_learns_and_is_measured_and_saved(mine):
    done = experiment.train(recipe(*STREAMS, "train.learning_rate=0.02", "train.epochs=8"), mine / "run", data_dir=mine)
    assert done.results["loss"] < 1.2  # of 2.9 for a guess at each letter by how often it occurs
    assert experiment.evaluate(done.path, data_dir=mine).metrics == done.results
    found = experiment.evaluate(done.path, [mine / "mine.txt"]).metrics
    assert found["loss"] < 1.2


@pytest.mark.parametrize("extra", [(), AWD], ids=["plain", "awd"])
def test_a_run_stopped_within_an_epoch_goes_on_to_the_same_bits(mine, extra):
    """The carried state, the place in the text and the random numbers of dropout are all in the checkpoint."""

    class Stopping(Listener):
        def update(self, training, sequences):
            if training.step == 19:
                assert 0 < training.batch < 26
                assert training.carried is not None
                os.kill(os.getpid(), signal.SIGINT)

    chosen = recipe(*STREAMS, *extra, "train.epochs=2")
    with pytest.raises(TrainingInterrupted, match=r"^Stopped after update 19 of "):
        experiment.train(chosen, mine / "stopped", data_dir=mine, listeners=[Stopping()])
    resumed = experiment.train(chosen, mine / "stopped", data_dir=mine, resume=True)
    straight = experiment.train(chosen, mine / "straight", data_dir=mine)
    assert resumed.results == straight.results
    ours, theirs = (storage.read(r.path / "model.safetensors", "model")[0] for r in (resumed, straight))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    rows = [(path / "history.jsonl").read_text().splitlines() for path in (resumed.path, straight.path)]
    ours, theirs = ([json.loads(row)["train"] for row in some] for some in rows)
    assert ours == theirs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generate")
    (folder / "mine.txt").write_text(TEXT * 4)
    chosen = recipe(*STREAMS, "train.learning_rate=0.02", "train.epochs=6", "predict.length=30")
    return experiment.train(chosen, folder / "run", data_dir=folder).path


def said(run, *options, lines=None):
    predictor = Predictor(run, options=options)
    answers = predictor.predict([]) if lines is None else predictor.predict_lines(lines)
    return [answer["text"] for answer in answers]


def test_texts_depend_on_prompt_seed_and_number_alone(run):
    one = said(run, 'prompt="the "', "seed=1")
    three = said(run, 'prompt="the "', "seed=1", "samples=3")
    assert len(set(three)) == 3
    assert three[:1] == one == said(run, 'prompt="the "', "seed=1")
    assert said(run, 'prompt="the "', "seed=2") != one
    assert all(len(text) == 34 and text.startswith("the ") for text in three)
    assert said(run, "seed=1", lines=["who", "the \n", "a much longer line than the others"])[1:2] == one
    assert said(run, 'prompt="the "', "seed=1", "length=7")[0] == one[0][:11]


def test_a_temperature_of_zero_takes_the_likeliest_token_each_time(run):
    of, model = model_file.load(run)
    (text,) = said(run, 'prompt="the "', "temperature=0", "length=12")
    assert said(run, 'prompt="the "', "top_k=1", "seed=5", "length=12") == [text]
    ids = of.vocabulary.encode(["the "])[0]
    for _ in range(12):
        scores = model(torch.tensor([ids]))[0][0, -1]
        scores[[PADDING, UNKNOWN, BEGIN, END]] = -torch.inf
        ids.append(int(scores.argmax()))
    assert text == of.vocabulary.decode(ids)


def test_files_are_gone_on_from_and_empty_prompts_begin_a_text(run, tmp_path):
    (tmp_path / "start.txt").write_text("the dog")
    (answer,) = Predictor(run, options=["length=5"]).predict([tmp_path / "start.txt"])
    assert answer["origin"] == str(tmp_path / "start.txt")
    assert answer["prompt"] == "the dog"
    assert len(answer["text"]) == 12
    assert len(said(run, "prompt=", "length=9")[0]) == 9
    with pytest.raises(DataError, match=r"^There is no file or folder "):
        list(Predictor(run).predict([tmp_path / "absent.txt"]))


def test_lines_end_where_the_model_says(mine):
    chosen = recipe('data.sequences="lines"', "train.learning_rate=0.01", "train.epochs=15", "train.batch_size=4")
    done = experiment.train(chosen, mine / "run", data_dir=mine)
    found = said(done.path, "samples=20", "temperature=0.3")
    assert all(text.endswith(".") and "\n" not in text for text in found)
    assert max(map(len, found)) < 40


def test_words_are_put_apart_after_the_prompt(mine):
    done = experiment.train(recipe('data.unit="words"', *STREAMS), mine / "run", data_dir=mine)
    (text,) = said(done.path, "prompt=the dog", "length=3")
    assert text.startswith("the dog ")
    assert len(text.split()) == 5


def test_the_end_of_a_text_is_learned_where_another_follows(tmp_path):
    (tmp_path / "mine.txt").mkdir()
    for k in range(60):
        (tmp_path / "mine.txt" / f"{k}.txt").write_text("abcdefg")
    chosen = recipe(*STREAMS, "train.learning_rate=0.05", "train.epochs=30", "data.limit=400")
    done = experiment.train(chosen, tmp_path / "run", data_dir=tmp_path)
    assert said(done.path, "temperature=0") == ["abcdefg"]
    assert END in Predictor(done.path).task.batches(texts("ab", "cd")).epoch(0).__next__().targets


@pytest.mark.parametrize("number", range(2))
def test_the_recipes_of_the_docs_train_on_files_of_ones_own(number, tmp_path):
    docs = Path(__file__).parents[3].joinpath("docs", "generate.md").read_text("utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", docs, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    (tmp_path / "mine.toml").write_text(blocks[number])
    (tmp_path / "letters").mkdir()
    for name in ("letters/one.txt", "letters/two.txt", "titles.txt"):
        (tmp_path / name).write_text(TEXT)
    small = ["model.hidden_size=8", "train.epochs=1", "train.threads=1"]
    done = experiment.train(recipes.load(str(tmp_path / "mine.toml"), small), tmp_path / "run", data_dir=tmp_path)
    assert done.results["loss"] < math.log(40)


@pytest.mark.parametrize("name", ["shakespeare", "names-generate"])
def test_the_recipe_goes_all_the_way(name, real_data, tmp_path):
    folder = real_data("tinyshakespeare" if name == "shakespeare" else "names").parent
    chosen = recipes.load(name, ["train.limit=small", "train.threads=1"])
    done = experiment.train(chosen, tmp_path / name, data_dir=folder)
    assert done.results["loss"] < math.log(30 if name == "names-generate" else 69)  # better than knowing nothing
    assert experiment.evaluate(done.path, data_dir=folder).metrics == done.results
    assert experiment.train(chosen, done.path, data_dir=folder, resume=True).results == done.results
    texts = said(done.path)
    assert len(texts) == chosen.predict.samples
    assert texts == said(done.path)
    assert len(said(done.path, "length=5", lines=["Ma", "J"])) == 2


def test_the_last_tenth_of_shakespeare_is_what_is_measured(real_data):
    folder = real_data("tinyshakespeare").parent
    splits = GenerateTask.load(recipes.load("shakespeare"), folder)
    assert [sum(map(len, part.inputs)) for part in (splits.train, splits.validation)] == [1_003_854, 111_540]
    assert splits.test is splits.validation
