"""The JavaScript modules of this folder as one script, which needs no other file.

A module has two forms of statements that this reads: ``import { a, b } from "./other.js";`` and ``export`` before a
``function``, a ``class`` or a ``const``.
"""

from __future__ import annotations

import re
from importlib.resources import files

FOLDER = files("holdfast.inspect.page")
START = "start.js"
_IMPORT = re.compile(r'^import \{([\w\s,]*)\} from "\./([\w-]+\.js)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (function|class|const) (\w+)", re.MULTILINE)


def read(name: str) -> str:
    """A file of this folder, as text."""
    return FOLDER.joinpath(name).read_text("utf-8")


def imported(source: str) -> list[str]:
    """The names of the modules that a source imports."""
    return [name for _, name in _IMPORT.findall(source)]


def bundled(program: str | None = None) -> str:
    """A program with the modules that it imports, each before those that import it.

    Args:
        program: A module; None for the one that starts the page.
    """
    program = read(START) if program is None else program
    order: dict[str, str] = {}
    _collect(program, order)
    return "\n".join(["const modules = {};", *map(_wrapped, order, order.values()), _linked(program)])


def _collect(source: str, order: dict[str, str]) -> None:
    """Adds the modules that a source imports, and those that these import, to ``order``."""
    for name in imported(source):
        if name not in order:
            inner = read(name)
            _collect(inner, order)
            order[name] = inner


def _linked(source: str) -> str:
    """A module with its imports taken from the modules before it."""
    linked = _IMPORT.sub(lambda match: f'const {{{match[1]}}} = modules["{match[2]}"];', source)
    linked = _EXPORT.sub(r"\1 \2", linked)
    assert not re.search(r"^\s*(import|export)\b|</script|<!--", linked, re.MULTILINE | re.IGNORECASE), linked
    return linked


def _wrapped(name: str, source: str) -> str:
    """A module as a function that returns its exports, so that its other names stay its own."""
    exports = ", ".join(exported for _, exported in _EXPORT.findall(source))
    return f'modules["{name}"] = (() => {{\n{_linked(source)}\nreturn {{ {exports} }};\n}})();'
