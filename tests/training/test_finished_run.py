"""A run read back from its folder."""

import pytest

from holdfast.errors import RunError
from holdfast.training import RunDirectory
from holdfast.training.finished_run import Circumstances, FinishedRun, write_results


@pytest.fixture
def folder(tmp_path):
    with RunDirectory(tmp_path / "run", {"name": "toy", "train": {"seed": 1}}) as run:
        run.history_path.write_text('{"event": "epoch", "epoch": 2, "step": 8, "seconds": 1.5}\n{"event": "ep')
    return tmp_path / "run"


def test_a_run_that_is_still_training_has_its_rows_and_no_results(folder):
    run = FinishedRun.read(folder)
    assert (run.epochs, run.updates, run.seconds, run.results) == (2, 8, 1.5, None)
    assert run.recipe == {"name": "toy", "train": {"seed": 1}}
    assert len(run.rows) == 1


def test_results_come_back_to_the_bit_also_where_they_are_not_finite(folder):
    write_results(folder, {"loss": 0.1 + 0.2, "score": float("-inf"), "count": 3})
    assert FinishedRun.read(folder).results == {"loss": 0.1 + 0.2, "score": float("-inf"), "count": 3.0}


def test_sizes_versions_and_engines_come_back(folder):
    assert FinishedRun.read(folder).circumstances == Circumstances()
    engines = [{"part": "recurrent, layer 0", "engine": "native", "not": {"cudnn": "the tensors are on the CPU."}}]
    recorded = Circumstances({"train": {"sequences": 3}, "test": {"sequences": 1}}, {"Python": "3.11.2"}, engines)
    write_results(folder, {"loss": 0.5}, recorded)
    run = FinishedRun.read(folder)
    assert run.circumstances == recorded
    assert run.results == {"loss": 0.5}


def test_changed_results_are_refused(folder):
    write_results(folder, {"accuracy": 0.9})
    path = folder / "results.toml"
    path.write_text(path.read_text().replace("0.9", "1.0"))
    with pytest.raises(RunError, match=r"results\.toml was changed"):
        FinishedRun.read(folder)


@pytest.mark.parametrize("line", ["no json", "[1]", "1" * 5000])
def test_a_damaged_row_is_named(folder, line):
    (folder / "history.jsonl").write_text(f"{line}\n")
    with pytest.raises(RunError, match=r"history\.jsonl, line 1, is no"):
        FinishedRun.read(folder)


def test_a_folder_without_a_run_is_an_error(tmp_path):
    with pytest.raises(RunError, match="There is no run in"):
        FinishedRun.read(tmp_path)


@pytest.mark.parametrize("text", ["", "test = 1\n", "[test]\nloss = 'low'\n", "sizes = 3\n[test]\n"])
def test_results_without_metrics_are_refused(folder, text):
    (folder / "results.toml").write_text(text)
    with pytest.raises(RunError, match=r"results\.toml holds no results"):
        FinishedRun.read(folder)
