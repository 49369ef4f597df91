"""The list of models for the tests of single layers, and what their builders share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.interop.keras.models import L, keras

CASES: dict[str, Callable[[], Any]] = {}


def case(build: Callable[[], Any]) -> Callable[[], Any]:
    CASES[build.__name__.strip("_")] = build
    return build


def words(count: int = 1) -> list[Any]:
    """Inputs of ids, and their vectors under a mask."""
    inputs = [keras.Input((None,)) for _ in range(count)]
    return [*inputs, *(L.Embedding(9, 4, mask_zero=True)(x) for x in inputs)]
