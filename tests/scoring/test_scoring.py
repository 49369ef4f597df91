"""Scoring: the answers of ``predict`` in every format and for every task; resumed, in shares, and with bad rows."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from holdfast import Transcriber
from holdfast.errors import DataError, OptionError
from holdfast.predictor import Predictor
from holdfast.scoring import score
from holdfast.scoring.progress import ScoringProgress
from rising import write_rising
from tasks import untrained

ROWS = 1900


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rising(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ROWS sequences of six steps, in the columns s0 to s5."""
    path = tmp_path_factory.mktemp("table") / "rows.parquet"
    values = np.random.default_rng(1).normal(size=(ROWS, 6))
    polars.DataFrame({f"s{k}": values[:, k] for k in range(6)}).write_parquet(path, row_group_size=400)
    return path


class Stops(ScoringProgress):
    """Ends a run after some rows, like Ctrl-C."""

    def __init__(self, rows: int) -> None:
        super().__init__(None)
        self.left = rows

    def advance(self, rows: int) -> None:
        self.left -= rows
        if self.left < 0:
            raise KeyboardInterrupt


def whole(model: Path, table: Path, out: Path, **options: Any) -> bytes:
    score(model, [table], out, part_rows=256, **options)
    return out.read_bytes()


def test_the_answers_are_those_of_predict(model: Path, table: Path, tmp_path: Path) -> None:
    expected = list(Predictor(model).predict([table]))
    done = score(model, [table], tmp_path / "x.jsonl", part_rows=512)
    assert (done.rows, done.computed, done.bad, done.path) == (ROWS, ROWS, 0, tmp_path / "x.jsonl")
    assert [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()] == expected
    score(model, [table], tmp_path / "x.parquet", part_rows=512)
    frame = polars.read_parquet(tmp_path / "x.parquet")
    assert frame.columns == ["origin", "label", "probability_down", "probability_up"]
    assert frame["label"].to_list() == [answer["label"] for answer in expected]
    assert frame["probability_up"].to_list() == [answer["probabilities"]["up"] for answer in expected]
    score(model, [table], tmp_path / "x.csv", part_rows=512)
    assert polars.read_csv(tmp_path / "x.csv").equals(frame)
    assert sorted(tmp_path.iterdir()) == [tmp_path / name for name in ("x.csv", "x.jsonl", "x.parquet")]


def test_several_inputs_are_one_sequence_of_rows(model: Path, table: Path, tmp_path: Path) -> None:
    polars.read_parquet(table).head(300).write_csv(tmp_path / "a.csv")
    paths = [tmp_path / "a.csv", table]
    expected = list(Predictor(model).predict(paths))
    score(model, paths, tmp_path / "x.jsonl")
    assert [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()] == expected


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_run_that_was_stopped_gives_the_same_bytes(ending: str, model: Path, table: Path, tmp_path: Path) -> None:
    expected = whole(model, table, tmp_path / f"whole.{ending}")
    out = tmp_path / f"stopped.{ending}"
    computed = 0
    for rows in (0, 300, 700, 10):
        with pytest.raises(KeyboardInterrupt):
            whole(model, table, out, progress=Stops(rows))
        assert not out.exists()
    done = score(model, [table], out, part_rows=256)
    computed = done.computed
    assert 0 < computed < ROWS
    assert out.read_bytes() == expected
    assert not (tmp_path / f"stopped.{ending}.parts").exists()


