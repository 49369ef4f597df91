"""The examples in the docstrings of TensorFlow 1's vocabulary are right."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest
import torch

from holdfast import tf1

MODULES = [f"holdfast.tf1.{module.name}" for module in pkgutil.iter_modules(tf1.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings(name: str) -> None:
    module = import_module(name)
    for examples in doctest.DocTestFinder().find(module, extraglobs={"torch": torch}):
        with tf1.VariableStore().as_default():
            assert not doctest.DocTestRunner().run(examples).failed
