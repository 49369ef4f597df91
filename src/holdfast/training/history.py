"""What happened in training: a list of dicts, and the same as JSON lines in a file, written as it happens.

There are two kinds of rows. An epoch's::

    {"event": "epoch", "epoch": 1, "step": 45, "learning_rate": 0.001, "train": {"loss": 0.7, "accuracy": 0.8},
     "validation": {"loss": 0.6, "accuracy": 0.9}, "best": true, "seconds": 1.5}

and with ``log_every`` one of ``"event": "log"``, whose ``train`` covers the updates since the last such row. ``step``
counts updates, ``seconds`` is the time spent training so far. A value that is not finite is recorded as null.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from holdfast.errors import RunError


class History(list[dict[str, Any]]):
    """The rows of a run, in order.

    Args:
        path: The file to append to; None keeps the rows in memory alone.
        keep: Go on from the first so many rows of the file; whatever follows them there is cut off.

    Raises:
        RunError: The file has fewer rows, or one that is not JSON.
    """

    def __init__(self, path: Path | None = None, *, keep: int = 0) -> None:
        super().__init__()
        self._path = path
        if path is None:
            return
        content = path.read_bytes() if path.exists() else b""
        lines = content.split(b"\n")[:-1]  # what follows the last line end is no whole row
        if len(lines) < keep:
            raise RunError(
                f"{path} has {len(lines)} rows; the checkpoint beside it was written after {keep}. "
                "Put the file back, or start anew in another folder."
            )
        for number, line in enumerate(lines[:keep], start=1):
            try:
                self.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise RunError(
                    f"{path}, line {number}, is not JSON ({error}). Put the file back, or start anew in another folder."
                ) from error
        if content:
            os.truncate(path, sum(len(line) + 1 for line in lines[:keep]))

    def record(self, row: dict[str, Any]) -> None:
        """Appends a row here and, at once, to the file."""
        row = _finite(row)
        self.append(row)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(row) + "\n")

    def sync(self) -> None:
        """Makes the rows so far durable, also against a power cut."""
        if self._path is not None and self:
            descriptor = os.open(self._path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
