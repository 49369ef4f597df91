"""Small recipes of every task whose data are files, for tests of ``data.storage``."""

from __future__ import annotations

import datetime
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from holdfast import experiment, recipes

RATE = 8000
_BASE = {"window": 24, "horizon": 4, "time_column": "ds", "target_columns": ["y"], "known_columns": ["k"]}
_LONG = {"id_column": "id", "feature_columns": ["a", "b"]}
_STEPS = {"train": ["gaps.parquet"], **_LONG, "target_columns": ["z", "y"], "per": "step"}
_SOUND = {"rate": RATE, "mel_bins": 8}

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "rows": ("classify", {"train": ["wide-1.csv", "wide-2.csv"], "test": ["wide-3.tsv"]}, {"bucket": 2}),
    "steps": ("classify", {"train": ["long.csv"], **_LONG, "time_column": "time"}, {"bucket": 2}),
    "recordings": ("classify", {"train": ["sounds"], "audio": _SOUND}, {}),
    "texts": ("classify", {"train": ["texts"], "unit": "words"}, {"bucket": 2}),
    "table of texts": ("classify", {"train": ["texts.csv"], "unit": "pieces", "vocabulary_size": 80}, {}),
    "gaps": ("regress", {"train": ["gaps.csv"], **_LONG, "target_columns": ["y"], "missing": "mask"}, {}),
    "targets of steps": (
        "regress",
        {**_STEPS, "missing": "interpolate", "window": 3},
        {},
    ),
    "windows of steps": (
        "regress",
        {"train": ["long.parquet"], **_LONG, "target_columns": ["time"], "per": "step", "window": 3},
        {"carry_state": True},
    ),
    "numbers of texts": ("regress", {"train": ["texts.csv"], "unit": "words", "target_columns": ["size"]}, {}),
    "tags": ("tag", {"train": ["tags.txt"]}, {"bucket": 2}),
    "series": ("forecast", {"train": ["one.csv", "two.csv"], **_BASE, "season": 12, "calendar": ["hour"]}, {}),
    "series with gaps": ("forecast", {"train": ["one.csv"], **_BASE, "known_columns": [], "missing": "mask"}, {}),
    "many series": ("forecast", {"train": ["panel.csv"], **_BASE, "id_column": "id", "static_columns": ["kind"]}, {}),
    "pairs": ("translate", {"train": ["pairs.txt"], "unit": "characters"}, {"bucket": 2}),
    "pairs in reverse": ("translate", {"train": ["pairs.txt"], "unit": "words", "reverse": True, "shared": True}, {}),
    "lines": ("generate", {"train": ["documents"], "sequences": "lines", "unit": "words"}, {}),
    "streams": (
        "generate",
        {"train": ["documents"], "unit": "pieces", "vocabulary_size": 50, "window": 20},
        {"carry_state": True},
    ),
    "transcripts": ("transcribe", {"train": ["recordings"], "audio": _SOUND}, {}),
}
"""By name: the task, the table ``[data]``, and the table ``[train]``."""


def write_files(folder: Path) -> None:
    """Writes the files of all cases."""
    rng = np.random.default_rng(0)
    names = ["".join(rng.choice(list("abcdefghij"), size=rng.integers(1, 6))) for _ in range(40)]

    def words(count: int) -> str:
        return " ".join(rng.choice(names, size=count))

    _write_tables(folder, rng)
    for label in ("one", "two"):
        _write(folder / "texts" / f"{label}.txt", [f"{words(rng.integers(1, 9))} {label[0]}" for _ in range(60)])
    rows = [f'"{words(4)}, ""so""\n{words(1)}",{"ab"[row % 2]},{row / 7:.3f}' for row in range(90)]
    _write(folder / "texts.csv", ["text,label,size", *rows])
    tagged = [
        [f"{word}\t{'N' if word < 'e' else 'V'}" for word in words(rng.integers(1, 7)).split()] for _ in range(70)
    ]
    _write(folder / "tags.txt", [line for sentence in tagged for line in (*sentence, "")])
    sources = [words(rng.integers(1, 3)) for _ in range(110)]
    _write(folder / "pairs.txt", [f"{source}\t{source[::-1]}{'!' * int(rng.integers(2))}" for source in sources])
    for number in range(3):
        _write(folder / "documents" / f"{number}.txt", [words(rng.integers(3, 30)) for _ in range(40)])
    for number in range(12):
        sound = (rng.normal(size=rng.integers(1600, 3200)) * 8000).astype(np.int16)
        _save(folder / "recordings" / f"{number:02d}.wav", sound)
        _write(folder / "recordings" / f"{number:02d}.txt", ["ab"[number % 2] + " c"])
        _save(folder / "sounds" / "pq"[number % 2] / f"{number}.wav", sound)


