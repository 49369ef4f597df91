"""What the reference shows of docstrings, and references between them.

Each reference must name something that exists, and leads to its place in the reference. A docstring may name an object
by any of its paths: ``holdfast.layers.kinds.LSTM`` leads to ``holdfast.LSTM``. What exists and is not public is shown
without a link. What does not exist is left to Sphinx, which warns about it.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from public_names import public_objects
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

import holdfast

_MISSING = object()
_BEFORE_NAPOLEON, _AFTER_NAPOLEON = 400, 600  # it has 500


def resolve(path: str) -> Any:
    """The object that a dotted path names, or a mark that there is none."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        try:
            value: Any = import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            if not hasattr(value, part) and is_attribute(value, part):
                return None  # it exists in objects alone
            value = getattr(value, part, _MISSING)
            if value is _MISSING:
                return value
        return value
    return _MISSING


def is_attribute(owner: Any, name: str) -> bool:
    """Whether the objects of a class have this attribute, as its annotations or its docstrings say."""
    if not inspect.isclass(owner):
        return False
    text = "\n".join(base.__doc__ or "" for base in owner.__mro__)
    return f" {name}: " in text or any(name in vars(base).get("__annotations__", {}) for base in owner.__mro__)


@cache
def names_in_source() -> frozenset[str]:
    """Every name that Holdfast's source defines or imports, also those that it imports for annotations alone."""
    names: set[str] = set()
    for path in Path(holdfast.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names.update((each.asname or each.name) for each in node.names)
            elif isinstance(node, ast.ClassDef | ast.FunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Assign):
                names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(names)


def candidates(target: str, module: str | None, owner: str | None) -> Iterator[str]:
    """The paths that a name in the docstring of ``owner``, in ``module``, may stand for."""
    if module and owner:
        home = resolve(f"{module}.{owner}")
        for place in inspect.getmro(home) if inspect.isclass(home) else ():
            yield f"{place.__module__}.{place.__qualname__}.{target}"
            yield f"{place.__module__}.{target}"
    if module:
        yield f"{module}.{target}"
    yield target
    yield f"builtins.{target}"


def _reference(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.Node | None:
    """A reference that Sphinx has not resolved."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].lstrip("~").partition("[")[0]
    for path in candidates(target, node.get("py:module"), node.get("py:class")):
        value = resolve(path)
        if value is _MISSING:
            continue
        name = _NAMES.get(id(value))
        entry = env.domains.python_domain.objects.get(name) if name else None
        if entry is None:
            return content
        return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, name)
    return content if target.partition(".")[0] in names_in_source() else None


_NAMES: dict[int, str] = {}


def _collect(app: Sphinx) -> None:
    _NAMES.update({id(value): name for name, value in public_objects().items() if callable(value)})


def _without_types(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    r"""Keeps Napoleon from reading the words before the first colon of a property as its type: ``\ `` is no text."""
    if what in ("attribute", "data", "property") and lines:
        lines.insert(0, "\\ ")


def _with_constructor(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Adds what the constructor of a class says, unless another class wrote it."""
    if what == "class" and (text := getattr(vars(value).get("__init__"), "__doc__", None)):
        lines += ["", *inspect.cleandoc(text).splitlines(), ""]


def _with_underscores(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Keeps the underscore of an attribute such as ``classes_``, which would be the mark of a link."""
    lines[:] = [re.sub(r"^(:ivar \w+)_:", r"\1\\_:", line) for line in lines]


def _with_dashes(app: Sphinx, document: nodes.document) -> None:
    """Writes a dash between the name of an argument and its text, for which Sphinx has two hyphens."""
    for text in list(document.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def _skip(app: Sphinx, what: str, name: str, value: object, skip: bool, options: object) -> bool | None:
    """Methods that other libraries define are not shown."""
    function = inspect.unwrap(value.fget if isinstance(value, property) else value)  # type: ignore[arg-type]
    module = getattr(function, "__module__", None) or ""
    return True if inspect.isroutine(function) and not module.startswith("holdfast") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Resolves the references of docstrings."""
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"  # as the docstrings call them
    app.connect("builder-inited", _collect)
    app.connect("autodoc-process-docstring", _without_types, priority=_BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", _with_constructor, priority=_BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", _with_underscores, priority=_AFTER_NAPOLEON)
    app.connect("autodoc-skip-member", _skip)
    app.connect("doctree-read", _with_dashes)
    app.connect("missing-reference", _reference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
