"""The examples in the docstrings of the cells are right."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

from holdfast import cells

MODULES = [f"holdfast.cells.{module.name}" for module in pkgutil.iter_modules(cells.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings(name: str) -> None:
    failed, _ = doctest.testmod(import_module(name))
    assert not failed
