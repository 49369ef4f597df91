"""Transcription from files to text: strings of tones that are words, whole and in a stream."""

from __future__ import annotations

import json
import math
import re
import signal
from itertools import groupby, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import holdfast
from holdfast import experiment, recipes
from holdfast.data import Records
from holdfast.data.features import log_mel
from holdfast.data.readers.audio import samples
from holdfast.errors import DataError, OptionError
from holdfast.experiment import Trained
from holdfast.files import storage
from holdfast.predictor import Predictor
from holdfast.tasks import TranscribeTask
from holdfast.tasks.transcribe.settings import TranscribeRecipe
from holdfast.tasks.transcribe.task import BLANK
from holdfast.training import Listener, TrainingInterrupted
from tones import RATE, noise, save, tone

pytest.importorskip("kaldi_native_fbank", reason="needs kaldi-native-fbank: pip install 'holdfast[audio]'")
pytest.importorskip("soundfile", reason="needs soundfile: pip install 'holdfast[audio]'")

PITCHES = {"low": 400, "mid": 900, "high": 2000}
TONES = """
name = "tones"
description = "Strings of tones."
task = "transcribe"
[data]
train = ["train.csv"]
test = ["test.csv"]
unit = "words"
validation = 0.0
[data.audio]
rate = 8000
mel_bins = 12
stack = 2
[model]
hidden_size = 32
[train]
epochs = 30
batch_size = 4
bucket = 4
learning_rate = 1e-2
schedule = "one-cycle"
clip_norm = 1.0
threads = 1
"""


