"""The recipes that the pages show can be trained, and parts of recipes have only keys that a recipe has."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.docs.test_docs import ROOT, RUNNABLE, Block, blocks
from tests.docs.test_named import fields, key_exists

from holdfast import recipes

TABLES = [(path, block) for path in RUNNABLE for block in blocks(path.read_text("utf-8")) if block.info == "toml"]

TABLES_OF_RECIPES = {key.rpartition(".")[0] for kind in recipes.RECIPES.values() for key in fields(kind)}


def keys(table: dict[str, Any], prefix: str = "") -> list[str]:
    """The dotted keys of a table and of the tables in it that a recipe has."""
    found = []
    for name, value in table.items():
        inner = isinstance(value, dict) and prefix + name in TABLES_OF_RECIPES
        found += keys(value, f"{prefix}{name}.") if inner else [prefix + name]
    return found


@pytest.mark.parametrize(("path", "block"), TABLES, ids=[f"{p.relative_to(ROOT)}:{b.line}" for p, b in TABLES])
def test_the_recipe_is_allowed(path: Path, block: Block) -> None:
    table = tomllib.loads(block.text)
    if "task" in table:
        assert recipes.from_dict({"name": "shown", **table}, path.name)
    assert [key for key in keys(table) if not key_exists(key)] == []


def test_a_key_that_no_recipe_has_is_found() -> None:
    assert keys(tomllib.loads("[data]\nuni = 'words'\n[data.audio]\nrate = 1")) == ["data.uni", "data.audio.rate"]
    assert not key_exists("data.uni")
    assert len(TABLES) > 20
