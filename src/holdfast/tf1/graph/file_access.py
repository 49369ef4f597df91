"""``tf.gfile``: files and folders."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar

from holdfast.tf1.graph.failures import AlreadyExistsError, NotFoundError, OpError
from holdfast.tf1.graph.names import public, publish

F = TypeVar("F", bound=Callable[..., Any])


def _with_errors_of_tensorflow(function: F) -> F:
    """``function``, with ``tf.errors.NotFoundError`` for a file that is not there."""

    @wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except OpError:
            raise
        except FileNotFoundError as error:
            raise NotFoundError(None, None, f"{error.filename}; No such file or directory") from None
        except FileExistsError as error:
            raise AlreadyExistsError(None, None, f"{error.filename}; file already exists") from None

    return checked  # type: ignore[return-value]


@public("gfile.GFile", "gfile.FastGFile", "gfile.Open", "io.gfile.GFile")
class GFile:
    """An open file; text in UTF-8, or bytes if ``mode`` has a ``b``. It is opened at its first use.

    Args:
        name: Its path.
        mode: As for Python's ``open``.

    Raises:
        NotFoundError: At its first use: there is no such file.
    """

    def __init__(self, name: Any, mode: str = "r") -> None:
        self.name, self.mode = os.fspath(name), mode
        self._file: Any = None

    @_with_errors_of_tensorflow
    def _opened(self) -> Any:
        if self._file is None:
            self._file = open(self.name, self.mode, encoding=None if "b" in self.mode else "utf-8")  # noqa: SIM115
        return self._file

    def read(self, n: int = -1) -> Any:
        """The next ``n`` characters or bytes; all that are left for -1."""
        return self._opened().read(n)

    def readline(self) -> Any:
        """The next line, with its end."""
        return self._opened().readline()

    def readlines(self) -> list[Any]:
        """The lines that are left."""
        return list(self._opened())

    def write(self, file_content: Any) -> None:
        """Writes text, or bytes."""
        self._opened().write(file_content)

    def seek(self, offset: int = 0, whence: int = 0, position: int | None = None) -> None:
        """Goes to another place of the file."""
        self._opened().seek(offset if position is None else position, whence)

    def tell(self) -> int:
        """The place in the file."""
        return int(self._opened().tell())

    def flush(self) -> None:
        """Writes what waits."""
        self._opened().flush()

    def size(self) -> int:
        """The bytes of the file."""
        return _size(self.name)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._opened())

    def __next__(self) -> Any:
        return next(self._opened())

    def __enter__(self) -> GFile:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()  # programs leave files open: GFile(path).read()


@_with_errors_of_tensorflow
def _size(path: Any) -> int:
    return os.path.getsize(path)


@public("gfile.Stat")
@_with_errors_of_tensorflow
def Stat(filename: Any) -> Any:
    """The ``length`` of a file and ``mtime_nsec``, when it was changed."""
    found = os.stat(filename)

    class FileStatistics:
        length, mtime_nsec, is_directory = found.st_size, found.st_mtime_ns, os.path.isdir(filename)

    return FileStatistics()


publish(os.path.exists, "gfile.Exists")
publish(os.path.isdir, "gfile.IsDirectory")


@public("gfile.MakeDirs")
def MakeDirs(dirname: Any) -> None:
    """Makes a folder and those above it, unless it exists."""
    os.makedirs(dirname, exist_ok=True)


@public("gfile.MkDir")
@_with_errors_of_tensorflow
def MkDir(dirname: Any) -> None:
    """Makes one folder; the folder above it must exist."""
    os.mkdir(dirname)


@public("gfile.Glob")
def Glob(filename: Any) -> list[str]:
    """The paths that match a pattern, or several, in order."""
    patterns = [filename] if isinstance(filename, str | os.PathLike) else list(filename)
    return [path for pattern in patterns for path in sorted(glob.glob(os.fspath(pattern)))]


@public("gfile.ListDirectory")
@_with_errors_of_tensorflow
def ListDirectory(dirname: Any) -> list[str]:
    """The names in a folder, in order."""
    return sorted(os.listdir(dirname))


@public("gfile.Walk")
def Walk(top: Any, in_order: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each folder below ``top``, with the names of the folders and of the files in it."""
    yield from os.walk(top, topdown=in_order)


@public("gfile.Remove")
@_with_errors_of_tensorflow
def Remove(filename: Any) -> None:
    """Deletes a file."""
    os.remove(filename)


@public("gfile.DeleteRecursively")
@_with_errors_of_tensorflow
def DeleteRecursively(dirname: Any) -> None:
    """Deletes a folder with all that is in it."""
    shutil.rmtree(dirname)


@public("gfile.Copy")
@_with_errors_of_tensorflow
def Copy(oldpath: Any, newpath: Any, overwrite: bool = False) -> None:
    """Copies a file.

    Raises:
        AlreadyExistsError: There is one at ``newpath``, and ``overwrite`` is False.
    """
    _check_free(newpath, overwrite)
    shutil.copyfile(oldpath, newpath)


@public("gfile.Rename")
@_with_errors_of_tensorflow
def Rename(oldname: Any, newname: Any, overwrite: bool = False) -> None:
    """Renames a file or a folder.

    Raises:
        AlreadyExistsError: There is one at ``newname``, and ``overwrite`` is False.
    """
    _check_free(newname, overwrite)
    os.replace(oldname, newname)


def _check_free(path: Any, overwrite: bool) -> None:
    if not overwrite and os.path.exists(path):
        raise AlreadyExistsError(None, None, f"{os.fspath(path)} exists; expected none, or overwrite=True.")
