"""The examples in the docstrings of the Keras layers are right."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

pytest.importorskip("keras", reason="needs keras: pip install 'holdfast[keras]'")


@pytest.mark.parametrize("name", ["buffers", "layers", "recurrent", "replace"])
def test_the_examples_in_docstrings(name: str) -> None:
    results = doctest.testmod(import_module(f"holdfast.keras.{name}"))
    assert results.attempted
    assert not results.failed