def spoken(words: list[str], seed: int) -> np.ndarray:
    """Tones with pauses between, and faint noise."""
    generator = np.random.default_rng(seed)
    parts = [np.zeros(generator.integers(200, 800))]
    for word in words:
        pitch = PITCHES[word] * generator.uniform(0.95, 1.05)
        parts += [tone(pitch, generator.uniform(0.1, 0.2)), np.zeros(generator.integers(400, 1200))]
    sound = np.concatenate(parts)
    return (sound + noise(len(sound) / RATE, seed=seed)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of your own data: 60 recordings to train on, 20 to test on, a table of each, and the recipe."""
    root = tmp_path_factory.mktemp("tones")
    generator = np.random.default_rng(0)
    for split, count in (("train", 60), ("test", 20)):
        rows = ["path,text"]
        for number in range(count):
            words = [str(word) for word in generator.choice(list(PITCHES), generator.integers(1, 4))]
            name = f"{split}/{number:02}.flac"
            save(root / name, spoken(words, 1000 * (split == "test") + number))
            rows.append(f"{name},{' '.join(words).upper()}")
        (root / f"{split}.csv").write_text("\n".join(rows))
    (root / "tones.toml").write_text(TONES)
    return root


def recipe_of(folder: Path, *overrides: str) -> TranscribeRecipe:
    recipe = recipes.load(str(folder / "tones.toml"), overrides)
    assert isinstance(recipe, TranscribeRecipe)
    return recipe


@pytest.fixture(scope="module")
def run(folder: Path) -> Trained:
    return experiment.train(recipe_of(folder), folder / "run", data_dir=folder)


def test_strings_of_tones_are_learned(run: Trained, folder: Path) -> None:
    assert run.results["word_error_rate"] <= 0.05
    assert run.results["character_error_rate"] <= 0.05
    assert experiment.evaluate(run.path, data_dir=folder).metrics == run.results
    assert experiment.evaluate(run.path, [folder / "test.csv"]).metrics == run.results


def test_answers_are_texts_with_their_probability(run: Trained, folder: Path) -> None:
    predictor = Predictor(run.path)
    table = [line.split(",") for line in (folder / "test.csv").read_text().splitlines()[1:]]
    answers = list(predictor.predict([folder / name for name, _ in table]))
    assert [answer["origin"] for answer in answers] == [str(folder / name) for name, _ in table]
    right = [answer["text"] == text.lower() for answer, (_, text) in zip(answers, table, strict=True)]
    assert np.mean(right) >= 0.9
    assert all(math.log(1e-3) < answer["log_probability"] < 0 for answer in answers)
    assert [set(answer) for answer in answers] == [{"origin", "text", "log_probability"}] * len(table)
    (alone,) = predictor.predict([folder / table[3][0]])
    assert alone["text"] == answers[3]["text"]
    assert alone["log_probability"] == pytest.approx(answers[3]["log_probability"], abs=1e-4)
    by_line = list(predictor.predict_lines([f"{folder / name}\n" for name, _ in table]))
    assert [answer["text"] for answer in by_line] == [answer["text"] for answer in answers]
    assert by_line[1]["origin"] == "line 2"


def test_samples_in_memory_are_answered_as_their_files(run: Trained, folder: Path) -> None:
    predictor = Predictor(run.path)
    files = sorted((folder / "test").iterdir())[:3]
    sounds = [samples(path, RATE) for path in files]
    from_files = [{**answer, "origin": ""} for answer in predictor.predict(files)]
    for values in (sounds, [torch.from_numpy(sounds[0]), sounds[1].tolist(), sounds[2]]):
        assert [{**answer, "origin": ""} for answer in predictor.predict_values(values)] == from_files
    expected = "samples [N] from -1 to 1, 8000 per second"
    for values, message in [
        (sounds[0], f"values[0] has shape () and type float32; expected {expected}, floating. Take the mean of "),
        ([np.zeros(9, np.int16)], f"values[0] has shape (9,) and type int16; expected {expected}, floating. Take the "),
        ([np.full(9000, np.nan)], "values[0] holds nan at sample 0 (from 0); expected numbers from -1 to 1."),
        ([np.full(9000, 1e300)], "values[0] holds 1e+300 at sample 0 (from 0); expected numbers from -1 to 1."),
        ([np.zeros(10)], "values[0] lasts 1.25 ms; expected at least one window of 25 ms. Leave it out, or shorten "),
        ("a.wav", f"The values are of type str; expected a list of recordings, each {expected}."),
    ]:
        with pytest.raises(DataError, match=re.escape(message)):
            list(predictor.predict_values(values))


def test_a_beam_finds_texts_as_likely_or_likelier(run: Trained, folder: Path) -> None:
    found = [list(Predictor(run.path, options=[f"beam={k}"]).predict([folder / "test"])) for k in (1, 6)]
    for greedy, beam in zip(*found, strict=True):
        assert beam["log_probability"] >= greedy["log_probability"] - 1e-6


@pytest.mark.parametrize("beam", [1, 50])
def test_the_answer_and_its_probability_against_all_paths(run: Trained, folder: Path, beam: int) -> None:
    task = Predictor(run.path, options=[f"beam={beam}"]).task
    torch.manual_seed(3)
    log_probs = torch.randn(2, 5, len(task.vocabulary), dtype=torch.float64).log_softmax(-1)
    (batch,) = task.batches(Records([np.zeros((5, 24), np.float32)] * 2, None, ["a", "b"])).epoch(0)
    answers = task.answers(lambda inputs, lengths: (log_probs, None), batch)
    for row, answer in zip(log_probs.tolist(), answers, strict=True):
        texts: dict[str, float] = {}
        best = (-math.inf, "")
        for path in product(range(len(row[0])), repeat=5):
            score = sum(frame[label] for frame, label in zip(row, path, strict=True))
            labels = tuple(label for label, _ in groupby(path) if label != BLANK)
            texts[labels] = texts.get(labels, 0) + math.exp(score)
            best = max(best, (score, labels))
        wanted = best[1] if beam == 1 else max(texts, key=lambda labels: texts[labels])
        assert answer["text"] == task.vocabulary.decode(wanted)
        assert answer["log_probability"] == pytest.approx(math.log(texts[wanted]), abs=1e-9)


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(run: Trained, folder: Path, tmp_path: Path) -> None:
    masked = recipe_of(folder, "train.epochs=2", "model.masking.time_masks=1", "model.dropout=0.2")

    class Impatient(Listener):
        def update(self, training: Any, sequences: int) -> None:
            if training.step == 5:
                signal.raise_signal(signal.SIGINT)

    whole = experiment.train(masked, tmp_path / "whole", data_dir=folder)
    with pytest.raises(TrainingInterrupted):
        experiment.train(masked, tmp_path / "parts", data_dir=folder, listeners=[Impatient()])
    parts = experiment.train(masked, tmp_path / "parts", data_dir=folder, resume=True)
    assert parts.results == whole.results
    tensors = [storage.read(one.path / "model.safetensors", "model")[0] for one in (whole, parts)]
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])


def test_characters_and_validation_and_a_held_out_test(folder: Path, tmp_path: Path) -> None:
    recipe = recipe_of(
        folder, "data.unit=characters", "data.test=[]", "data.validation=0.2", "train.epochs=1", "data.lower=false"
    )
    done = experiment.train(recipe, tmp_path / "run", data_dir=folder)
    task = Predictor(done.path).task
    assert isinstance(task, TranscribeTask)
    assert set(task.vocabulary.tokens[4:]) == set("LOWMIDHG ")
    rows = [json.loads(line) for line in (done.path / "history.jsonl").read_text().splitlines()]
    assert rows[-1]["validation"]["word_error_rate"] >= 0


def test_the_recipe_in_the_docs_goes_with_the_table_in_the_docs(folder: Path, tmp_path: Path) -> None:
    docs = (Path(__file__).resolve().parents[3] / "docs" / "transcribe.md").read_text("utf-8")
    (table,) = re.findall(r"^```csv\n(.*?)^```", docs, re.MULTILINE | re.DOTALL)
    (recipe,) = re.findall(r"^```toml\n(.*?)^```", docs, re.MULTILINE | re.DOTALL)
    for name in ("001", "002"):
        save(tmp_path / f"clips/{name}.flac", tone(400, 2.0, rate=16000), 16000)
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).write_text(table)
    (tmp_path / "commands.toml").write_text(recipe)
    small = ["data.validation=0", "model.hidden_size=4", "train.epochs=1", "train.threads=1"]
    done = experiment.train(recipes.load(str(tmp_path / "commands.toml"), small), tmp_path / "run", data_dir=tmp_path)
    texts = TranscribeTask.load(recipes.load(str(done.path / "recipe.toml")), tmp_path).train.targets
    assert texts == ["turn on the light", "stop, please"]


def test_what_cannot_be_trained_on(run: Trained, folder: Path, tmp_path: Path) -> None:
    def told(**changes: object) -> str:
        recipe = recipe_of(folder, *(f"data.{key}={json.dumps(value)}" for key, value in changes.items()))
        with pytest.raises(DataError) as error:
            experiment.train(recipe, tmp_path / "run", data_dir=folder)
        return str(error.value)

    assert told(train=["train"]) == (
        f"{folder}/train/00.flac has no transcript, like the other training recordings; expected one for each: "
        "a text file of the same name beside it, or a table with the columns path and text."
    )
    (folder / "long.csv").write_text(f"path,text\ntest/00.flac,{'low ' * 40}\n")
    assert "labels needs 79. Check the transcript, or lower data.audio.stack" in told(train=["long.csv"])
    save(tmp_path / "bare.wav", tone(400))
    with pytest.raises(DataError, match="The recordings have no transcripts"):
        experiment.evaluate(run.path, [tmp_path / "bare.wav"])


@pytest.mark.parametrize("pieces", [1, 5, 60])
def test_a_stream_says_what_the_whole_says(run: Trained, folder: Path, pieces: int) -> None:
    predictor = Predictor(run.path)
    generator = np.random.default_rng(pieces)
    for seed in range(4):
        sound = spoken([str(word) for word in generator.choice(list(PITCHES), 6)], 5000 + seed)
        steps = log_mel(sound, predictor.task.data.audio)
        (whole,) = predictor.answer(Records([steps], None, ["whole"]))
        stream = holdfast.TranscriptStream(run.path)
        assert stream.rate == RATE
        cuts = np.sort(generator.integers(0, len(sound) + 1, pieces))
        said = [stream.accept(chunk) for chunk in np.split(sound, cuts)]
        said.append(stream.finish())
        assert "".join(said) == stream.text == whole["text"] != ""
        if pieces == 60:
            assert sum(map(bool, said)) >= 4  # while it is being said, not at the end


def test_the_streamed_scores_are_those_of_the_model(run: Trained) -> None:
    predictor = Predictor(run.path)
    steps = torch.randn(1, 40, 24)
    with torch.no_grad():
        expected, _ = predictor.model(steps)
    stream = holdfast.Stream(predictor.model)
    scores = torch.cat([stream.run(part) for part in steps.split(7, 1)], 1)
    terms = 40 * (24 + 32)
    torch.testing.assert_close(scores.log_softmax(-1), expected, rtol=0, atol=8 * torch.finfo().eps * terms)


def test_streams_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    both = experiment.train(
        recipe_of(folder, "model.bidirectional=true", "train.epochs=1", "data.limit=8"), tmp_path / "b", data_dir=folder
    )
    with pytest.raises(OptionError) as directions:
        holdfast.TranscriptStream(both.path)
    assert str(directions.value) == (
        "The LSTM is bidirectional: its output depends on steps that have not come yet. A stream needs one with "
        "bidirectional=False."
    )
    other = experiment.train(recipes.load("digits", ["train.limit=small", "train.threads=1"]), tmp_path / "digits")
    with pytest.raises(OptionError) as task:
        holdfast.TranscriptStream(other.path)
    assert str(task.value) == (
        f"{other.path} is a model for the task 'classify'; a transcript needs one of 'transcribe'."
    )
