"""The parts of a run of scoring: which there are, which are done, and what they belong to."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from holdfast.errors import DataError, OptionError
from holdfast.files.inside import files_inside
from holdfast.scoring.formats import Format, join

_MANIFEST = "_scoring.json"  # readers of folders of Parquet skip names that begin with an underscore
_VERSION = 1
_PART = re.compile(r"part-[0-9]{6,}\.(parquet|csv|jsonl)")


@dataclass(frozen=True)
class Shard:
    """A part of the work: number ``index`` of ``count``, from 1.

    Raises:
        OptionError: There is no such part.
    """

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise OptionError(f"--shard is {self.index}/{self.count}; expected I/N, such as 2/4, with I from 1 to N.")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """A shard from ``I/N``.

        Raises:
            OptionError: It is not of this form, or there is no such part.
        """
        index, slash, count = text.partition("/")
        if not slash or not index.strip().isdecimal() or not count.strip().isdecimal():
            raise OptionError(f"--shard is {text!r}; expected I/N, such as 2/4, with I from 1 to N.")
        return cls(int(index), int(count))

    def of(self, parts: int) -> range:
        """The numbers of its parts: the shards, one after another, are all of them."""
        return range(parts * (self.index - 1) // self.count, parts * self.index // self.count)


class Parts:
    """A folder of parts, each written under another name and then renamed, so that it is there whole or not at all.

    Args:
        out: A file, which the parts become, or their folder.
        format: The format.
        single: Whether ``out`` is a file; the parts are then in ``OUT.parts`` until all are done.
    """

    def __init__(self, out: Path, format: Format, *, single: bool) -> None:
        self.out, self.format, self.single = out, format, single
        self.folder = out.with_name(f"{out.name}.parts") if single else out
        self._manifest, self._work = self.folder / _MANIFEST, dict[str, Any]()

    def begin(self, settings: Mapping[str, Any], *, force: bool) -> None:
        """Makes the folder, or checks that it holds parts of the same work.

        Args:
            settings: What the answers depend on.
            force: Whether to delete other answers.

        Raises:
            OptionError: There are other answers, and ``force`` is not set; or the folder cannot be written.
        """
        text = json.dumps({"version": _VERSION, **settings}, ensure_ascii=True, indent=1, sort_keys=True)
        self._work = json.loads(text)
        self._clean()
        present = self._present()  # before the manifest: another share may write it now
        if self._manifest.exists():
            before = _read(self._manifest)
            if before == self._work:
                return
            if not force:
                differing = [name for name, value in self._work.items() if name not in before or before[name] != value]
                raise OptionError(
                    f"{self.folder} has answers of other work: {', '.join(differing)} changed. Choose another --out, "
                    "or replace them with --force."
                )
            self._discard()
        elif present:
            raise OptionError(f"{self.folder} exists, and holds no answers. Choose another --out.")
        if self.single and self.out.exists() and not force:
            raise OptionError(f"{self.out} already exists. Choose another --out, or replace it with --force.")
        with _writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._write(self._manifest, lambda file: file.write(text.encode()))

    def _present(self) -> bool:
        """Whether there is something else than an empty folder, or one in which another share begins."""
        if not self.folder.is_dir():
            return self.folder.exists()
        return any(not path.name.endswith(".tmp") for path in self.folder.iterdir())

    def path(self, number: int) -> Path:
        """The file of a part."""
        return self.folder / f"part-{number:06d}.{self.format}"

    def done(self, number: int) -> bool:
        """Whether a part is complete."""
        return self.path(number).exists()

    def write(self, number: int, content: Callable[[IO[bytes]], Any]) -> None:
        """Writes a part by a function that takes a binary file.

        Raises:
            OptionError: Another process has ended or replaced the work, or there is no room.
        """
        if _read(self._manifest) != self._work:
            raise OptionError(
                f"Another process has ended the work in {self.folder}, or replaced it with other work. Start one "
                "process for each --out, or one for each --shard."
            )
        self._write(self.path(number), content)

    def finish(self, numbers: Sequence[int], rows: int) -> None:
        """Makes the file of the parts, and deletes these; a folder stays as it is.

        Args:
            numbers: The parts of the file; all are done.
            rows: Rows of a row group, in Parquet.

        Raises:
            OptionError: There is no room.
            DataError: The parts have columns of different types.
        """
        if not self.single:
            return
        temporary = _temporary(self.folder / self.out.name)
        with _writing(self.out, temporary):
            join([self.path(number) for number in numbers], temporary, self.format, rows)
            _publish(temporary, self.out)
        unneeded = self.folder.rename(_temporary(self.folder))  # at once: a folder of some parts would be puzzling
        shutil.rmtree(unneeded)

    def _write(self, path: Path, content: Callable[[IO[bytes]], Any]) -> None:
        temporary = _temporary(path)
        with _writing(path, temporary):
            with temporary.open("wb") as file:
                content(file)
            _publish(temporary, path)

    def _discard(self) -> None:
        """Deletes the parts of other work, and nothing else; what says whose they are last."""
        for path in self.folder.iterdir():
            if _PART.fullmatch(path.name):
                path.unlink(missing_ok=True)
        self._manifest.unlink(missing_ok=True)

    def _clean(self) -> None:
        """Deletes what processes of this machine left that were stopped while they wrote."""
        for path in [*_left(self.folder), *(_left(self.out.parent, self.folder.name) if self.single else ())]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def described_file(path: Path) -> dict[str, Any]:
    """What tells a file or a folder from another one: its path, size and time of change.

    Raises:
        DataError: It cannot be read.
    """
    try:
        files = [path] if path.is_file() else files_inside(path)
        digest, size = hashlib.sha256(), 0
        for file in files:
            about = file.stat()
            size += about.st_size
            digest.update(os.fsencode(file.relative_to(path)) + f"\0{about.st_size}\0{about.st_mtime_ns}\n".encode())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    return {"path": str(path.absolute()), "bytes": size, "digest": digest.hexdigest()}


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def changed(name: str) -> DataError:
    """The error for a file that is not the same at the end as at the beginning."""
    return DataError(
        f"{name} changed while it was read, so the answers belong to no single file. Start again with --force once "
        "nothing writes to it."
    )


def _read(manifest: Path) -> dict[str, Any]:
    """What parts belong to; empty if nothing says so."""
    try:
        content = json.loads(manifest.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}.tmp")


def _left(folder: Path, name: str = "") -> list[Path]:
    """What processes of this machine that have ended left in a folder: all, or that of a file or folder of a name."""
    start = f".{glob.escape(name) or '*'}.{glob.escape(socket.gethostname())}-"
    found = [(path, path.name.removesuffix(".tmp").rpartition("-")[2]) for path in folder.glob(f"{start}*.tmp")]
    return [path for path, process in found if process.isdecimal() and not _runs(int(process))]


def _runs(process: int) -> bool:
    """Whether a process of this machine runs; where that cannot be asked, it is taken to run."""
    if os.name != "posix":  # Windows would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextmanager
def _writing(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turns an error of writing into one sentence, and removes what was written.

    Raises:
        OptionError: The file cannot be written.
    """
    try:
        yield
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise OptionError(
            f"{path} cannot be written: {error.strerror or error}. Make room there, or choose another --out. The parts "
            "that are done are kept."
        ) from error


def _publish(temporary: Path, path: Path) -> None:
    """Renames a complete file to its name, after its bytes are on the disk."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
