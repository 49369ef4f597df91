"""Scoring where something is in the way: other processes, files that change, odd names, columns of several types."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars
import pytest

from holdfast.errors import DataError, OptionError
from holdfast.scoring import parts, score
from holdfast.scoring.progress import ScoringProgress
from tasks import untrained

ROWS = 600


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return untrained.write("numbers", tmp_path)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + "".join(f"{k},2\n" for k in range(ROWS)))
    return path


class Does(ScoringProgress):
    """Does something after each block of rows."""

    def __init__(self, action: Callable[[], Any]) -> None:
        super().__init__(None)
        self._action = action

    def advance(self, rows: int) -> None:
        self._action()


def test_force_deletes_parts_alone_and_never_an_input(model: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers"
    score(model, [table], out, part_rows=256)
    (out / "note.txt").write_text("mine")
    score(model, [table], out, format="csv", force=True)
    assert sorted(path.name for path in out.iterdir()) == ["_scoring.json", "note.txt", "part-000000.csv"]
    table.rename(out / "rows.csv")
    with pytest.raises(OptionError, match=r"rows\.csv is among its parts; write the answers elsewhere"):
        score(model, [out / "rows.csv"], out, force=True)
    assert (out / "rows.csv").exists()


def test_other_work_in_the_same_place_ends_this_one(model: Path, table: Path, tmp_path: Path) -> None:
    again = Does(lambda: score(model, [table], tmp_path / "x.csv", part_rows=256, force=True))
    with pytest.raises(OptionError, match=r"Another process has ended the work in .*, or replaced it with other work"):
        score(model, [table], tmp_path / "x.csv", part_rows=512, progress=again)


@pytest.mark.parametrize("rows", [ROWS - 50, ROWS + 50])
def test_a_file_that_changes_meanwhile(rows: int, model: Path, table: Path, tmp_path: Path) -> None:
    lines = table.read_text().splitlines()
    changed = "\n".join([*lines[:1], *(lines[1:] * 2)[:rows], ""])
    with pytest.raises(DataError, match=r"rows\.csv changed while it was read, .* Start again with --force"):
        score(model, [table], tmp_path / "x.csv", part_rows=256, progress=Does(lambda: table.write_text(changed)))
    assert score(model, [table], tmp_path / "x.csv", force=True).rows == rows


def test_what_ended_processes_left_is_deleted(model: Path, table: Path, tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    whose = {"x.csv.parts": ended.pid, "part-000000.csv": ended.pid, "part-000001.csv": os.getppid()}
    names = [f".{name}.{socket.gethostname()}-{process}.tmp" for name, process in whose.items()]
    out = tmp_path / "x.csv.parts"
    for place in (tmp_path / names[0], out):
        place.mkdir()
    for name in names[1:]:
        (out / name).touch()
    parts.Parts(tmp_path / "x.csv", "csv", single=True).begin({}, force=False)
    assert not (tmp_path / names[0]).exists()
    assert sorted(path.name for path in out.iterdir()) == [names[2], "_scoring.json"]


def test_a_full_disk_is_one_sentence(model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(parts, "_publish", full)
    with pytest.raises(OptionError, match=r"cannot be written: No space left on device\. Make room there"):
        score(model, [table], tmp_path / "x.csv")
    assert list((tmp_path / "x.csv.parts").iterdir()) == []


def test_kept_columns_of_other_types_in_later_rows(model: Path, tmp_path: Path) -> None:
    rows = {"a": [1.0] * 256, "b": [2.0] * 256}
    for name, user in (("none", None), ("number", 5), ("text", "u"), ("list", [1])):
        polars.DataFrame({**rows, "u": [user] * 256}).write_parquet(tmp_path / f"{name}.parquet")
    paths = [tmp_path / f"{name}.parquet" for name in ("none", "number", "text")]
    score(model, paths, tmp_path / "x.parquet", keep=["u"], part_rows=256)
    assert polars.read_parquet(tmp_path / "x.parquet")["u"].to_list() == [None] * 256 + ["5"] * 256 + ["u"] * 256
    with pytest.raises(DataError, match="columns of the input have other types in later rows"):
        score(model, [tmp_path / "text.parquet", tmp_path / "list.parquet"], tmp_path / "y.parquet", keep=["u"],
              part_rows=256)  # fmt: skip


def test_bytes_have_no_place_in_csv(model: Path, tmp_path: Path) -> None:
    polars.DataFrame({"a": [1.0], "b": [2.0], "u": [b"\xff"]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="The column 'u' holds bytes, which CSV does not have"):
        score(model, [tmp_path / "x.parquet"], tmp_path / "x.csv", keep=["u"])


def test_a_name_that_is_not_utf8(model: Path, table: Path, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.csv"))
    table.rename(odd)
    for ending in ("parquet", "jsonl"):
        score(model, [odd], tmp_path / f"x.{ending}")
    assert polars.read_parquet(tmp_path / "x.parquet")["origin"][0] == f"{tmp_path}/?.csv[0]"
    assert json.loads((tmp_path / "x.jsonl").read_text().splitlines()[0])["origin"] == f"{tmp_path}/?.csv[0]"


def test_nothing_to_predict_for(tmp_path: Path) -> None:
    path = untrained.write("translate", tmp_path)
    (tmp_path / "blank.txt").write_text("\n\n")
    with pytest.raises(DataError, match=r"blank\.txt: there is nothing to predict for; expected at least one"):
        score(path, [tmp_path / "blank.txt"], tmp_path / "x.jsonl")
