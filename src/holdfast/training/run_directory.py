"""The folder of a run: its recipe, history, checkpoint and model, and the lock that keeps a second process out."""

from __future__ import annotations

import fcntl
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import tomli_w

from holdfast.container import MODEL_NAME, replace_file
from holdfast.errors import RunError

HISTORY_NAME = "history.jsonl"
CHECKPOINT_NAME = "checkpoint.safetensors"


class RunDirectory:
    """A folder to train into, locked until it is closed or the process ends, however it ends.

    Args:
        path: The folder; it is made if need be.
        recipe: The recipe as resolved: what TOML can hold, and None for what is unset.
        resume: Go on with the run that is there; where there is none (the run was killed early), start one.

    Raises:
        RunError: Another process trains into the folder; there is a run and ``resume`` is off; or the run there has
            another recipe.
    """

    def __init__(self, path: Path | str, recipe: Mapping[str, Any], *, resume: bool = False) -> None:
        self.path = Path(path)
        self.recipe_path = self.path / "recipe.toml"
        self.history_path = self.path / HISTORY_NAME
        self.checkpoint_path = self.path / CHECKPOINT_NAME
        self.model_path = self.path / MODEL_NAME
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise RunError(f"{self.path} cannot be used for a run: {error.strerror}. Choose another --out.") from error
        try:
            self._take_lock()
            self._settle_recipe(recipe, resume)
            for leftover in self.path.glob(".*.tmp"):  # of a write that was killed
                leftover.unlink()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip()
            raise RunError(
                f"{self.path} is in use: process {holder or 'unknown'} trains into it. "
                "Wait until it has ended, or choose another --out."
            ) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode("ascii"), 0)

    def _settle_recipe(self, recipe: Mapping[str, Any], resume: bool) -> None:
        text = tomli_w.dumps(_set_values(recipe))
        found = results_in(self.path)
        if found and not resume:
            raise RunError(
                f"{self.path} already holds a run ({', '.join(found)}). "
                "Go on with it by --resume, or choose another --out."
            )
        if resume and self.recipe_path.exists():
            try:
                stored = _flat(tomllib.loads(self.recipe_path.read_text(encoding="utf-8")))
            except ValueError as error:
                raise RunError(
                    f"{self.recipe_path} is not TOML: {error}. Put it back as it was, or choose another --out."
                ) from error
            given = _flat(tomllib.loads(text))
            differing = [
                f"{key} = {_shown(stored, key)} there, {_shown(given, key)} here"
                for key in sorted(stored.keys() | given.keys())
                if _shown(stored, key) != _shown(given, key)
            ]
            if differing:
                raise RunError(
                    f"{self.path} holds a run of another recipe: {'; '.join(differing)}. "
                    "Resume with the recipe that is there, or choose another --out."
                )
        else:
            replace_file(self.recipe_path, text.encode("utf-8"))


def results_in(folder: Path) -> list[str]:
    """The names of what training has left in a folder; a recipe alone, of a run that never began, is nothing."""
    return [name for name in (HISTORY_NAME, CHECKPOINT_NAME, MODEL_NAME) if (folder / name).exists()]


def _set_values(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table without its unset values, for which TOML has no word."""
    return {
        key: _set_values(value) if isinstance(value, Mapping) else value
        for key, value in table.items()
        if value is not None
    }


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The table's values by dotted keys, as ``--set`` has them."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _shown(flat: Mapping[str, Any], key: str) -> str:
    return repr(flat[key]) if key in flat else "unset"
