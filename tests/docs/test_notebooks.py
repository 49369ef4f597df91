"""The notebooks run, their stored text is what a run prints, and their pictures are stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs nbformat: pip install nbformat")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient: pip install nbclient ipykernel")

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NUMBER = r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
SECONDS = 120  # a limit for a cell on a busy machine


def opened(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: Any) -> Iterator[str]:
    """The texts that a cell prints and the text of its value, without the progress of training."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.text
        elif output.output_type == "execute_result":
            yield output.data["text/plain"]


def kinds(cell: Any) -> list[list[str]]:
    """What a cell displays: the types of each output."""
    return [sorted(output.get("data", {})) for output in cell.outputs]


def assert_alike(stored: str, found: str) -> None:
    """The same words, and numbers that differ as little as those of two processors."""
    assert re.sub(NUMBER, "#", stored).split() == re.sub(NUMBER, "#", found).split()
    expected = [float(number) for number in re.findall(NUMBER, stored)]
    assert [float(number) for number in re.findall(NUMBER, found)] == pytest.approx(expected, rel=0.1, abs=0.05)


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["first_lstm", "forecast_many_series", "texts_from_two_lists"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore::DeprecationWarning:jupyter_core")
def test_a_run_prints_what_is_stored(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipykernel", reason="needs ipykernel: pip install ipykernel")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    stored = opened(path)
    again = nbformat.from_dict(stored)
    client = nbclient.NotebookClient(
        again, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    for before, after in zip(code_cells(stored), code_cells(again), strict=True):
        assert kinds(before) == kinds(after), before.source
        assert not [output for output in after.outputs if output.get("name") == "stderr"], before.source
        for left, right in zip(printed(before), printed(after), strict=True):
            assert_alike(left, right)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_reader_sees_text_and_pictures(path: Path) -> None:
    notebook = opened(path)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(len(cell.source.splitlines()) <= 25 for cell in cells)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    outputs = [output for cell in cells for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
    assert any("<table>" in str(output.get("data", {}).get("text/html")) for output in outputs)  # of training
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert path.stat().st_size < 500_000
    text = path.read_text("utf-8")
    assert not re.search(r"/(?:tmp|home|root|work)/", text), "a path of the machine that ran it"


def test_numbers_and_words_are_compared() -> None:
    assert_alike("accuracy 0.91\n", "accuracy 0.93")
    for other in ("accuracy 0.7", "accuracy 0.91 0.91", "loss 0.91"):
        with pytest.raises(AssertionError):
            assert_alike("accuracy 0.91", other)