def test_a_killed_process_is_resumed(model: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed.parquet"
    command = [sys.executable, "-m", "holdfast", "predict", str(model), str(table), "--out", str(out)]
    process = subprocess.Popen([*command, "--part-rows", "256"], stderr=subprocess.DEVNULL)
    begun = out.with_name("killed.parquet.parts")
    while process.poll() is None and not list(begun.glob("part-*")):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert whole(model, table, out) == whole(model, table, tmp_path / "whole.parquet")


def test_shares_are_the_whole(model: Path, table: Path, tmp_path: Path) -> None:
    expected = whole(model, table, tmp_path / "whole.jsonl")
    shares = [whole(model, table, tmp_path / f"{k}.jsonl", shard=f"{k}/3") for k in (1, 2, 3)]
    assert b"".join(shares) == expected
    one, three = tmp_path / "one", tmp_path / "three"
    score(model, [table], one, part_rows=256)
    for k in (3, 1, 2):
        score(model, [table], three, part_rows=256, shard=f"{k}/3")
    contents = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in (one, three)]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 1 + 8
    assert polars.read_parquet(one / "*.parquet").height == ROWS
    assert score(model, [table], one, part_rows=256).computed == 0
    many = [score(model, [table], tmp_path / "many", shard=f"{k}/20", part_rows=512).rows for k in range(1, 21)]
    assert sum(many) == ROWS
    with pytest.raises(
        OptionError, match="--shard is 1/20, and this share of 1,900 rows is empty: a part has 512 rows"
    ):
        score(model, [table], tmp_path / "x.csv", shard="1/20", part_rows=512)


def test_columns_that_are_kept(model: Path, table: Path, tmp_path: Path) -> None:
    frame = polars.read_parquet(table)
    named = frame.with_columns(user=polars.Series([f"u{k}" for k in range(ROWS)]), label=polars.lit("?"))
    named.select("user", *named.columns[:-2], "label").write_parquet(tmp_path / "named.parquet")
    score(model, [table], tmp_path / "bare.parquet")
    score(model, [tmp_path / "named.parquet"], tmp_path / "kept.parquet", keep=["user", "label"])
    bare, kept = (polars.read_parquet(tmp_path / f"{name}.parquet") for name in ("bare", "kept"))
    assert kept.columns == ["origin", "user", "label_input", *bare.columns[1:]]
    assert kept["user"].to_list() == named["user"].to_list()
    assert kept.select(bare.columns[1:]).equals(bare.drop("origin"))
    score(model, [tmp_path / "named.parquet"], tmp_path / "kept.jsonl", keep=["user", "label"])
    assert json.loads((tmp_path / "kept.jsonl").read_text().splitlines()[0])["label_input"] == "?"
    score(model, [table], tmp_path / "all.csv", keep=["all"])
    assert polars.read_csv(tmp_path / "all.csv").columns[1:7] == frame.columns
    with pytest.raises(OptionError, match=r"has no column 'usr' \(--keep\): did you mean 'user'\?"):
        score(model, [tmp_path / "named.parquet"], tmp_path / "x.csv", keep=["usr"])


@pytest.fixture
def damaged(table: Path, tmp_path: Path) -> Path:
    """The rows as CSV; those with the numbers 3, 256 to 511 and 1,000 cannot be read."""
    frame = polars.read_parquet(table).cast(polars.String)
    bad = polars.Series([k in (3, 1000) or 256 <= k < 512 for k in range(ROWS)])
    frame.with_columns(s2=polars.when(bad).then(polars.lit("?!")).otherwise("s2")).write_csv(tmp_path / "bad.csv")
    return tmp_path / "bad.csv"


def test_bad_rows(model: Path, table: Path, damaged: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"bad\.csv, line 5: the column 's2' holds '\?!'; expected a number"):
        score(model, [damaged], tmp_path / "x.parquet")
    good = polars.read_parquet(table).with_row_index().filter(~polars.col("index").is_in([3, 1000, *range(256, 512)]))
    score(model, [table], tmp_path / "good.parquet")
    expected = polars.read_parquet(tmp_path / "good.parquet")[good["index"].to_list()]
    done = score(model, [damaged], tmp_path / "skip.parquet", on_error="skip", part_rows=256)
    assert (done.bad, done.rows) == (258, ROWS)
    assert polars.read_parquet(tmp_path / "skip.parquet").drop("origin").equals(expected.drop("origin"))
    score(model, [damaged], tmp_path / "null.parquet", on_error="null", part_rows=256)
    nulls = polars.read_parquet(tmp_path / "null.parquet")
    assert nulls.height == ROWS
    assert nulls["origin"][1000] == f"{damaged}[1000]"
    assert "line 1002: the column 's2' holds '?!'" in nulls["error"][1000]
    assert nulls["label"].null_count() == nulls["probability_up"].null_count() == 258
    kept = nulls.filter(polars.col("error").is_null()).drop("origin", "error")
    assert kept.equals(expected.drop("origin"))
    score(model, [damaged], tmp_path / "null.jsonl", on_error="null")
    lines = [json.loads(line) for line in (tmp_path / "null.jsonl").read_text().splitlines()]
    assert [k for k, line in enumerate(lines) if "error" in line] == [3, *range(256, 512), 1000]


