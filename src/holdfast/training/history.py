"""What happened in training: a list of dicts, and the same as JSON lines in a file, written as it happens.

There are two kinds of rows. An epoch's::

    {"event": "epoch", "epoch": 1, "step": 45, "learning_rate": 0.001, "train": {"loss": 0.7, "accuracy": 0.8},
     "validation": {"loss": 0.6, "accuracy": 0.9}, "best": true, "seconds": 1.5}

and with ``log_every`` one of ``"event": "log"``, whose ``train`` covers the updates since the last such row. ``step``
counts updates, ``seconds`` is the time spent training so far. A value that is not finite is recorded as null.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from holdfast.errors import RunError


class History(list[dict[str, Any]]):
    """The rows of a run, in order.

    Args:
        path: The file to append to; None keeps the rows in memory alone.
        keep: Go on from the first ``keep`` rows of the file; whatever follows them there is cut off.
        digest: What :attr:`digest` was when there were that many rows; None when nobody knows.

    Raises:
        RunError: The file has fewer rows, other ones, or one that is not JSON; or it cannot be read or written.
    """

    def __init__(self, path: Path | None = None, *, keep: int = 0, digest: str | None = None) -> None:
        super().__init__()
        self._path, self._digest = path, hashlib.sha256()
        if path is None:
            return
        with self._writing():
            content = path.read_bytes() if path.exists() else b""
        lines = content.split(b"\n")[:-1]  # what follows the last line end is no whole row
        if len(lines) < keep:
            raise RunError(
                f"{path} has {len(lines)} rows; the checkpoint beside it was written after {keep}. "
                "Put the file back, or start anew in another folder."
            )
        kept = b"".join(line + b"\n" for line in lines[:keep])
        self._digest.update(kept)
        if digest is not None and digest != self.digest:
            raise RunError(
                f"{path} is not as it was when the checkpoint beside it was written: a row was changed or damaged. "
                "Put the file back, or start anew in another folder."
            )
        for number, line in enumerate(lines[:keep], start=1):
            try:
                self.append(json.loads(line))
            except ValueError as error:
                raise RunError(
                    f"{path}, line {number}, is not JSON ({error}). Put the file back, or start anew in another folder."
                ) from error
        if content:
            with self._writing():
                os.truncate(path, len(kept))

    @property
    def digest(self) -> str:
        """SHA-256 of the rows so far, as lines."""
        return self._digest.hexdigest()

    def record(self, row: dict[str, Any]) -> None:
        """Appends a row here and, at once, to the file."""
        row = _finite(row)
        line = (json.dumps(row) + "\n").encode()
        self.append(row)
        self._digest.update(line)
        if self._path is not None:
            with self._writing(), self._path.open("ab") as handle:
                handle.write(line)

    def sync(self) -> None:
        """Makes the rows so far durable, also against a power cut."""
        if self._path is not None and self:
            with self._writing():
                descriptor = os.open(self._path, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Says of the file that it cannot be used."""
        try:
            yield
        except OSError as error:
            raise RunError(
                f"{self._path} cannot be read or written: {error.strerror}. Make room there, or choose another folder."
            ) from error


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
