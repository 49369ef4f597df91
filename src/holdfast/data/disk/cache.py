"""The sets in the cache: a folder per set, named by a digest of its sources and settings, and a lock beside it.

A process that needs a set prepares it while it holds the lock; others wait for it. A process that uses a set shares the
lock, so that it is not deleted meanwhile. The operating system frees the lock of a process that ends in any way.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from holdfast.data.disk.build import Source, build
from holdfast.data.disk.progress import shown
from holdfast.data.disk.store import DESCRIPTION, FORMAT, DamagedError, Description, Store
from holdfast.data.sets.download import cache_dir
from holdfast.errors import DataError, HoldfastWarning, did_you_mean

_LOCK = ".lock"
_PAUSE = 0.1
"""Seconds between two looks at a lock."""


def sets_folder() -> Path:
    """The folder of all sets: ``prepared`` in the cache."""
    return cache_dir() / "prepared"


def key_of(identity: Any) -> str:
    """The name of a set: 32 hexadecimal digits of the SHA-256 of its sources and settings, and of the versions."""
    table = {"format": FORMAT, "holdfast": version("holdfast"), "set": identity}
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:32]


def files_identity(files: Sequence[Path]) -> list[list[Any]]:
    """What identifies the content of files: the path, the size and the time of the last change of each."""
    known = []
    for file in files:
        about = file.stat()
        known.append([str(file.resolve()), about.st_size, about.st_mtime_ns])
    return known


def prepared(source: Source) -> Store:
    """The set of a source: from the cache, or prepared now.

    Raises:
        DataError: The source cannot be read, or there is no room in the cache.
        MissingLibraryError: pyarrow is not installed.
    """
    folder = sets_folder() / key_of(source.identity())
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"The cache {folder.parent} cannot be used: {error.strerror}. Name another folder in HOLDFAST_CACHE."
        ) from error
    told = False
    while True:
        lock = _Lock(folder)
        if lock.share():
            store = _opened(folder)
            if store is not None:
                os.utime(folder)
                store.lock = lock  # until the store is no longer used
                return store
            lock.release()
        if lock.take():
            try:
                if _opened(folder) is None:
                    _prepare(folder, source)
            finally:
                lock.release()
            continue
        if not told:
            print(f"Waiting for another process, which prepares or uses {folder}", file=sys.stderr, flush=True)
            told = True
        time.sleep(_PAUSE)


def _prepare(folder: Path, source: Source) -> None:
    with shown(source.about, folder, source.total) as progress:
        build(folder, source, progress)
    try:
        if key_of(source.identity()) != folder.name:
            raise DataError(f"{source.about} changed while it was read. Start again once nothing writes to it.")
        source.verify(Store(folder))
    except DataError:
        (folder / DESCRIPTION).unlink()
        raise


def _opened(folder: Path) -> Store | None:
    """The set in a folder; None if there is none, or a damaged one, which is then discarded."""
    if not (folder / DESCRIPTION).exists():
        return None
    try:
        return Store(folder)
    except DamagedError as error:
        (folder / DESCRIPTION).unlink(missing_ok=True)
        warnings.warn(
            f"The prepared data in {folder} are damaged ({error}); they are prepared again.",
            HoldfastWarning,
            stacklevel=2,
        )
        return None


class InUseError(DataError):
    """A process uses a set."""


class _Lock:
    """The lock of a set: many processes share it, or one has it."""

    def __init__(self, folder: Path) -> None:
        self._path, self._file = folder.with_name(folder.name + _LOCK), -1

    def share(self) -> bool:
        """Whether the set can be used now."""
        return self._locked(fcntl.LOCK_SH)

    def take(self) -> bool:
        """Whether the set can be changed now."""
        return self._locked(fcntl.LOCK_EX)

    def release(self) -> None:
        """Frees it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        self.release()

    def _locked(self, how: int) -> bool:
        self.release()
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, how | fcntl.LOCK_NB)
            if os.fstat(self._file).st_ino == self._path.stat().st_ino:  # else the set was deleted meanwhile
                return True
        except (BlockingIOError, FileNotFoundError):
            pass
        self.release()
        return False


@dataclass(frozen=True)
class Entry:
    """A set in the cache.

    Attributes:
        key: Its name.
        about: Where it came from; empty if it is not whole.
        size: The bytes of its files.
        used: When it was last used, in seconds since 1970.
        whole: Whether its preparation has ended.
    """

    key: str
    about: str
    size: int
    used: float
    whole: bool


def entries() -> list[Entry]:
    """The sets in the cache, the one used last first."""
    root = sets_folder()
    folders = [folder for folder in root.iterdir() if folder.is_dir()] if root.is_dir() else []
    found = []
    for folder in folders:
        sizes = [file.stat().st_size for file in folder.iterdir() if file.is_file()]
        try:
            description, _ = Description.read(folder / DESCRIPTION)
            about, whole = description.about, True
        except DamagedError:
            about, whole = "", False
        found.append(Entry(folder.name, about, sum(sizes), folder.stat().st_mtime, whole))
    return sorted(found, key=lambda entry: -entry.used)


def delete(key: str) -> Entry:
    """Deletes a set.

    Args:
        key: Its name, or the beginning of it.

    Raises:
        DataError: There is no such set, or the beginning fits several.
        InUseError: A process uses it.
    """
    known = entries()
    matching = [entry for entry in known if entry.key.startswith(key)]
    if len(matching) != 1 or not key:
        names = [entry.key for entry in known]
        raise DataError(
            f"{len(matching)} prepared sets have names that begin with {key!r}; expected one. "
            f"{did_you_mean(key, names) if names else 'The cache is empty.'}"
        )
    (entry,) = matching
    folder = sets_folder() / entry.key
    lock = _Lock(folder)
    if not lock.take():
        raise InUseError(
            f"A process uses the prepared data {entry.key}. Wait until it has ended, and delete them then."
        )
    try:
        (folder / DESCRIPTION).unlink(missing_ok=True)  # first: what is left of a set is never taken for a whole one
        shutil.rmtree(folder)
        folder.with_name(folder.name + _LOCK).unlink()
    finally:
        lock.release()
    return entry
