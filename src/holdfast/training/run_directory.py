"""The folder of a run: its recipe, history, checkpoint and model, and the lock that keeps a second process out.

``data.toml`` in it says where the data lay: the folder, and the way to it from the run, in case both are moved.
"""

from __future__ import annotations

import difflib
import fcntl
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from holdfast.errors import MissingDataError, RunError
from holdfast.files.container import MODEL_NAME
from holdfast.training.sealed import read_sealed, write_sealed

RECIPE_NAME = "recipe.toml"
HISTORY_NAME = "history.jsonl"
CHECKPOINT_NAME = "checkpoint.safetensors"
_LOCK, _DATA = ".lock", "data.toml"


class RunDirectory:
    """A folder to train into, locked until it is closed or the process ends, however it ends.

    Args:
        path: The folder; it is made if need be.
        recipe: The recipe as resolved: what TOML can hold, and None for what is unset.
        resume: Go on with the run that is there, be it one that was killed before its first update.
        data_dir: The folder that the data lie in, to be remembered; None for what an earlier session remembered.

    Raises:
        RunError: Another process trains into the folder; there is a run and ``resume`` is off; there is none and it is
            on; or the run there has another recipe.
    """

    def __init__(
        self, path: Path | str, recipe: Mapping[str, Any], *, resume: bool = False, data_dir: Path | None = None
    ) -> None:
        self.path = Path(path)
        self.recipe_path = self.path / RECIPE_NAME
        self.history_path = self.path / HISTORY_NAME
        self.checkpoint_path = self.path / CHECKPOINT_NAME
        self.model_path = self.path / MODEL_NAME
        if resume and not is_run(self.path):
            raise RunError(f"There is no run in {self.path}{_near(self.path)} Leave out --resume to start one there.")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise RunError(f"{self.path} cannot be used for a run: {error.strerror}. Choose another --out.") from error
        try:
            self._take_lock()
            self._settle_recipe(recipe, resume)
            if data_dir is not None:
                remember_data(self.path, data_dir)
            for leftover in self.path.glob(".*.tmp"):  # of a write that was killed
                if leftover.is_file():
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
        found = results_in(self.path)
        if found and not resume:
            raise RunError(
                f"{self.path} already holds a run ({', '.join(found)}). "
                f"Go on with it by `{resume_command(self.path)}`, or choose another --out."
            )
        if resume and self.recipe_path.exists():
            stored, given = _flat(read_sealed(self.recipe_path)), _flat(recipe)
            differing = [
                f"{key} = {_shown(stored, key)} there, {_shown(given, key)} here"
                for key in sorted(stored.keys() | given.keys())
                if _shown(stored, key) != _shown(given, key)
            ]
            if differing:
                raise RunError(
                    f"{self.path} holds a run of another recipe: {'; '.join(differing)}. "
                    f"Go on with the one that is there by `{resume_command(self.path)}`, or choose another --out."
                )
        else:
            write_sealed(self.recipe_path, recipe)


def results_in(folder: Path) -> list[str]:
    """The names of what training has left in a folder; a recipe alone, of a run that never began, is nothing."""
    return [name for name in (HISTORY_NAME, CHECKPOINT_NAME, MODEL_NAME) if (folder / name).exists()]


def resume_command(folder: Path) -> str:
    """The command that goes on with the run in a folder, with the recipe that it was begun with."""
    return f"holdfast train {shlex.quote(str(folder / RECIPE_NAME))} --out {shlex.quote(str(folder))} --resume"


def is_run(folder: Path) -> bool:
    """Whether training has begun in a folder, be it that it came to nothing."""
    return any((folder / name).exists() for name in (_LOCK, RECIPE_NAME)) or bool(results_in(folder))


def remember_data(run: Path, data_dir: Path) -> None:
    """Notes in the folder of a run where its data lie.

    Raises:
        RunError: The note cannot be written.
    """
    folder = data_dir.resolve()
    way = os.path.relpath(folder, run.resolve())
    write_sealed(run / _DATA, {"folder": str(folder), "from_here": way})


def data_folder(run: Path) -> Path | None:
    """The folder that the data of a run lie in; None for a run whose data needed none, or that noted none.

    Raises:
        MissingDataError: It is gone.
        RunError: The note is damaged.
    """
    note = run / _DATA
    if not note.exists():
        return None
    said = read_sealed(note)
    try:
        places: list[Path] = [Path(said["folder"]), run.resolve() / said["from_here"]]
    except (KeyError, TypeError) as error:
        raise RunError(f"{note} does not say where the data are. Name their folder by --data-dir.") from error
    for place in places:
        if place.is_dir():
            return place
    raise MissingDataError(
        f"The data of {run} were in {places[0]}, which is not there any more. Name the folder that they are in now by "
        "--data-dir."
    )


def _near(path: Path) -> str:
    """What there is instead of a run: the ones beside it, those of a like name first."""
    runs = sorted(one.name for one in path.parent.iterdir() if is_run(one)) if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, runs, n=3) or runs[:3]
    return f"; near it are {', '.join(str(path.with_name(name)) for name in near)}." if near else "."


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The table's values by dotted keys, as ``--set`` has them."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None:
            flat[prefix + key] = value
    return flat


def _shown(flat: Mapping[str, Any], key: str) -> str:
    return repr(flat[key]) if key in flat else "unset"
