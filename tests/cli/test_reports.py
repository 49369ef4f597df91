"""The commands ``report`` and ``card``."""

import pytest

from command_line import call

QUICK = ["--threads", "1", "-q"]
for override in ("train.epochs=1", "model.hidden_size=4", "data.limit=150"):
    QUICK += ["--set", override]


def test_a_trained_run_has_a_report_and_a_card(capsys, tmp_path):
    assert call(capsys, "train", "digits", *QUICK, "--out", tmp_path / "run")[0] == 0
    assert not (tmp_path / "run" / "report.html").exists()  # the tests switch it off
    code, out, err = call(capsys, "report", tmp_path / "run")
    assert (code, out, err) == (0, f"{tmp_path}/run/report.html\n", "")
    assert (tmp_path / "run" / "report.html").read_bytes().startswith(b"<!DOCTYPE html>")
    code, out, _ = call(capsys, "card", tmp_path / "run", "--out", tmp_path / "card.md")
    assert (code, out) == (0, f"{tmp_path}/card.md\n")
    assert (tmp_path / "card.md").read_text("utf-8").startswith("---\nlibrary_name: holdfast\n")


def test_training_says_where_the_report_is(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_REPORT", "1")
    loud = [word for word in QUICK if word != "-q"]
    code, _, err = call(capsys, "train", "digits", *loud, "--out", tmp_path / "run")
    assert code == 0
    assert f"its report is {tmp_path}/run/report.html: try `holdfast evaluate" in err


@pytest.mark.parametrize("command", ["report", "card"])
def test_a_folder_without_a_run_is_an_error(capsys, tmp_path, command):
    code, out, err = call(capsys, command, tmp_path)
    assert (code, out) == (2, "")
    assert "There is no run in" in err
