"""A history that is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import RunError
from holdfast.training.history import History


@pytest.mark.parametrize("line", ["nonsense", "[" * 100_000, '{"a":' * 100_000, '{"loss": ' + "9" * 5000 + "}"])
def test_a_row_that_is_not_json_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(f'{{"step": 1}}\n{line}\n')
    with pytest.raises(RunError, match=r"history.jsonl, line 2, is not JSON \(.*Restore the file, or start again"):
        History(path, keep=2)
