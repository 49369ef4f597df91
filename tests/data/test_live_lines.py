"""Lines on stdin are answered as they come, whatever the task; and what happens when either end of the pipe goes."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.data.live_lines import line_groups
from holdfast.errors import DataError
from holdfast.predictor import Predictor
from tasks import untrained

HOLDFAST = [sys.executable, "-c", "from holdfast.cli import main; main()"]


@pytest.fixture
def pipe() -> Iterator[tuple[io.TextIOWrapper, int]]:
    reading, writing = os.pipe()
    with open(reading) as stream:
        yield stream, writing


def test_what_is_there_is_handed_on_group_size(pipe: tuple[io.TextIOWrapper, int]) -> None:
    stream, writing = pipe
    groups = line_groups(stream, group_size=3)
    os.write(writing, b"one\ntwo\r\nthr")
    assert next(groups) == ["one", "two"]
    os.write(writing, "ee\n\u00fc\n\nlast".encode())
    assert next(groups) == ["three", "\u00fc", ""]
    os.close(writing)
    assert list(groups) == [["last"]]


def test_many_lines_come_in_groups(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    lines = [f"line {number} " + "x" * (number % 50) for number in range(10_000)]
    path.write_text("\n".join(lines), "utf-8-sig")
    with path.open() as stream:
        groups = list(line_groups(stream, group_size=256))
    assert [line for group in groups for line in group] == lines
    assert {len(group) for group in groups[:-1]} == {256}
    assert list(line_groups(io.StringIO("a\nb\nc"), group_size=2)) == [["a", "b"], ["c"]]
    path.write_text("")
    with path.open() as stream:
        assert list(line_groups(stream)) == []


def test_a_long_line_takes_time_in_proportion(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_bytes(b"x" * 30_000_000 + b"\nend")
    start = time.process_time()
    with path.open() as stream:
        assert [len(line) for group in line_groups(stream) for line in group] == [30_000_000, 3]
    assert time.process_time() - start < 2


def test_what_is_not_text(pipe: tuple[io.TextIOWrapper, int]) -> None:
    stream, writing = pipe
    os.write(writing, b"fine\nr\xff\n")
    os.close(writing)
    with pytest.raises(DataError) as error:
        list(line_groups(stream))
    assert str(error.value) == "Line 2 of stdin is not UTF-8 text (invalid start byte). Convert it to UTF-8."


def answered(process: subprocess.Popen[bytes], line: str) -> bytes:
    """What the command prints for one line, while more could come."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()
    ready, _, _ = select.select([process.stdout], [], [], 120)
    assert ready, "no answer, with the pipe still open"
    return process.stdout.readline()


@pytest.mark.parametrize(
    ("name", "lines", "key"),
    [
        ("texts", ["one two", "three"], "label"),
        ("tag", ["row the boat", "it"], "tagged"),
        ("sums", ["3 4", "1 1"], "sum"),
        ("generate", ["row, ", "your"], "text"),
        ("translate", ["one two", "three"], "translation"),
    ],
)
def test_each_line_is_answered_while_the_pipe_is_open(
    tmp_path: Path, pipe: tuple[io.TextIOWrapper, int], name: str, lines: list[str], key: str
) -> None:
    stream, writing = pipe
    answers = Predictor(untrained.write(name, tmp_path)).predict_groups(line_groups(stream))
    for number, line in enumerate(lines, start=1):
        os.write(writing, line.encode() + b"\n")
        answer = next(answers)
        assert answer["origin"] == f"line {number}"
        assert key in answer
    os.close(writing)
    assert list(answers) == []


def test_the_command_answers_each_line_and_ends_quietly_on_ctrl_c(tmp_path: Path) -> None:
    command = [*HOLDFAST, "predict", str(untrained.write("texts", tmp_path)), "-"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, bufsize=0, **pipes) as process:  # type: ignore[call-overload]
        found = [json.loads(answered(process, line)) for line in ("one two", "three")]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == b""
    assert [one["origin"] for one in found] == ["line 1", "line 2"]


def test_as_text_and_without_a_reader(tmp_path: Path) -> None:
    model = untrained.write("texts", tmp_path)
    command = [*HOLDFAST, "predict", str(model), "-", "--text"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, bufsize=0, **pipes) as process:  # type: ignore[call-overload]
        assert answered(process, "one two") in (b"1\n", b"2\n", b"3\n", b"yes\n", b"no\n")
        process.stdout.close()  # as `| head -1` does
        process.stdin.write(b"one\ntwo\n")
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1


def test_a_listing_without_a_reader() -> None:
    with subprocess.Popen([*HOLDFAST, "recipes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1
