"""The whole way with texts: from files to a trained model, its figures and its answers."""

import io
import json
import sys

import numpy as np
import pytest
import torch

import holdfast
from holdfast import experiment, recipes, runtime
from holdfast.cli import main
from holdfast.data import load
from holdfast.errors import DataError, OptionError, RecipeError
from holdfast.files import storage
from holdfast.predictor import Predictor
from holdfast.tasks import ClassifyTask, model_file

WORDS = {"good": ["fine", "lovely", "bright"], "bad": ["dull", "poor", "grim"]}
COMMON = ["the", "film", "is", "a", "one"]


def text(rng, *labels):
    """Common words and two of each label's, in any order."""
    words = [word for label in labels for word in rng.choice(WORDS[label], 2)]
    return " ".join(rng.permutation([*words, *rng.choice(COMMON, rng.integers(1, 5))]))


def recipe(**tables):
    base = {
        "data": {"train": ["films"], "unit": "words", "validation": 0.0},
        "model": {"hidden_size": 8, "embedding_size": 8, "head": "max"},
        "train": {"epochs": 6, "learning_rate": 0.02, "batch_size": 8, "bucket": 2, "threads": 1, "seed": 1},
    }
    merged = {name: {**base[name], **tables.get(name, {})} for name in base}
    return recipes.from_dict({"name": "films", "task": "classify", **merged}, "films")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A folder with the texts of each label, and one with tables of texts with several labels."""
    rng, root = np.random.default_rng(0), tmp_path_factory.mktemp("films")
    (root / "films").mkdir()
    for label in WORDS:
        (root / "films" / f"{label}.txt").write_text("".join(text(rng, label) + "\n" for _ in range(60)))
    kinds = [["good"], ["bad"], ["good", "bad"], []]
    rows = [{"text": text(rng, *kind), "label": kind} for _ in range(40) for kind in kinds]
    (root / "several.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root


@pytest.fixture(scope="module")
def run(films, tmp_path_factory):
    return experiment.train(recipe(), tmp_path_factory.mktemp("runs") / "films", data_dir=films)


def test_words_are_learned(run, films):
    assert run.results["accuracy"] == 1
    assert experiment.evaluate(run.path, data_dir=films).metrics == run.results
    by_file = experiment.evaluate(run.path, [films / "films"])
    assert by_file.metrics["accuracy"] == 1
    assert "confusion" in by_file.details


@pytest.mark.parametrize("unit", ["characters", "pieces"])
def test_characters_and_pieces_are_learned(films, tmp_path, unit):
    done = experiment.train(recipe(data={"unit": unit, "vocabulary_size": 60}), tmp_path / "run", data_dir=films)
    assert done.results["accuracy"] >= 0.9


def test_lines_and_files_are_answered_alike_and_in_order(run, tmp_path):
    lines = ["a dull film", "", "the lovely one", "unseen"]
    answers = list(Predictor(run.path).predict_lines(lines))
    assert [answer["origin"] for answer in answers] == ["line 1", "line 2", "line 3", "line 4"]
    assert [answers[0]["label"], answers[2]["label"]] == ["bad", "good"]
    path = tmp_path / "new.txt"
    path.write_text("\n".join(lines))
    from_file = list(Predictor(run.path).predict([path]))
    assert [answer["origin"] for answer in from_file] == [f"{path}[0]", f"{path}[2]", f"{path}[3]"]
    for a, b in zip(from_file, [answers[0], *answers[2:]], strict=True):
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=1e-6)


def test_the_command_line_answers_a_text_a_line(run, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a dull film\nthe lovely one\n"))
    with pytest.raises(SystemExit) as stop:
        main(["predict", str(run.path), "-", "--text"])
    assert (stop.value.code, capsys.readouterr().out) == (0, "bad\ngood\n")


def test_a_run_stopped_and_resumed_ends_with_the_same_model(run, films, tmp_path, monkeypatch):
    class KilledError(Exception):
        pass

    seen, loss = [], ClassifyTask.loss

    def failing(*arguments):
        seen.append(1)
        if len(seen) == 31:
            raise KilledError
        return loss(*arguments)

    again = recipe(train={"checkpoint_seconds": 0})
    monkeypatch.setattr(ClassifyTask, "loss", failing)
    with pytest.raises(KilledError):
        experiment.train(again, tmp_path / "run", data_dir=films)
    monkeypatch.setattr(ClassifyTask, "loss", loss)
    resumed = experiment.train(again, tmp_path / "run", data_dir=films, resume=True)
    assert resumed.results == run.results
    ours, theirs = (storage.read(r.path / "model.safetensors", "model")[0] for r in (resumed, run))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


SEVERAL = {"data": {"train": ["several.jsonl"], "label_separator": "|"}, "train": {"epochs": 12}}


def test_several_labels_are_learned(films, tmp_path):
    done = experiment.train(recipe(**SEVERAL), tmp_path / "run", data_dir=films)
    assert set(done.results) == {"loss", "exact_match", "macro_f1", "micro_f1"}
    assert done.results["exact_match"] >= 0.9
    found = experiment.evaluate(tmp_path / "run", [films / "several.jsonl"])
    assert [line.split()[0] for line in found.details.splitlines()] == ["label", "bad", "good"]
    lines = ["dull and lovely , grim and bright", "the film is one"]
    both, none = Predictor(tmp_path / "run").predict_lines(lines)
    assert (sorted(both["labels"]), none["labels"]) == (["bad", "good"], [])
    assert set(both["label"].split("|")) == {"bad", "good"}
    assert none["label"] == ""


def test_several_labels_of_sequences_of_numbers(tmp_path):
    rng = np.random.default_rng(0)
    rows = ["x0,x1,x2,label"]
    for up, late in rng.integers(0, 2, (120, 2)):
        values = rng.normal([2 * up - 1, 0, 2 * late - 1], 0.1)
        rows.append(",".join([*(f"{v:.3f}" for v in values), "|".join(["up"] * up + ["late"] * late)]))
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    tables = {"data": {"train": ["t.csv"], "unit": "", "label_separator": "|"}, "train": {"epochs": 12}}
    live = {"head": "last_state", "bidirectional": False}
    done = experiment.train(recipe(**tables, model=live), tmp_path / "run", data_dir=tmp_path)
    assert done.results["exact_match"] >= 0.95
    stream = runtime.load(tmp_path / "run")
    assert stream.labels == ("late", "up")
    scores = stream.run(np.array([[1.0], [0.0], [-1.0]], np.float32))
    assert (scores[-1] > 0).tolist() == [False, True]


def test_class_weights_are_kept_with_the_model(films, tmp_path):
    weighted = recipe(model={"class_weights": {"bad": 3.0}}, train={"max_steps": 3})
    done = experiment.train(weighted, tmp_path / "run", data_dir=films)
    task, model = model_file.load(tmp_path / "run")
    assert task.labelling.weights == [3.0, 1.0]
    test = ClassifyTask.load(weighted, films).test
    [batch] = task.batches(test).epoch(0)
    scores, _ = model(batch.inputs, batch.lengths)
    each = torch.nn.functional.cross_entropy(scores, batch.targets, reduction="none")
    expected = (each * torch.where(batch.targets == 0, 3.0, 1.0)).mean().item()
    assert done.results["loss"] == pytest.approx(expected, rel=1e-5)


def test_balanced_weights_come_from_the_training_split(films):
    balanced = recipe(model={"class_weights": "balanced"})
    train = load(balanced.data, films, 1).train.subset(range(40, 60))
    counts = [train.targets.count(label) for label in ("bad", "good")]
    weights = ClassifyTask.fit(balanced, train).labelling.weights
    assert weights == pytest.approx([20 / 2 / count for count in counts])


def test_word_vectors_start_the_embedding_and_stay_when_frozen(films, tmp_path):
    vectors = tmp_path / "glove.txt"
    vectors.write_text("lovely 1 0 0 0.5\nfine 1 0 0 0.25\ndull -1 0 0 0.5\nother 9 9 9 9\n")
    tables = {"model": {"embedding_file": str(vectors), "freeze_embedding": True}}
    done = experiment.train(recipe(**tables), tmp_path / "frozen", data_dir=films)
    vectors.unlink()  # a trained model holds its vectors
    task, model = model_file.load(done.path)
    place = task.encoder.vocabulary.tokens.index
    assert model.embedding.table.weight[place("lovely")].tolist() == [1, 0, 0, 0.5]
    assert task.settings.embedding_size == 4
    started = task.build().embedding.table.weight
    assert not torch.equal(started[place("lovely")], model.embedding.table.weight[place("lovely")])
    vectors.write_text("lovely 1 0 0 0.5\n")
    tables["model"]["freeze_embedding"] = False
    free = experiment.train(recipe(**tables), tmp_path / "free", data_dir=films)
    moved = model_file.load(free.path)[1].embedding.table.weight[place("lovely")]
    assert moved.tolist() != [1, 0, 0, 0.5]
    assert moved.tolist() == pytest.approx([1, 0, 0, 0.5], abs=1)


def test_summary_begins_with_the_embedding(run, films):
    table = experiment.summary(str(run.path))
    assert table.rows[0].name == "embedding.table (Embedding)"
    assert table.rows[0].output_shape == (None, None, 8)
    assert table.total == experiment.summary(str(run.path / "recipe.toml"), data_dir=films).total


def test_a_stream_refuses_texts(run):
    message = (
        "The model reads texts; a stream takes numbers, or the tokens of a language model, step by step. Use "
        "`holdfast predict` or holdfast.Predictor for texts."
    )
    for opened in (lambda: runtime.load(run.path), lambda: holdfast.Stream(model_file.load(run.path)[1])):
        with pytest.raises(OptionError) as error:
            opened()
        assert str(error.value) == message


def test_what_does_not_go_together_is_said(films):
    numbers = recipe(data={"train": [], "source": "digits"})
    with pytest.raises(RecipeError) as error:
        ClassifyTask.load(numbers, None)
    assert str(error.value) == "data.unit is 'words', but data.source = \"digits\" has numbers; leave data.unit out."
    vectors = recipe(data={"unit": "", "source": "digits", "train": []}, model={"embedding_file": "v.txt"})
    with pytest.raises(RecipeError) as error:
        ClassifyTask.fit(vectors, ClassifyTask.load(vectors, None).train)
    assert str(error.value) == "model.embedding_file is for texts: set data.unit, or leave it out."
    with pytest.raises(DataError, match="No files were given to read; expected at least one file or folder"):
        ClassifyTask.fit(recipe(), ClassifyTask.load(recipe(), films).train).read([])


@pytest.mark.parametrize(
    ("name", "folder", "labels", "sizes"),
    [("names", "names", 18, (16040, 4010)), ("sentiment", "sentence-polarity", 2, (9595, 1067))],
)
def test_the_recipes_go_the_whole_way(real_data, tmp_path, name, folder, labels, sizes):
    data_dir = real_data(folder)
    small = recipes.load(name, ["train.limit=small", "train.threads=1"])
    splits = ClassifyTask.load(small, data_dir)
    assert (len(splits.train), len(splits.test)) == sizes
    done = experiment.train(small, tmp_path / "run", data_dir=data_dir)
    assert experiment.evaluate(done.path, data_dir=data_dir).metrics == done.results
    assert experiment.train(small, tmp_path / "run", data_dir=data_dir, resume=True) == done
    [answer] = Predictor(done.path).predict_lines(["Kowalski , of course"])
    assert len(answer["probabilities"]) == labels
