"""The history of a run: a list of dicts, also appended to a file as JSON lines while training goes on.

There are two kinds of rows. One per epoch::

    {"event": "epoch", "epoch": 1, "step": 45, "learning_rate": 0.001, "train": {"loss": 0.7, "accuracy": 0.8},
     "validation": {"loss": 0.6, "accuracy": 0.9}, "best": true, "seconds": 1.5}

and, with ``log_every``, rows with ``"event": "log"``, whose ``train`` covers the updates since the last such row.
``step`` counts updates, ``seconds`` is the time spent training so far. A value that is not finite becomes null. Where
``train.clip_norm`` is above 0, both kinds also have ``gradient_norm``, the mean norm of the gradients before clipping,
``largest_gradient_norm``, and ``clipped``, the share of the updates whose gradients were clipped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.errors import RunError
from holdfast.files.json_values import finite
from holdfast.training.listener import Listener


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a history file; empty if there is no file. A last line that is still being written is left out.

    Raises:
        RunError: The file cannot be read, or a row is not JSON.
    """
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}. Check the file's permissions.") from error
    return [_parsed(line, path, number) for number, line in enumerate(content.split(b"\n")[:-1], start=1)]


def _parsed(line: bytes, path: Path, number: int) -> dict[str, Any]:
    """One row of the file."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{path}, line {number}, is not JSON ({error}). Restore the file, or start again in another folder."
        ) from error
    if not isinstance(row, dict):
        raise RunError(f"{path}, line {number}, is no row. Restore the file, or start again in another folder.")
    return row


class History(list[dict[str, Any]], Listener):
    """The rows of a run, in order. It is the first listener of every training.

    Args:
        path: The file to append to; None keeps the rows in memory only.
        keep: Resume after the first ``keep`` rows of the file; the rest of the file is removed.
        digest: The value of :attr:`digest` after these rows; None when it is not known.

    Raises:
        RunError: The file has fewer rows, changed rows, or a row that is not JSON; or it cannot be read or written.
    """

    def __init__(self, path: Path | None = None, *, keep: int = 0, digest: str | None = None) -> None:
        super().__init__()
        self._path, self._digest = path, hashlib.sha256()
        if path is None:
            return
        with self._writing():
            content = path.read_bytes() if path.exists() else b""
        lines = content.split(b"\n")[:-1]  # after the last line end there is no complete row
        if len(lines) < keep:
            raise RunError(
                f"{path} has {len(lines)} rows; the checkpoint beside it was written after {keep}. "
                "Restore the file, or start again in another folder."
            )
        kept = b"".join(line + b"\n" for line in lines[:keep])
        self._digest.update(kept)
        if digest is not None and digest != self.digest:
            raise RunError(
                f"{path} has changed since the checkpoint beside it was written: a row was edited or damaged. "
                "Restore the file, or start again in another folder."
            )
        for number, line in enumerate(lines[:keep], start=1):
            self.append(_parsed(line, path, number))
        if content:
            with self._writing():
                os.truncate(path, len(kept))

    @property
    def digest(self) -> str:
        """SHA-256 of the rows so far, as lines."""
        return self._digest.hexdigest()

    def log(self, row: dict[str, Any]) -> None:
        """Appends a row here and, at once, to the file."""
        row = finite(row)
        line = (json.dumps(row) + "\n").encode()
        self.append(row)
        self._digest.update(line)
        if self._path is not None:
            with self._writing(), self._path.open("ab") as handle:
                handle.write(line)

    epoch = log

    def sync(self) -> None:
        """Makes the rows so far safe from a power cut."""
        if self._path is not None and self:
            with self._writing():
                descriptor = os.open(self._path, os.O_RDWR)  # Windows flushes no file that is open for reading alone
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns an OSError into a RunError that names the file."""
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{self._path} cannot be read or written: {error.strerror}. Make room there, or choose another folder."
            ) from error
