"""The arguments of ``holdfast serve``: which model files are served under which names and versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import MissingDataError, ModelFileError, OptionError
from holdfast.files.container import MODEL_NAME

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
VERSION = r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}"
_NAMED = re.compile(rf"(?P<name>{NAME})(?:@(?P<version>{VERSION}))?=(?P<path>.+)", re.DOTALL)
_FIRST = "1"


@dataclass(frozen=True)
class Place:
    """A model to serve: its name, its version, and its file or folder."""

    name: str
    version: str
    path: Path


def places(arguments: Sequence[str]) -> list[Place]:
    """The models that some arguments name.

    Args:
        arguments: Each ``PATH``, ``NAME=PATH`` or ``NAME@VERSION=PATH``. A path is a model file, a run, or a folder of
            versions: of folders named by numbers, each with a model. Without a name, the name is that of the run or
            file; without a version, the version is 1.

    Raises:
        OptionError: A name is not allowed, or two models have the same name and version.
        MissingDataError: There is nothing at a path.
        ModelFileError: A folder of versions has a version without a model.
    """
    found = [place for argument in arguments for place in _places(argument)]
    seen: dict[tuple[str, str], Path] = {}
    for place in found:
        key = place.name, place.version
        if key in seen:
            raise OptionError(
                f"{seen[key]} and {place.path} are both the model {place.name!r} in version {place.version!r}; name "
                f"one of them by NAME=PATH or NAME@VERSION=PATH."
            )
        seen[key] = place.path
    return found


def _places(argument: str) -> Iterator[Place]:
    match = None if Path(argument).exists() else _NAMED.fullmatch(argument)
    path = Path(match["path"] if match else argument)
    if not path.exists():
        raise MissingDataError(f"There is no model {path}. Give a run, a model file, or NAME=PATH.")
    name = match["name"] if match else _name_of(path)
    if not re.fullmatch(NAME, name):
        raise OptionError(
            f"{path} would be served as {name!r}; expected a name of letters, digits, '.', '_' and '-'. Give it one by "
            "NAME=PATH."
        )
    versions = _versions(path)
    if match and match["version"]:
        if versions:
            raise OptionError(f"{path} is a folder of versions; name it by {name}={path}, without a version.")
        yield Place(name, match["version"], path)
    elif versions:
        yield from (Place(name, version.name, _model_in(version)) for version in versions)
    else:
        yield Place(name, _FIRST, path)


def _name_of(path: Path) -> str:
    path = path.resolve()
    return path.name if path.is_dir() else path.parent.name if path.name == MODEL_NAME else path.stem


def _versions(path: Path) -> list[Path]:
    """The folders of a folder of versions, the lowest version first; empty for any other path."""
    if not path.is_dir() or (path / MODEL_NAME).exists():
        return []
    return sorted((folder for folder in path.iterdir() if folder.name.isdecimal() and folder.is_dir()), key=_number)


def _number(folder: Path) -> int:
    return int(folder.name)


def _model_in(folder: Path) -> Path:
    """The run in a folder of a version, or the one file in it."""
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and not file.name.startswith(".")]
    if (folder / MODEL_NAME).exists() or len(files) != 1:
        if not (folder / MODEL_NAME).exists():
            raise ModelFileError(f"{folder} has {len(files)} files; expected {MODEL_NAME}, or one model file.")
        return folder
    return files[0]
