"""The folder of a run: recipe, history, checkpoint, model, and a lock against a second process.

``data.toml`` remembers the folder of the data, absolute and relative to the run, in case both are moved.
"""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from holdfast.errors import MissingDataError, RunError
from holdfast.files import lock
from holdfast.files.container import MODEL_NAME
from holdfast.training.sealed import read_sealed, write_sealed

RECIPE_NAME = "recipe.toml"
HISTORY_NAME = "history.jsonl"
CHECKPOINT_NAME = "checkpoint.safetensors"
RESULTS_NAME = "results.toml"
_LOCK, _DATA = ".lock", "data.toml"


class RunDirectory:
    """A folder to train into. It is locked until it is closed or the process ends.

    Args:
        path: The folder; it is created if it is not there.
        recipe: The recipe, as TOML values, with None for what is not set.
        resume: Resume the run in the folder, even if it was killed before its first update.
        data_dir: The folder of the data, to remember; None keeps the one that is remembered.
        defaults: The values of a recipe that sets nothing. A stored recipe may lack a field that has its default, as
            older versions had fewer fields.
        before: What runs did before a field existed, by dotted keys, where its default does something else.
        watch: Only read: another process, which trains together with this one, has the folder and its lock.

    Attributes:
        recipe: The recipe. In a run that is resumed, ``auto`` is replaced by the value that the run has chosen.

    Raises:
        RunError: Another process trains into the folder; there is a run and ``resume`` is off; there is no run and
            ``resume`` is on; or the run has another recipe.
    """

    def __init__(
        self,
        path: Path | str,
        recipe: Mapping[str, Any],
        *,
        resume: bool = False,
        data_dir: Path | None = None,
        defaults: Mapping[str, Any] | None = None,
        before: Mapping[str, Any] | None = None,
        watch: bool = False,
    ) -> None:
        self.path = Path(path)
        self.recipe_path = self.path / RECIPE_NAME
        self.history_path = self.path / HISTORY_NAME
        self.checkpoint_path = self.path / CHECKPOINT_NAME
        self.model_path = self.path / MODEL_NAME
        self._lock, self._before = -1, before or {}
        if watch:
            self.recipe: Mapping[str, Any] = with_choices(recipe, self._stored_recipe()) if resume else recipe
            return
        if resume and not is_run(self.path):
            raise RunError(f"There is no run in {self.path}{_near(self.path)} Leave out --resume to start one there.")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise RunError(f"{self.path} cannot be used for a run: {error.strerror}. Choose another --out.") from error
        try:
            self._take_lock()
            self.recipe = self._settle_recipe(recipe, resume, defaults or {})
            if data_dir is not None:
                remember_data(self.path, data_dir)
            for leftover in self.path.glob(".*.tmp"):  # of a write that was killed
                if leftover.is_file():
                    leftover.unlink()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Releases the lock."""
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
        taken = lock.take(self._lock)
        os.lseek(self._lock, 0, os.SEEK_SET)
        if not taken:
            holder = os.read(self._lock, 20).decode("ascii", "replace").strip()
            raise RunError(
                f"{self.path} is in use: process {holder or 'unknown'} trains into it. "
                "Wait until it has ended, or choose another --out."
            )
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode("ascii"))

    def store_recipe(self, recipe: Mapping[str, Any]) -> None:
        """Replaces the stored recipe by one in which fewer values are ``auto``.

        Raises:
            RunError: The file cannot be written.
        """
        if recipe != self.recipe:
            write_sealed(self.recipe_path, recipe)
            self.recipe = recipe

    def settle_content(self, digest: str, *, write: bool) -> None:
        """Remembers the content of data on disk, and compares it with the content that the run began with.

        Args:
            digest: The digest of the content.
            write: Whether to write it, where the run does not have one.

        Raises:
            RunError: The data have changed.
        """
        note = self.path / _DATA
        table = read_sealed(note) if note.exists() else {}
        if table.setdefault("content", digest) != digest:
            raise RunError(
                f"The data have changed since the run in {self.path} began: their content has another digest. Restore "
                "them, or start again with another --out."
            )
        if write:
            write_sealed(note, table)

    def _stored_recipe(self) -> dict[str, Any]:
        """The recipe of the run in the folder, with what an older version did for fields that it did not have."""
        stored = dict(read_sealed(self.recipe_path))
        for key, value in self._before.items():
            table, _, name = key.partition(".")
            stored[table] = {name: value, **stored.get(table, {})}
        return stored

    def _settle_recipe(self, recipe: Mapping[str, Any], resume: bool, defaults: Mapping[str, Any]) -> Mapping[str, Any]:
        results = results_in(self.path)
        if results and not resume:
            raise RunError(
                f"{self.path} already holds a run ({', '.join(results)}). "
                f"Resume it by `{resume_command(self.path)}`, or choose another --out."
            )
        if resume and self.recipe_path.exists():
            table = self._stored_recipe()
            recipe = with_choices(recipe, table)
            stored, current = flattened(table), flattened(recipe)
            new = flattened(defaults)  # of fields that an older version did not have
            differing = [
                f"{key} = {_shown(stored, key)} there, {_shown(current, key)} here"
                for key in sorted(stored.keys() | current.keys())
                if _shown(stored, key) != _shown(current, key)
                and not (key not in stored and _shown(current, key) == _shown(new, key))
            ]
            if differing:
                raise RunError(
                    f"{self.path} holds a run of another recipe: {'; '.join(differing)}. "
                    f"Resume that run by `{resume_command(self.path)}`, or choose another --out."
                )
        else:
            write_sealed(self.recipe_path, recipe)
        return recipe


def results_in(folder: Path) -> list[str]:
    """The names of the files that training has left in a folder, without the recipe."""
    return [name for name in (HISTORY_NAME, CHECKPOINT_NAME, MODEL_NAME) if (folder / name).exists()]


def resume_command(folder: Path) -> str:
    """The command that resumes the run in a folder, with its own recipe."""
    return f"holdfast train {shlex.quote(str(folder / RECIPE_NAME))} --out {shlex.quote(str(folder))} --resume"


def is_run(folder: Path) -> bool:
    """Whether training has begun in a folder, even without a result."""
    return any((folder / name).exists() for name in (_LOCK, RECIPE_NAME)) or bool(results_in(folder))


def remember_data(run: Path, data_dir: Path) -> None:
    """Writes the folder of the data into the folder of a run.

    Raises:
        RunError: The file cannot be written.
    """
    folder, note = data_dir.resolve(), run / _DATA
    relative = os.path.relpath(folder, run.resolve())
    kept = read_sealed(note) if note.exists() else {}
    write_sealed(note, {**kept, "folder": str(folder), "from_here": relative})


def data_folder(run: Path) -> Path | None:
    """The folder of the data of a run; None for a run that needs none or remembers none.

    Raises:
        MissingDataError: The folder is not there any more.
        RunError: The file that remembers it is damaged.
    """
    note = run / _DATA
    if not note.exists():
        return None
    places_noted = read_sealed(note)
    if places_noted.keys() == {"content"}:
        return None
    try:
        places: list[Path] = [Path(places_noted["folder"]), run.resolve() / places_noted["from_here"]]
    except (KeyError, TypeError) as error:
        raise RunError(f"{note} does not say where the data are. Name their folder with --data-dir.") from error
    for place in places:
        if place.is_dir():
            return place
    raise MissingDataError(
        f"The data of {run} were in {places[0]}, which is not there any more. Name the folder where they are now with "
        "--data-dir."
    )


def _near(path: Path) -> str:
    """The end of a message about a missing run: the runs beside it, similar names first."""
    runs = sorted(folder.name for folder in path.parent.iterdir() if is_run(folder)) if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, runs, n=3) or runs[:3]
    return f"; near it are {', '.join(str(path.with_name(name)) for name in near)}." if near else "."


def with_choices(recipe: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with the stored value wherever it says ``auto``."""
    chosen: dict[str, Any] = {}
    for key, value in recipe.items():
        inner = stored.get(key)
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            chosen[key] = with_choices(value, inner)
        else:
            chosen[key] = inner if value == "auto" and inner is not None else value
    return chosen


def flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested tables by dotted keys, as in ``--set``."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        elif value is not None:
            flat[prefix + key] = value
    return flat


def _shown(flat: Mapping[str, Any], key: str) -> str:
    return repr(flat[key]) if key in flat else "unset"