def _write_tables(folder: Path, rng: np.random.Generator) -> None:
    for number, separator in enumerate((",", ",", "\t"), 1):
        values = rng.normal(size=(60, 5))
        lines = [separator.join([*(f"{v:.5f}" for v in row), "up" if row.sum() > 0 else "down"]) for row in values]
        end = "tsv" if separator == "\t" else "csv"
        _write(folder / f"wide-{number}.{end}", [separator.join(["v", "w", "x", "y", "z", "label"]), *lines])
    rows, gaps = ["id,time,a,b,label"], ["id,a,b,y,z"]
    for number in range(60):
        for time in rng.permutation(rng.integers(2, 8)):
            rows.append(f"s{number},{time},{rng.normal():.4f},{rng.normal():.4f},{'xy'[number % 2]}")
            a = "" if rng.random() < 0.2 else f"{rng.normal():.3f}"
            gaps.append(f"s{number},{a},{rng.normal():.4f},{number / 10},{rng.normal():.3f}")
    _write(folder / "long.csv", rows)
    _write(folder / "gaps.csv", gaps)
    for name in ("long", "gaps"):
        polars.read_csv(folder / f"{name}.csv").write_parquet(folder / f"{name}.parquet", row_group_size=30)
    start = datetime.datetime(2020, 1, 1)
    hours = [(start + datetime.timedelta(hours=hour)).isoformat() for hour in range(200)]
    series = {name: [f"{hour},{rng.normal():.4f},{k % 7}" for k, hour in enumerate(hours)] for name in "abcd"}
    _write(folder / "one.csv", ["ds,y,k", *series["a"]])
    _write(folder / "two.csv", ["ds,y,k", *series["b"][:150]])
    panel = [f"s{name},{'xy'[name < 'c']},{row}" for name in series for row in series[name][: 90 + ord(name)]]
    _write(folder / "panel.csv", ["id,kind,ds,y,k", *panel])


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def _save(path: Path, sound: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.tobytes())


def recipe(name: str, storage: str, **train: Any) -> Any:
    """The recipe of a case."""
    task, data, settings = CASES[name]
    table = {
        "name": name,
        "task": task,
        "data": {**data, "storage": storage, "validation": 0.1},
        "model": {"hidden_size": 4},
        "train": {"epochs": 1, "batch_size": 8, "threads": 1, **settings, **train},
    }
    return recipes.from_dict(table, name)


def train(name: str, data: Path, out: Path, storage: str, **settings: Any) -> experiment.Trained:
    """Trains a case."""
    return experiment.train(recipe(name, storage, **settings), out, data_dir=data)


def small_pieces(monkeypatch: pytest.MonkeyPatch | None = None) -> None:
    """Makes every piece, block and file of a set so small that the files of the cases have many."""
    sizes = {
        "disk.parts.BLOCK_BYTES": 300,
        "disk.build.PART_BYTES": 1500,
        "disk.derived._AT_ONCE": 7,
        "disk.documents.PIECE": 100,
        "disk.store._OPEN_PARTS": 2,
        "disk.store._OPEN_BLOCKS": 3,
        "disk.tables.PIECE_BYTES": 600,
        "pieces.text_lines._BLOCK": 500,
        "pieces.numbered_lines.MOST_LINES": 40,
    }
    monkeypatch = monkeypatch or pytest.MonkeyPatch()
    for name, size in sizes.items():
        monkeypatch.setattr(f"holdfast.data.{name}", size)


Files = Callable[[], Path]
