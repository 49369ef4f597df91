from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from holdfast import experiment, recipes
from holdfast.cli import main
from holdfast.data import Records
from holdfast.data.vocabulary import UNKNOWN
from holdfast.errors import DataError, OptionError
from holdfast.files import storage
from holdfast.predictor import Predictor
from holdfast.tasks.tag import sums
from holdfast.tasks.tag.data import SentenceEncoder
from holdfast.tasks.tag.settings import TagData, TagModel
from holdfast.tasks.tag.sums import SumEncoder
from holdfast.tasks.tag.task import TagTask
from holdfast.training import Listener, TrainingInterrupted

WORDS = {"the": "DET", "a": "DET", "dog": "NOUN", "cat": "NOUN", "sees": "VERB", "hears": "VERB", "Ada": "PROPN"}
SMALL = ["train.limit=small", "train.threads=1"]


def sentences(count: int) -> Records[list[str], list[str]]:
    """Made-up English."""
    generator = torch.Generator().manual_seed(count)
    rows = []
    for _ in range(count):
        kinds = (
            ["DET", "NOUN", "VERB", "DET", "NOUN"] if torch.rand(1, generator=generator) < 0.5 else ["PROPN", "VERB"]
        )
        choices = [[word for word, kind in WORDS.items() if kind == wanted] for wanted in kinds]
        rows.append([c[int(torch.randint(len(c), (1,), generator=generator))] for c in choices])
    return Records(rows, [[WORDS[word] for word in row] for row in rows], [f"row {k}" for k in range(count)])


def conllu(examples: Records[list[str], list[str]]) -> str:
    assert examples.targets is not None
    blocks = []
    for words, tags in zip(examples.inputs, examples.targets, strict=True):
        rows = zip(words, tags, strict=True)
        blocks.append("".join(f"{k}\t{w}\t_\t{t}\t_\t_\t_\t_\t_\t_\n" for k, (w, t) in enumerate(rows, 1)))
    return "\n".join(blocks)


