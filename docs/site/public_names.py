"""The public names: what the pages in ``docs/api`` document.

A page names its modules, classes and functions after ``.. automodule::`` and the like. Of a module, the public names
are those in its ``__all__``, or without it what it defines under names without underscore.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

os.environ.setdefault("KERAS_BACKEND", "torch")  # holdfast.keras runs on any of Keras's backends

PAGES = Path(__file__).resolve().parents[1] / "api"
_DIRECTIVE = re.compile(r"^\.\. auto(module|class|function|data):: ([\w.]+)$((?:\n +:.*)*)", re.MULTILINE)


class Directive(NamedTuple):
    """What a page documents.

    Attributes:
        kind: ``"module"``, ``"class"``, ``"function"`` or ``"data"``.
        name: The dotted name.
        members: Of a class, the names of the methods that it shows; None for all that it defines itself.
        inherited: Whether it also shows inherited methods.
    """

    kind: str
    name: str
    members: frozenset[str] | None
    inherited: bool


def directives() -> Iterator[Directive]:
    """The directives of all pages."""
    for page in sorted(PAGES.glob("*.md")):
        for kind, name, options in _DIRECTIVE.findall(page.read_text("utf-8")):
            listed = re.search(r":members: (.+)", options)
            members = frozenset(listed[1].split(", ")) if listed else None
            if ":no-members:" in options:
                members = frozenset()
            yield Directive(kind, name, members, "inherited-members" in options)


def names_of(module: ModuleType) -> list[str]:
    """The public names of a module, sorted. Those that are imported at their first use are imported now."""
    if hasattr(module, "__all__"):
        return [name for name in sorted(module.__all__) if not inspect.ismodule(getattr(module, name))]
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isroutine(value))
        and value.__module__ == module.__name__
    ]
    return sorted(own)


def lookup(name: str) -> Any:
    """The object of a dotted name.

    Raises:
        AttributeError: There is no such object.
    """
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def public_objects() -> dict[str, Any]:
    """Every public object by its documented name: ``"holdfast.LSTM"``, ``"holdfast.inspect.record"``."""
    objects = {}
    for kind, name, *_ in directives():
        names = [f"{name}.{attribute}" for attribute in names_of(import_module(name))] if kind == "module" else [name]
        objects.update({each: lookup(each) for each in names})
    return objects
