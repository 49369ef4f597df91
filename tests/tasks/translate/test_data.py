"""The data of translation: how files are read and split, the published pairs, the dates, and the sample in the docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from holdfast import recipes
from holdfast.data.sets.published import locate
from holdfast.errors import DataError
from holdfast.settings import DataSettings
from holdfast.tasks.translate.settings import TranslateRecipe
from holdfast.tasks.translate.task import TranslateTask


def table(tmp_path, **data):
    lines = [f"{word}\t{word[::-1]}" for word in ("ab", "ba", "abc", "cab", "bc", "cc", "a", "bb", "ca", "ac")]
    lines += ["ab\tsame", "abc\tsame", "cc\tsame"]
    (tmp_path / "all.tsv").write_text("\n".join(lines))
    fractions = {"test_fraction": 0.3, "validation": 0.1}
    settings = {"train": [str(tmp_path / "all.tsv")], "unit": "characters", **fractions, **data}
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