@pytest.fixture(scope="module")
def treebank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of the names of the real ones, and made-up sentences in them."""
    folder = tmp_path_factory.mktemp("data")
    for split, count in (("train", 200), ("test", 40)):
        (folder / f"en_ewt-ud-{split}.conllu").write_text(conllu(sentences(count)), encoding="utf-8")
    return folder


def task(**model: Any) -> tuple[TagTask, Records[list[str], list[str]]]:
    examples = sentences(6)
    settings = TagModel.model_validate({"hidden_size": 5, "spelling_size": 3, "bidirectional": True, **model})
    return TagTask(settings, SentenceEncoder.fit(examples, TagData())), examples


# The model


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("spelling_size", [0, 3])
def test_a_padded_batch_scores_as_each_sentence_alone(cell: str, spelling_size: int) -> None:
    of, examples = task(cell=cell, num_layers=2, spelling_size=spelling_size)
    model = of.build().eval()
    together, _ = of._scores(model, of.encode(examples).__getitems__(range(6)))
    for k, words in enumerate(examples.inputs):
        alone, _ = of._scores(model, of.encode(examples.subset([k])).__getitems__([0]))
        torch.testing.assert_close(together[k, : len(words)], alone[0])


def test_the_spelling_counts_and_capitals_in_it() -> None:
    of, _ = task()
    model = of.build().eval()
    rows = Records([["dog"], ["Dog"], ["dgo"]], None, ["a", "b", "c"])  # the second is the same word, in other letters
    scores, _ = of._scores(model, of.encode(rows).__getitems__(range(3)))
    assert not torch.allclose(scores[0], scores[1])
    assert not torch.allclose(scores[1], scores[2])


def test_word_dropout_takes_words_for_unknown_ones_in_training_only() -> None:
    of, examples = task(word_dropout=0.5, spelling_size=0)
    words = of.build().words
    assert words is not None
    batch = of.encode(examples).__getitems__([0] * 200)
    spelled = (batch.spellings, batch.spelling_lengths, batch.places)
    kept = words.words.weight[batch.inputs]
    looked_up = words(batch.inputs, *spelled)
    dropped = (looked_up == words.words.weight[UNKNOWN]).all(-1)
    assert dropped.float().mean().item() == pytest.approx(0.5, abs=0.08)
    torch.testing.assert_close(looked_up[~dropped], kept[~dropped])
    torch.testing.assert_close(words.eval()(batch.inputs, *spelled), kept)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared-error"])
def test_two_tags_take_one_unit_and_either_loss(loss: str) -> None:
    settings = TagModel.model_validate({"hidden_size": 4, "loss": loss, "output_std": 0.01, "bidirectional": False})
    of = TagTask(settings, SumEncoder(bits=6))
    model = of.build()
    assert model.output.weight.shape == (1, 4)
    assert model.output.weight.abs().max() < 0.05
    batch = of.encode(sums.added([(5, 9), (31, 31)], ["a", "b"])).__getitems__([0, 1])
    step = of.loss(model, batch)
    p = torch.sigmoid(model(batch.inputs)[0][..., 0].double())
    right = torch.where(batch.known_targets == 1, p, 1 - p)
    expected = -right.log().mean() if loss == "cross-entropy" else (1 - right).square().mean()
    assert step.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.equal(step.outputs, (p > 0.5).long())


def test_the_loss_of_tags_is_the_mean_over_the_steps_that_are_there() -> None:
    of, examples = task()
    model, batch = of.build().eval(), of.encode(examples).__getitems__(range(6))
    scores, _ = of._scores(model, batch)
    assert batch.lengths is not None
    surprise = [
        -torch.log_softmax(scores[row, step].double(), -1)[batch.known_targets[row, step]].item()
        for row in range(6)
        for step in range(int(batch.lengths[row]))
    ]
    assert of.loss(model, batch).loss.item() == pytest.approx(sum(surprise) / len(surprise), rel=1e-5)


def test_unseen_tags_have_no_loss() -> None:
    of, examples = task()
    model = of.build().eval()
    tagged = [[*tags[:-1], "SYM"] for tags in examples.targets or []]
    batch = of.encode(Records(examples.inputs, tagged, examples.origins)).__getitems__(range(6))
    cut = Records([words[:-1] for words in examples.inputs], [tags[:-1] for tags in tagged], examples.origins)
    scores, _ = of._scores(model, batch)
    known = [(row, step) for row, tags in enumerate(cut.targets or []) for step in range(len(tags))]
    rows, steps = zip(*known, strict=True)
    surprise = torch.nn.functional.cross_entropy(scores[rows, steps], batch.known_targets[rows, steps])
    torch.testing.assert_close(of.loss(model, batch).loss, surprise)
    nothing = of.encode(Records([["sees"]], [["SYM"]], ["a"])).__getitems__([0])
    assert of.loss(model, nothing).loss.item() == 0


def test_squared_error_is_for_two_tags() -> None:
    with pytest.raises(OptionError) as error:
        task(loss="squared-error")
    assert str(error.value) == (
        "model.loss is 'squared-error', which needs two tags, and there are 4. Use 'cross-entropy'."
    )


def test_f1_decides_where_tags_mark_spans() -> None:
    spanned = Records([["Ada", "sang"]], [["B-PER", "O"]], ["a"])
    assert TagTask(TagModel(), SentenceEncoder.fit(spanned, TagData())).score == "f1"
    assert task()[0].score == "accuracy"


# The whole way


class StopAt(Listener):
    """Presses Ctrl-C at an update."""

    def __init__(self, step: int) -> None:
        self.step = step

    def update(self, training: Any, sequences: int) -> None:
        if training.step == self.step:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(scope="module", params=["addition", "pos"])
def trained(request: pytest.FixtureRequest, treebank: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    recipe = recipes.load(request.param, SMALL)
    out = tmp_path_factory.mktemp("runs") / request.param
    return recipe, experiment.train(recipe, out, data_dir=treebank)


def test_a_trial_of_a_recipe_is_measured_again_with_the_same_result(trained: Any, treebank: Path) -> None:
    _, run = trained
    found = experiment.evaluate(run.path, data_dir=treebank)
    assert found.metrics == run.results
    assert set(found.metrics) == {"loss", "accuracy", "sequence_accuracy"}
    assert 0 < found.metrics["accuracy"] <= 1
    assert found.details.startswith("tag ")


def test_a_trial_interrupted_and_resumed_ends_with_the_same_model(trained: Any, treebank: Path, tmp_path: Path) -> None:
    recipe, run = trained
    with pytest.raises(TrainingInterrupted):
        experiment.train(recipe, tmp_path / "run", data_dir=treebank, listeners=[StopAt(3)])
    resumed = experiment.train(recipe, tmp_path / "run", data_dir=treebank, resume=True)
    assert resumed.results == run.results
    ours, theirs = (storage.read(path / "model.safetensors", "model")[0] for path in (resumed.path, run.path))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_summary_names_the_layers(trained: Any) -> None:
    _, run = trained
    names = {row.name: row.output_shape for row in experiment.summary(str(run.path)).rows}
    if "words.words (Embedding)" in names:
        assert names["words.words (Embedding)"] == (None, None, 100)
        assert names["recurrent (LSTM)"] == (None, None, 32)
        assert names["output (Linear)"] == (None, None, 4)
    else:
        assert names == {
            "input_dropout (Dropout)": (None, 8, 2),
            "recurrent (LSTM)": (None, 8, 32),
            "dropout (Dropout)": (None, 8, 32),
            "output (Linear)": (None, 8, 1),
        }


def test_a_tagger_learns_and_answers_for_lines_and_files(
    treebank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Made-up English takes no more than a few updates more than a trial.
    recipe = recipes.load("pos", [*SMALL, "train.epochs=8", "train.batch_size=8"])
    run = experiment.train(recipe, tmp_path / "run", data_dir=treebank)
    assert run.results["accuracy"] == 1
    predictor = Predictor(run.path)
    [answer, empty] = predictor.predict_lines(["the dog sees a cat\n", "\n"])
    assert answer == {
        "origin": "line 1",
        "words": ["the", "dog", "sees", "a", "cat"],
        "tags": ["DET", "NOUN", "VERB", "DET", "NOUN"],
        "tagged": "the/DET dog/NOUN sees/VERB a/DET cat/NOUN",
    }
    assert empty["words"] == empty["tags"] == []
    file = tmp_path / "sentences.txt"
    file.write_text("Ada hears\n\na cat sees the dog\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="0"):
        main(["predict", str(run.path), str(file)])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["tags"] for row in rows] == [["PROPN", "VERB"], ["DET", "NOUN", "VERB", "DET", "NOUN"]]
    assert [row["origin"] for row in rows] == [f"{file}, line 1", f"{file}, line 3"]
    with pytest.raises(SystemExit, match="0"):
        main(["predict", str(run.path), str(file), "--text"])
    assert capsys.readouterr().out.splitlines()[0] == "Ada/PROPN hears/VERB"
    with pytest.raises(DataError, match="The sequences have no labels; expected one for each"):
        experiment.evaluate(run.path, [file])
    assert experiment.evaluate(run.path, [treebank / "en_ewt-ud-test.conllu"]).metrics == run.results


def test_names_in_two_columns_are_found_as_spans(tmp_path: Path) -> None:
    rows = ["Ada\tB-PER\nLovelace\tI-PER\nsang\tO\n", "in\tO\nRome\tB-LOC\n", "Ada\tB-PER\nin\tO\nRome\tB-LOC\n"]
    (tmp_path / "names.tsv").write_text("\n".join(rows * 20), encoding="utf-8")
    path = tmp_path / "names.toml"
    path.write_text(
        'name = "names"\ntask = "tag"\n[data]\ntrain = ["names.tsv"]\n'
        "[model]\nhidden_size = 12\nbidirectional = true\nspelling_size = 8\n"
        "[train]\nepochs = 20\nbatch_size = 8\nlearning_rate = 1e-2\nthreads = 1\n"
    )
    run = experiment.train(recipes.load(str(path)), tmp_path / "run", data_dir=tmp_path)
    assert run.results["f1"] == run.results["precision"] == run.results["recall"] == 1
    [answer] = Predictor(run.path).predict_lines(["Ada Lovelace sang"])
    assert answer["spans"] == [
        {"label": "PER", "start": 0, "end": 2, "text": "Ada Lovelace"},
    ]


@pytest.mark.parametrize("bits", [8, 20])
def test_addition_is_learned(bits: int, tmp_path: Path) -> None:
    changes = [f"data.bits={bits}", "data.sums=64000", "train.max_steps=600", "train.threads=1"]
    run = experiment.train(recipes.load("addition", changes), tmp_path / "run")
    assert run.results["sequence_accuracy"] == 1  # of all 16,384 sums, or of 10,000 that training did not see
    predictor = Predictor(run.path)
    assert list(predictor.predict_lines(["13 29", "127+127"])) == [
        {"origin": "line 1", "numbers": [13, 29], "sum": 42},
        {"origin": "line 2", "numbers": [127, 127], "sum": 254},
    ]
    file = tmp_path / "sums.txt"
    file.write_text("1 2\n\n100 28\n")
    assert [answer["sum"] for answer in predictor.predict([file])] == [3, 128]
    assert experiment.evaluate(run.path, [file]).metrics["sequence_accuracy"] == 1


def test_english_ewt_is_read_learned_and_measured(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    folder = real_data("ud-english-ewt")
    changes = [
        "data.limit=1500",
        "train.epochs=4",
        "train.batch_size=16",
        "train.threads=1",
        "train.learning_rate=8e-3",
    ]
    changes += ["model.hidden_size=48", "model.spelling_size=24", "model.dropout=0.2"]
    run = experiment.train(recipes.load("pos", changes), tmp_path / "run", data_dir=folder)
    assert run.results["accuracy"] > 0.8
    found = experiment.evaluate(run.path, [folder / "en_ewt-ud-dev.conllu.gz"])
    assert found.metrics["accuracy"] > 0.8
    assert len(found.details.splitlines()) == 18