def test_bad_rows_in_a_run_that_was_stopped(model: Path, damaged: Path, tmp_path: Path) -> None:
    expected = whole(model, damaged, tmp_path / "whole.csv", on_error="null", keep=["s2"])
    with pytest.raises(KeyboardInterrupt):
        whole(model, damaged, tmp_path / "x.csv", on_error="null", keep=["s2"], progress=Stops(300))
    assert whole(model, damaged, tmp_path / "x.csv", on_error="null", keep=["s2"]) == expected


def test_a_table_without_a_row_that_can_be_read(model: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n" + "one,two\n" * 9)
    with pytest.raises(DataError, match=r"None of the first 9 rows can be read\. .*line 2: the column 'a' holds 'one'"):
        score(model, [tmp_path / "x.csv"], tmp_path / "x.parquet", on_error="skip")


def test_other_work_is_not_mixed_in(model: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.parquet"
    with pytest.raises(KeyboardInterrupt):
        whole(model, table, out, progress=Stops(300))
    with pytest.raises(OptionError, match=r"x\.parquet\.parts has answers of other work: part_rows changed\."):
        score(model, [table], out)
    assert score(model, [table], out, force=True).computed == ROWS
    with pytest.raises(OptionError, match=r"x\.parquet already exists\. Choose another --out, or replace it"):
        score(model, [table], out)
    score(model, [table], tmp_path / "folder")
    with pytest.raises(OptionError, match="folder has answers of other work: format changed"):
        score(model, [table], tmp_path / "folder", format="csv")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note").touch()
    with pytest.raises(OptionError, match="mine exists, and holds no answers"):
        score(model, [table], tmp_path / "mine", force=True)
    polars.read_parquet(table).head(9).write_parquet(tmp_path / "t.parquet")
    score(model, [tmp_path / "t.parquet"], tmp_path / "t")
    polars.read_parquet(table).head(10).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(OptionError, match="t has answers of other work: inputs, rows changed"):
        score(model, [tmp_path / "t.parquet"], tmp_path / "t")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard": "3"}, "--shard is '3'; expected I/N, such as 2/4"),
        ({"shard": "3/2"}, "--shard is 3/2; expected I/N"),
        ({"part_rows": 100}, "--part-rows is 100; expected a multiple of 256"),
        ({"format": "csv"}, r"x\.parquet, and --format is csv; leave out --format"),
    ],
)
def test_options_that_do_not_fit(options: Any, message: str, model: Path, table: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message):
        score(model, [table], tmp_path / "x.parquet", **options)
    assert not list(tmp_path.iterdir())


