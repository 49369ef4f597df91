"""``python -m holdfast.serve``: its arguments are those of ``holdfast serve``, and errors are one line."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs starlette: pip install 'holdfast[serve]'")

from holdfast.cli.serving import serve
from holdfast.serve import arguments, start


def test_it_takes_what_the_command_line_takes() -> None:
    ours = {action.dest: action.default for action in arguments.parser()._actions if action.dest != "help"}
    theirs = inspect.signature(serve).parameters
    renamed = {"limit": "limits"}
    assert {renamed.get(name, name) for name in ours} == set(theirs) - {"imports"}
    for name in ("host", "port", "grace", "log_level", "device", "examples"):
        assert ours[name] == theirs[name].default


def test_the_arguments_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(start, "start", lambda *given, **options: seen.append((given, options)) or 7)
    monkeypatch.setenv("HOLDFAST_TOKEN", "secret")
    assert arguments.main(["a", "b=c", "--port", "9", "--limit", "files=3", "--cors", "http://x", "--grace", "4"]) == 7
    options = {"grace": 4.0, "log_level": "info", "device": "cpu", "hosts": (), "examples": False}
    options |= {"token": "secret", "cors": ("http://x",)}
    assert seen == [((["a", "b=c"], "127.0.0.1", 9, ["files=3"]), options)]


def test_an_error_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert arguments.main([str(tmp_path / "none"), "--port", "0"]) == 2
    assert capsys.readouterr().err == (
        f"error: There is no model {tmp_path / 'none'}. Give a run, a model file, or NAME=PATH.\n"
    )
    with pytest.raises(SystemExit, match="2"):
        arguments.main(["a", "--log-level", "loud"])
