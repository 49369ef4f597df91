"""Recipes: finding one by name or file, overriding single values, and saying clearly what is wrong with one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from holdfast.errors import RecipeError, did_you_mean
from holdfast.recipes.schema import Recipe


def names() -> list[str]:
    """The names of the recipes that come with Holdfast."""
    files = resources.files("holdfast.recipes").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def text(name: str) -> str:
    """The TOML text of a recipe that comes with Holdfast.

    Raises:
        RecipeError: There is no recipe of that name.
    """
    if name not in names():
        raise RecipeError(f"There is no recipe {name!r}: {did_you_mean(name, names())} A path ends in .toml.")
    return resources.files("holdfast.recipes").joinpath(f"{name}.toml").read_text("utf-8")


def load(source: str, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe by its name or from a TOML file, with single values overridden.

    Args:
        source: The name of a recipe that comes with Holdfast, or the path of a TOML file.
        overrides: ``"table.key=value"`` each, the value as in TOML; a string needs no quotes.

    Raises:
        RecipeError: There is no such recipe or file, it is not TOML, or a key or value is not allowed.
    """
    path = Path(source)
    if path.suffix == ".toml":
        if not path.is_file():
            raise RecipeError(f"There is no recipe file {source}. Check the path; `holdfast recipes` lists the names.")
        content = path.read_text("utf-8")
    else:
        content = text(source)
    try:
        table = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"The recipe {source} is not TOML: {error}.") from error
    for override in overrides:
        _override(table, override)
    return from_dict(table, source)


def from_dict(table: Mapping[str, Any], source: str) -> Recipe:
    """A recipe from the tables of its TOML text.

    Args:
        table: What TOML gives.
        source: Where it comes from, for the message.

    Raises:
        RecipeError: A key or value is not allowed.
    """
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        faults = [_fault(fault["loc"], fault["type"], fault["msg"], fault["input"]) for fault in error.errors()]
        raise RecipeError(f"The recipe {source} cannot be used: " + " ".join(faults)) from error


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"The override {override!r} is not of the form key=value, such as train.epochs=5.")
    *parents, last = key.strip().split(".")
    for parent in parents:
        inner = table.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"The override {override!r} goes into {parent!r}, which is a value and not a table.")
        table = inner
    try:
        table[last] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        table[last] = value.strip()  # a string without quotes, such as train.optimizer=SGD


def _fault(place: tuple[int | str, ...], kind: str, message: str, value: Any) -> str:
    """One sentence about one thing that is wrong with a recipe."""
    key = ".".join(str(part) for part in place)
    if kind == "extra_forbidden":
        fields = _fields_at(place[:-1])
        return f"There is no key {key!r}: {did_you_mean(str(place[-1]), fields)}"
    if kind == "missing":
        return f"The key {key!r} is missing."
    return f"{key} is {value!r}: {message[0].lower()}{message[1:]}."


def _fields_at(place: tuple[int | str, ...]) -> list[str]:
    """The keys that the table at ``place`` may have."""
    table: type[BaseModel] = Recipe
    for part in place:
        inner = table.model_fields[str(part)].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            raise TypeError(f"{part} is no table, so it has no unknown keys")
        table = inner
    return list(table.model_fields)
