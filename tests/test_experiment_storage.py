"""Data on disk: every task ends with the bits that it has from memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import storage_cases
from holdfast import experiment
from holdfast.data.disk import cache
from holdfast.errors import DataError, HoldfastWarning, RecipeError, RunError
from holdfast.recipes import from_dict
from training import together


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    storage_cases.write_files(folder)
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    with pytest.MonkeyPatch.context() as patch:
        storage_cases.small_pieces(patch)
        yield


def history(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def assert_same(one: Path, other: Path) -> None:
    assert history(one) == history(other)
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", list(storage_cases.CASES))
def test_the_bits_are_those_from_memory(files: Path, tmp_path: Path, name: str) -> None:
    memory = storage_cases.train(name, files, tmp_path / "memory", "memory")
    disk = storage_cases.train(name, files, tmp_path / "disk", "disk")
    assert memory.results == disk.results
    assert_same(memory.path, disk.path)
    parts = [len(list(folder.glob("*.arrow"))) for folder in cache.sets_folder().iterdir() if folder.is_dir()]
    assert max(parts) > (name != "series with gaps")  # a single series is one piece


def test_the_second_start_reads_no_source_and_measures_the_same(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = storage_cases.train("steps", files, tmp_path / "first", "disk")
    monkeypatch.setattr("holdfast.data.disk.cache._prepare", None)
    second = storage_cases.train("steps", files, tmp_path / "second", "disk")
    assert_same(first.path, second.path)
    assert experiment.evaluate(second.path).metrics == first.results


def in_two(data: Path, out: Path, where: str) -> None:
    os.environ["HOLDFAST_CACHE"] = str(out.parent / "cache")
    storage_cases.small_pieces()
    for name in ("steps", "streams"):
        storage_cases.train(name, data, out / name, where, chunks=2)


def test_two_processes_that_start_at_once_have_the_bits_of_one_from_memory(files: Path, tmp_path: Path) -> None:
    in_two(files, tmp_path / "one", "memory")
    together.run(2, in_two, files, tmp_path / "two", "disk")
    for name in ("steps", "streams"):
        assert_same(tmp_path / "one" / name, tmp_path / "two" / name)


def test_the_run_says_what_it_chose_and_is_resumed_with_it(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert storage_cases.train("rows", files, tmp_path / "small", "auto").path == tmp_path / "small"
    assert not cache.entries()
    monkeypatch.setattr("holdfast.data.disk.placement.memory_bytes", lambda: 1000)
    large = storage_cases.train("rows", files, tmp_path / "large", "auto")
    assert len(cache.entries()) == 2
    assert 'storage = "disk"' in (large.path / "recipe.toml").read_text()
    assert_same(tmp_path / "small", large.path)


def test_data_that_changed_under_a_run_are_refused_and_moved_data_are_not(files: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("wide-1.csv", "wide-2.csv", "wide-3.tsv"):
        (tmp_path / "data" / name).write_text((files / name).read_text())
    run = storage_cases.train("rows", tmp_path / "data", tmp_path / "run", "disk").path
    (tmp_path / "data").rename(tmp_path / "moved")
    recipe = storage_cases.recipe("rows", "disk")
    experiment.train(recipe, run, data_dir=tmp_path / "moved", resume=True)
    changed = tmp_path / "moved" / "wide-1.csv"
    changed.write_text(changed.read_text().replace("0.", "1.", 1))
    with pytest.raises(RunError, match=r"The data have changed since the run in .* began"):
        experiment.train(recipe, run, data_dir=tmp_path / "moved", resume=True)


def test_made_data_have_no_place_on_disk() -> None:
    recipe = from_dict({"name": "x", "task": "classify", "data": {"source": "digits", "storage": "disk"}}, "x")
    with pytest.raises(RecipeError, match=r"data\.storage is \"disk\", and the data of data\.source = 'digits'"):
        experiment.TASKS["classify"].load(recipe, None)


def test_a_damaged_set_is_prepared_again_or_named(files: Path, tmp_path: Path) -> None:
    storage_cases.train("rows", files, tmp_path / "first", "disk")
    parts = sorted(cache.sets_folder().glob("*/*.arrow"))
    content = parts[0].read_bytes()
    parts[0].write_bytes(content[:-1])  # seen at the start
    with pytest.warns(HoldfastWarning, match="are damaged .* they are prepared again"):
        storage_cases.train("rows", files, tmp_path / "again", "disk")
    assert_same(tmp_path / "first", tmp_path / "again")
    for part in parts[0].parent.glob("*.arrow"):
        content = bytearray(part.read_bytes())
        content[len(content) // 3] ^= 1  # seen when it is used
        part.write_bytes(content)
    with pytest.raises(DataError, match=r"are damaged .*, and were discarded\. Start again"):
        storage_cases.train("rows", files, tmp_path / "third", "disk")
    storage_cases.train("rows", files, tmp_path / "fourth", "disk")
