"""Writes the generated pages: ``docs/recipes.md`` from the settings, ``docs/cli.md`` and its Chinese from the commands.

    python docs/reference.py

``tests/docs/test_reference.py`` fails when a page is not up to date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from typer.cli import get_docs_for_click

from holdfast import recipes
from holdfast.cli import app
from holdfast.settings import DataSettings, Recipe, RecurrentSettings

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for a test that runs this file

import chinese  # noqa: E402

_BASES: dict[str, type[BaseModel]] = {"data": DataSettings, "model": RecurrentSettings}


def recipes_page() -> str:
    """The page of every field of a recipe and of every recipe that comes with Holdfast."""
    lines = [
        "# Recipes",
        "",
        "A recipe is a TOML file that says what to train on which data. `holdfast recipes` lists the recipes that come",
        "with Holdfast, `holdfast recipes show NAME` prints one to start from, `holdfast train FILE.toml` runs one,",
        "and `--set table.key=value` overrides a value. A key that is not listed here is an error.",
        "",
        "With `--set train.limit=small` any recipe that comes with Holdfast becomes a trial of a few seconds: it",
        "applies the recipe's table `[small]`.",
        "",
        "## Fields of every recipe",
        "",
        *_table("", Recipe),
        *(line for task, kind in recipes.RECIPES.items() for line in _of_task(task, kind)),
        "## Recipes that come with Holdfast",
        "",
        "| name | what it does |",
        "|---|---|",
        *(f"| `{name}` | {recipes.load(name).description} |" for name in recipes.names()),
        "",
    ]
    return "\n".join(lines)


def _of_task(task: str, kind: type[Recipe]) -> list[str]:
    """The fields that only the recipes of this task have."""
    lines = [f"## Fields of the task `{task}`", "", f"{_words(kind.model_fields['task'].description)}", ""]
    for name, field in kind.model_fields.items():
        if name in ("data", "model") or name not in Recipe.model_fields:
            lines += _table(name, field.annotation, beyond=_BASES.get(name))
    return lines


def _words(text: str | None) -> str:
    """A docstring in one line, as a cell of a table in Markdown."""
    plain = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", " ".join((text or "").split()))
    return plain.replace("``", "`").replace("|", "\\|")


def _table(prefix: str, model: Any, beyond: type[BaseModel] | None = None) -> list[str]:
    """The fields of a table and of its inner tables; with ``beyond``, only the fields that differ from its fields."""
    title = f"`[{prefix}]`" if prefix else "At the top"
    lines = [f"### {title}", "", "| key | type | default | meaning |", "|---|---|---|---|"]
    inner: list[tuple[str, type[BaseModel]]] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        known = beyond.model_fields.get(name) if beyond else None
        if known is not None and (known.description, known.default) == (field.description, field.default):
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            inner.append((f"{prefix}.{name}" if prefix else name, kind))
            continue
        default = "required" if field.is_required() else _toml(field.default)
        lines.append(f"| `{name}` | {_type(kind)} | {default} | {_words(field.description)} |")
    lines.append("")
    for path, kind in inner:
        lines += _table(path, kind)
    return lines


def _type(kind: Any) -> str:
    """The TOML name of a type."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{str(part).lower()}`" for part in parts)
    if origin is list:
        return f"list of {_type(parts[0])}{'' if get_origin(parts[0]) is Literal else 's'}"
    if origin is dict:
        return "table"
    if origin is Annotated:
        return _type(parts[0])
    if origin in (Union, UnionType):
        return " or ".join(_type(part) for part in parts if part is not type(None))
    return {str: "string", int: "whole number", float: "number", bool: "true or false"}[kind]


def _toml(value: Any) -> str:
    if value is None:
        return "unset"
    return f"`{value!r}`".replace("'", '"').replace("True", "true").replace("False", "false")


def cli_page() -> str:
    """The page of every command with its arguments and options."""
    return _with_link(_commands(), "[中文](zh/cli.md)")


def chinese_cli_page() -> str:
    """The same page in Chinese."""
    return _with_link(chinese.cli_page(_commands()), "[English](../cli.md)")


def _commands() -> str:
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="holdfast", title="The command line")
    return text.replace("[bold]", "**").replace("[/bold]", "**").replace("\\[", "[").strip() + "\n"


def _with_link(page: str, link: str) -> str:
    """The page with a link to its other language under the title."""
    title, rest = page.split("\n", 1)
    return f"{title}\n\n{link}\n{rest}"


PAGES = {"recipes.md": recipes_page, "cli.md": cli_page, "zh/cli.md": chinese_cli_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
