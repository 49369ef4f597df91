"""The examples in the docstrings of the layers and engines are right."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

from holdfast import engines, layers

PACKAGES = [engines, layers]
MODULES = [
    f"{package.__name__}.{module.name}" for package in PACKAGES for module in pkgutil.iter_modules(package.__path__)
]
NAMES = ["holdfast.engines", *MODULES]


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_in_docstrings(name: str) -> None:
    failed, _ = doctest.testmod(import_module(name))
    assert not failed
