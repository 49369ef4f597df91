"""The sets in the cache: a folder per set, named by a digest of its sources and settings, and a lock beside it.

A process that needs a set prepares it while it holds the lock; others wait for it. A process that uses a set shares the
lock, so that it is not deleted meanwhile. The operating system frees the lock of a process that ends in any way.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from holdfast.data.disk.build import PROGRESS, Source, build
from holdfast.data.disk.store import DESCRIPTION, FORMAT, DamagedError, Description, Store
from holdfast.data.progress import byte_bars
from holdfast.data.sets.download import cache_dir
from holdfast.errors import DataError, HoldfastWarning, did_you_mean
from holdfast.files import lock as locks

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
        raise _unusable(folder.parent, error) from error
    told = False
    while True:
        lock = _Lock(folder)
        if lock.share():
            store = _opened(folder)
            if store is not None:
                if os.access(folder, os.W_OK):  # another person's cache may be for reading alone
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
    """Prepares a set. It has its description, and so can be used, only once it has been checked."""
    with byte_bars() as bars:
        if not bars.console.is_terminal:
            bars.console.print(f"Preparing {source.about} in {folder}", soft_wrap=True, highlight=False, markup=False)
        task = bars.add_task(f"Preparing {source.about}", total=source.total)
        build(folder, source, lambda done: bars.update(task, completed=done))
    try:
        if not _is_still(source, folder.name):
            raise DataError(f"{source.about} changed while it was read. Start again once nothing writes to it.")
        source.verify(Store(folder, PROGRESS))
    except DataError:
        (folder / PROGRESS).unlink()
        raise
    (folder / PROGRESS).replace(folder / DESCRIPTION)


def _is_still(source: Source, key: str) -> bool:
    """Whether a source is still what it was; not if a file of it was deleted."""
    try:
        return key_of(source.identity()) == key
    except FileNotFoundError:
        return False


def _unusable(cache: Path, error: OSError) -> DataError:
    return DataError(f"The cache {cache} cannot be used: {error.strerror}. Name another folder in HOLDFAST_CACHE.")


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
        return self._locked(locks.share)

    def take(self) -> bool:
        """Whether the set can be changed now."""
        return self._locked(locks.take)

    def release(self) -> None:
        """Frees it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        self.release()

    def _locked(self, how: Callable[[int], bool]) -> bool:
        """Locks the file by a function.

        Raises:
            DataError: There is no such file and it cannot be made, or the file system has no locks.
        """
        self.release()
        try:
            self._file = self._opened()
            # Another inode: the set was deleted meanwhile.
            with suppress(FileNotFoundError):
                if how(self._file) and os.fstat(self._file).st_ino == self._path.stat().st_ino:
                    return True
        except OSError as error:
            raise _unusable(self._path.parent, error) from error
        self.release()
        return False

    def _opened(self) -> int:
        """The file, for reading alone where it cannot be written: this is enough to share a set."""
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM) or not self._path.exists():
                raise
        return os.open(self._path, os.O_RDONLY)


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
        sizes = [_size(file) for file in folder.iterdir()]
        try:
            description, _ = Description.read(folder / DESCRIPTION)
            about, whole = description.about, True
        except DamagedError:
            about, whole = "", False
        found.append(Entry(folder.name, about, sum(sizes), folder.stat().st_mtime, whole))
    return sorted(found, key=lambda entry: -entry.used)


def _size(file: Path) -> int:
    """The bytes of a file; 0 where it is renamed at this moment, as the set is being prepared."""
    with suppress(FileNotFoundError):
        return file.stat().st_size
    return 0


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