def test_answers_never_replace_an_input(model: Path, table: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = tmp_path / "in" / "x.parquet"
    source.write_bytes(table.read_bytes())
    for inputs, out in (([source], source), ([tmp_path / "in"], tmp_path / "in" / "y.csv")):
        with pytest.raises(OptionError, match="or in it; write the answers to another place"):
            score(model, inputs, out, force=True)
    assert source.read_bytes() == table.read_bytes()


def test_an_unknown_ending(model: Path, table: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no answers are written as \.xlsx; expected a file that ends in \.parquet"):
        score(model, [table], tmp_path / "x.xlsx")


SCORED = {
    "numbers": "train.csv",
    "texts": "train.csv",
    "weighted": "train.csv",
    "regress": "steps.csv",
    "stars": "stars.csv",
    "forecast": "series.csv",
    "panel": "panel.csv",
    "tag": "tagged.tsv",
    "generate": "text.txt",
    "translate": "pairs.tsv",
}


@pytest.mark.filterwarnings("ignore:.*do not follow one another")
@pytest.mark.parametrize("name", SCORED)
def test_every_task(name: str, tmp_path: Path) -> None:
    path = untrained.write(name, tmp_path)
    source = tmp_path / SCORED[name]
    if name == "numbers":
        source = tmp_path / "wide.csv"
        source.write_text("a,b\n1,2\n3,4\n5,6\n")
    expected = list(Predictor(path).predict([source]))
    score(path, [source], tmp_path / "x.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    if name == "regress":
        assert [line.pop("id") for line in lines] == [str(k) for k in range(10)]
    assert lines == expected
    score(path, [source], tmp_path / "x.parquet")
    frame = polars.read_parquet(tmp_path / "x.parquet")
    per_answer = len(expected[0]["times"]) if "times" in expected[0] else 1
    assert frame.height == per_answer * len(expected)
    for column in frame.iter_columns():
        assert column.null_count() == 0
        if per_answer == 1 and not column.dtype.is_nested() and column.name in expected[0]:
            assert column.to_list() == [answer[column.name] for answer in expected]
    score(path, [source], tmp_path / "x.csv")
    assert polars.read_csv(tmp_path / "x.csv").columns == frame.columns


def test_lines_of_prompts_sources_and_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lines.txt").write_text("one two\n\nthree one\nfour\n")
    monkeypatch.setitem(untrained.FILES, "text.txt", "row your boat\ngently down the stream\n" * 9)
    recipes = {
        "tag": "",
        "translate": "",
        "generate": untrained.SMALL["generate"].replace("window = 4", 'sequences = "lines"\nvalidation = 0.0'),
    }
    for name, recipe in recipes.items():
        path = untrained.write(name, tmp_path, recipe)
        expected = list(Predictor(path).predict([tmp_path / "lines.txt"]))
        out = tmp_path / f"{name}.jsonl"
        score(path, [tmp_path / "lines.txt"], out, keep=["text"])
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        kept = [line.pop("text_input" if "text" in expected[0] else "text") for line in lines]
        assert lines == expected
        assert kept == ["one two", "three one", "four"]


def test_recordings(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    rng = np.random.default_rng(0)
    sounds = [rng.normal(size=4000 + 100 * k).astype(np.float32) * 0.1 for k in range(5)]
    (tmp_path / "wav").mkdir()
    for k, sound in enumerate(sounds):
        soundfile.write(tmp_path / "wav" / f"{k}.wav", sound, 8000)
    transcriber = Transcriber(rate=8000, hidden_size=8, epochs=1, threads=1, validation=None)
    transcriber.fit(sounds, ["a", "b", "a", "b", "a"]).save(tmp_path / "model.safetensors")
    expected = list(Predictor(tmp_path / "model.safetensors").predict([tmp_path / "wav"]))
    score(tmp_path / "model.safetensors", [tmp_path / "wav"], tmp_path / "x.jsonl", keep=["path"])
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [line.pop("path") for line in lines] == [str(tmp_path / "wav" / f"{k}.wav") for k in range(5)]
    assert lines == expected


def test_series_that_are_too_short(tmp_path: Path) -> None:
    path = untrained.write("panel", tmp_path)
    rows = [f"{name},{k},{k % 7},x,1\n" for name, count in (("a", 20), ("b", 1), ("c", 20)) for k in range(count)]
    (tmp_path / "p.csv").write_text("unique_id,ds,y,kind,area\n" + "".join(rows))
    with pytest.raises(DataError, match=r"\[id=b\] has 1 row"):
        score(path, [tmp_path / "p.csv"], tmp_path / "x.csv")
    done = score(path, [tmp_path / "p.csv"], tmp_path / "x.csv", on_error="skip", force=True)
    assert done.bad == 1
    frame = polars.read_csv(tmp_path / "x.csv")
    assert frame.columns == ["origin", "unique_id", "ds", "y"]
    assert frame["unique_id"].to_list() == ["a", "a", "c", "c"]
    assert frame["ds"].to_list() == [20, 21, 20, 21]
