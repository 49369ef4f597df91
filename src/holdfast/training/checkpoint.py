"""The checkpoint: one file from which a killed run resumes, to the same bits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from holdfast.errors import ModelFileError, RunError
from holdfast.files import storage
from holdfast.training.determinism import random_state, restore_random_state
from holdfast.training.history import History
from holdfast.training.nest import decode, encode
from holdfast.training.state import Training

KIND = "checkpoint"
_BEFORE = {"chunks": 1, "exact": True}
"""What older versions did, by settings that they did not have."""


class Checkpoint:
    """Writes and reads the checkpoint of a run.

    Args:
        path: The file.
        every: Seconds between writes, for ``due``.
        setup: What must be equal when the run resumes, by name: the settings, the size of the data.
    """

    def __init__(self, path: Path, *, every: float, setup: dict[str, Any]) -> None:
        self._path, self._every, self._setup = path, every, setup
        self._written = time.monotonic()

    def due(self) -> bool:
        """Whether the last write is old enough."""
        return time.monotonic() - self._written >= self._every

    def write(self, training: Training, history: History, seconds: float) -> None:
        """Stores everything, and replaces the old checkpoint atomically. The first process writes for all of them.

        Args:
            training: Between two updates.
            history: Its rows are first made safe from a power cut, then counted.
            seconds: Time spent training so far.

        Raises:
            RunError: A loss or a weight is not finite; the old checkpoint is kept.
            ModelFileError: The file cannot be written.
        """
        state = training.state_dict()
        training.check_weights()
        if not training.processes.first:
            return
        history.sync()
        rows = {"rows": len(history), "history": history.digest, "seconds": seconds}
        tensors, document = encode({"training": state, "random": random_state(), **rows})
        storage.write(self._path, tensors, {"setup": self._setup, "state": document}, KIND)
        self._written = time.monotonic()

    def read(self, training: Training) -> tuple[int, str | None, float]:
        """Restores training and the random generators.

        Returns:
            The number of rows of the history, their digest (None in checkpoints of older versions), and the seconds
            spent training.

        Raises:
            ModelFileError: The file is damaged, or belongs to another model.
            RunError: It was written with another setup.
        """
        tensors, document = storage.read(self._path, KIND)
        self._check_setup(document)
        try:
            state = decode(tensors, document.get("state"), training.device)
            training.load_state_dict(state["training"], self._path)
            restore_random_state(state["random"])
            return state["rows"], state.get("history"), state["seconds"]
        except ModelFileError as error:
            if str(error).startswith(str(self._path)):
                raise
            raise ModelFileError(f"{self._path}: {error}") from error
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError) as error:
            raise ModelFileError(
                f"{self._path} is damaged: a part of the state is missing or does not fit "
                f"({type(error).__name__}: {error}). Start again in another folder."
            ) from error

    def _check_setup(self, document: dict[str, Any]) -> None:
        stored = document.get("setup")
        stored = _BEFORE | stored if isinstance(stored, dict) else {}
        differing = [
            f"{name} = {stored.get(name)!r} there, {self._setup.get(name)!r} here"
            for name in sorted(stored.keys() | self._setup.keys())
            if stored.get(name) != self._setup.get(name)
        ]
        if differing:
            raise RunError(
                f"{self._path} was written with another setup: {'; '.join(differing)}. "
                "Use the same data and settings, or start again in another folder."
            )
