"""Recipes: loads them by name or file, overrides single values, and explains what is wrong with a recipe."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from importlib import import_module, resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from holdfast.errors import RecipeError, did_you_mean
from holdfast.settings import NUMBER, Recipe, Settings
from holdfast.tasks import NAMES

RECIPES: dict[str, type[Recipe]] = {name: import_module(f"holdfast.tasks.{name}.settings").RECIPE for name in NAMES}
"""The class of a recipe, by task."""

Table = TypeVar("Table", bound=Settings)


def names() -> list[str]:
    """The names of the recipes in this package."""
    files = resources.files("holdfast.recipes").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def text(name: str) -> str:
    """The TOML text of a recipe in this package.

    Raises:
        RecipeError: There is no recipe with that name.
    """
    if name not in names():
        raise RecipeError(f"There is no recipe {name!r}: {did_you_mean(name, names())} A path ends in .toml.")
    return resources.files("holdfast.recipes").joinpath(f"{name}.toml").read_text("utf-8")


def load(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """Loads a recipe by name or from a TOML file, and overrides single values.

    Args:
        source: The name of a recipe in this package, or the path of a TOML file.
        overrides: Items such as ``"table.key=value"``, with the value as in TOML; a string needs no quotes.

    Raises:
        RecipeError: There is no such recipe or file, it is not TOML, or a key or value is not allowed.
    """
    content = _file_text(source) if source.endswith(".toml") else text(source)
    try:
        table = tomllib.loads(content)
    except RecursionError as error:
        raise RecipeError(f"The recipe {source} cannot be read as TOML: its values are nested too deeply.") from error
    except ValueError as error:  # also of a number with thousands of digits
        raise RecipeError(f"The recipe {source} is not TOML: {error}.") from error
    changes = dict(map(parsed, overrides))
    for key, value in changes.items():
        _set(table, key, value)
    recipe = from_dict(table, source)
    if recipe.train.limit != "small" or not recipe.small:
        return recipe
    for key, value in {**recipe.small, **changes}.items():  # overrides come last
        _set(table, key, value)
    return from_dict({**table, "small": {}}, source)  # applied: the run must not apply it again


def _file_text(source: str) -> str:
    """The text of a recipe file."""
    try:
        return Path(source).read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise RecipeError(
            f"There is no recipe file {source}. Check the path; `holdfast recipes` lists the names."
        ) from error
    except OSError as error:
        raise RecipeError(f"The recipe {source} cannot be read: {error.strerror}. Give a TOML file.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"The recipe {source} is not UTF-8 text (byte {error.start + 1}). Save it as UTF-8, which TOML requires."
        ) from error


def from_dict(table: Mapping[str, Any], source: str) -> Recipe:
    """A recipe from its TOML tables.

    Args:
        table: The parsed TOML.
        source: The name or file of the recipe, for messages.

    Raises:
        RecipeError: A key or value is not allowed, or the task is unknown.
    """
    task = table.get("task", "classify")
    if not isinstance(task, str) or task not in RECIPES:
        raise RecipeError(
            f"The recipe {source} cannot be used: task is {_shown(task)}: {did_you_mean(str(task), RECIPES)}"
        )
    return validated(RECIPES[task], table, f"The recipe {source} cannot be used: ")


def changed(settings: Table, overrides: Sequence[str]) -> Table:
    """A copy of a table of a recipe with single values overridden.

    Args:
        settings: The table.
        overrides: Items such as ``"key=value"``, with the value as in TOML; a string needs no quotes.

    Raises:
        RecipeError: A key or value is not allowed.
    """
    table = settings.model_dump(mode="json")
    for override in overrides:
        _set(table, *parsed(override))
    return validated(type(settings), table, "")


def validated(kind: type[Table], table: Mapping[str, Any], before: str) -> Table:
    """Validates a table.

    Args:
        kind: Its class.
        table: The values, by name.
        before: The beginning of the message.

    Raises:
        RecipeError: Keys or values are not allowed; the message names all of them.
    """
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        faults = [_fault(kind, e["loc"], e["type"], e["msg"], e["input"]) for e in error.errors()]
        raise RecipeError(before + " ".join(faults)) from error


def parsed(override: str) -> tuple[str, Any]:
    """The key and the value of ``key=value``.

    Args:
        override: ``key=value``, with the value as in TOML; a string needs no quotes.

    Raises:
        RecipeError: It is not of this form, or its value is too deeply nested.
    """
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"The override {override!r} is not of the form key=value, such as train.epochs=5.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()  # a string without quotes, such as train.optimizer=SGD
    except (ValueError, RecursionError) as error:
        raise RecipeError(
            f"The value of {key.strip()} cannot be read: it has too many digits or is nested too deeply."
        ) from error


def _set(table: dict[str, Any], key: str, value: Any) -> None:
    """Sets the value of a dotted key."""
    *parents, last = key.split(".")
    for parent in parents:
        inner = table.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"The key {key!r} is below {parent!r}, which is a value and not a table.")
        table = inner
    table[last] = value


def _fault(kind: type[Settings], place: tuple[int | str, ...], error: str, message: str, value: Any) -> str:
    """One sentence about one fault of a table."""
    or_auto = place[-1:] == (NUMBER,)
    place = place[:-1] if or_auto else place
    key = ".".join(str(part) for part in place)
    if error == "extra_forbidden":
        fields = _fields_at(kind, place[:-1])
        elsewhere = keys(kind, str(place[-1]))
        if elsewhere and not difflib.get_close_matches(str(place[-1]), fields, n=1):
            return f"There is no key {key!r}: did you mean {' or '.join(elsewhere)}?"
        return f"There is no key {key!r}: {did_you_mean(str(place[-1]), fields)}"
    if error == "missing":
        return f"The key {key!r} is missing."
    ending = ', or "auto"' if or_auto else ""
    return f"{key} is {_shown(value)}: {message[0].lower()}{message[1:]}{ending}."


def keys(kind: type[BaseModel], last: str) -> list[str]:
    """The dotted keys of a recipe whose last part is this word.

    Args:
        kind: The class of the recipe.
        last: The word, such as ``epochs``.
    """
    matches = []
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if name == last:
            matches.append(name)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            matches += [f"{name}.{key}" for key in keys(inner, last)]
    return matches


def _shown(value: Any) -> str:
    """A value of any kind and size, shortened for a message."""
    try:
        text = repr(value)
    except ValueError:
        return "a number with thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _fields_at(kind: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The allowed keys of the table at ``place``."""
    for part in place:
        inner = kind.model_fields[str(part)].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            raise TypeError(f"{part} is no table, so it has no unknown keys")
        kind = inner
    return list(kind.model_fields)
