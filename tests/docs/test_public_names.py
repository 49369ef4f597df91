"""Every public name is in the reference of the documentation, with its arguments, shapes and errors.

``docs/site/public_names.py`` says what is public. These tests fail for a new name without documentation.
"""

from __future__ import annotations

import ast
import dataclasses
import doctest
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from types import FunctionType
from typing import Any

import pytest
from docs.site.public_names import directives, names_of, public_objects
from tests.docs.test_docs import ROOT, RUNNABLE, blocks

import holdfast
from holdfast.errors import HoldfastError

# Packages whose names are for Holdfast itself: the parts of readers and writers, and of the command line.
INTERNAL = (
    "holdfast.cli",
    "holdfast.data.pieces",
    "holdfast.data.readers",
    "holdfast.inspect.report",
    "holdfast.interop.onnx",
    "holdfast.serve",
)
OBJECTS = public_objects()
SHOWN = {each.name: each for each in directives()}
ARRAY = re.compile(r"Tensor|NDArray|ndarray|Numbers")
SHAPE = re.compile(r"\[[^\]]*\b[A-Z0-9]\b[^\]]*\]|\bshapes?\b|\bscalar\b")


def is_own(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).startswith("holdfast")


def members(name: str, kind: type) -> Iterator[tuple[str, Any, str]]:
    """The methods and properties that the reference shows of a class, each with its name and its documentation.

    A method that overrides another one is documented by both docstrings.
    """
    shown = SHOWN.get(name)
    for base in kind.__mro__ if shown and shown.inherited else [kind]:
        for attribute, value in vars(base).items() if is_own(base) else ():
            value = value.__func__ if isinstance(value, staticmethod | classmethod) else value
            is_member = isinstance(value, FunctionType | property) or hasattr(value, "__wrapped__")
            if attribute.startswith("_") or not is_member or getattr(value, "__name__", "") == "<lambda>":
                continue
            if shown and shown.members is not None and attribute not in shown.members:
                continue
            overridden = [vars(each)[attribute] for each in kind.__mro__ if attribute in vars(each)]
            text = "\n".join(inspect.getdoc(each) or "" for each in overridden if getattr(each, "__doc__", None))
            yield f"{name}.{attribute}", value, text


def surface() -> Iterator[tuple[str, Any, str]]:
    """Everything that the reference shows: the name, the object and its documentation."""
    for name, value in OBJECTS.items():
        if inspect.isclass(value):
            yield name, value, class_text(value)
            yield from members(name, value)
        elif inspect.isroutine(value):
            yield name, value, inspect.getdoc(value) or ""


def class_text(kind: type) -> str:
    """The docstring of a class and of the classes that it extends; empty if it has none of its own."""
    own = vars(kind).get("__doc__") or ""
    if not own or own.startswith(f"{kind.__name__}("):  # dataclasses and named tuples make such a text
        return ""
    written = [text for base in kind.__mro__ if is_own(base) for text in (base.__doc__, base.__init__.__doc__)]  # type: ignore[misc]
    return "\n".join(filter(None, written))


def parameters(value: Any) -> list[inspect.Parameter]:
    """The arguments of a function or of a class's constructor, if Holdfast defines them."""
    if isinstance(value, property) or (
        inspect.isclass(value) and not (is_own(value.__init__) or dataclasses.is_dataclass(value))
    ):
        return []
    try:
        found = inspect.signature(value).parameters.values()
    except ValueError:  # a class made by C
        return []
    hidden = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [one for one in found if one.name not in ("self", "cls") and one.kind not in hidden]


def constructor(kind: type) -> Any:
    """The function that a class makes its objects by, and that a person wrote."""
    return getattr(kind, "__post_init__", None) if dataclasses.is_dataclass(kind) else kind.__init__  # type: ignore[misc]


def raised(value: Any) -> set[str]:
    """The errors of Holdfast that the text of a function, or of a constructor, raises itself."""
    function = inspect.unwrap(constructor(value) if inspect.isclass(value) else value)
    if not inspect.isfunction(function) or not is_own(function):
        return set()
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    names = {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
    }
    return {name for name in names if issubclass(getattr(holdfast.errors, name, type), HoldfastError)}


def lacks_text(name: str, value: Any, text: str) -> list[str]:
    return [] if text.strip() else [name]


def lacks_arguments(name: str, value: Any, text: str) -> list[str]:
    return [
        f"{name}({one.name})" for one in parameters(value) if not re.search(rf"\b{re.escape(one.name)}\b", text, re.I)
    ]


def lacks_errors(name: str, value: Any, text: str) -> list[str]:
    bases = {
        each.__name__: [base.__name__ for base in each.__mro__]
        for each in vars(holdfast.errors).values()
        if inspect.isclass(each)
    }
    return [f"{name}: {error}" for error in sorted(raised(value)) if not any(base in text for base in bases[error])]


def lacks_shapes(name: str, value: Any, text: str) -> list[str]:
    if inspect.isclass(value) or isinstance(value, property) or not inspect.isroutine(value):
        return []
    signature = inspect.signature(value)
    annotations = [one.annotation for one in signature.parameters.values()] + [signature.return_annotation]
    has_arrays = any(ARRAY.search(str(each)) for each in annotations)
    return [name] if has_arrays and not SHAPE.search(text) else []


RULES = [lacks_text, lacks_arguments, lacks_errors, lacks_shapes]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_public_name_is_documented(rule: Callable[[str, Any, str], list[str]]) -> None:
    faults = [fault for name, value, text in surface() for fault in rule(name, value, text)]
    assert faults == [], f"{len(faults)} public names without documentation"


def test_public_data_are_documented() -> None:
    """Data have a docstring where they are defined, and the reference shows that module or has a directive for them."""
    places = {name.rpartition(".")[2]: name.rpartition(".")[0] for name, each in SHOWN.items() if each.kind == "data"}
    data = [name for name, value in OBJECTS.items() if not (inspect.isclass(value) or inspect.isroutine(value))]
    missing = []
    for name in data:
        module, _, attribute = name.rpartition(".")
        source = inspect.getsource(import_module(places.get(attribute, module)))
        if not re.search(rf'^{attribute}\b[^\n]*=(?:.*\n)(?:[ }})\]].*\n)*"""', source, re.MULTILINE):
            missing.append(name)
    assert missing == []


def test_every_exported_name_is_in_the_reference() -> None:
    """The names of ``holdfast`` and of every package with ``__all__``, wherever the reference has them."""
    known = {id(value) for value in OBJECTS.values()}
    missing = []
    for file in sorted((ROOT / "src" / "holdfast").rglob("__init__.py")):
        name = ".".join(file.relative_to(ROOT / "src").parent.parts)
        if "__all__" not in file.read_text("utf-8") or name.startswith(INTERNAL):
            continue
        module = import_module(name)
        public = [each for each in names_of(module) if each != "__version__"]
        missing += [f"{name}.{each}" for each in public if id(getattr(module, each)) not in known]
    assert missing == []


def test_what_the_pages_import_is_in_the_reference() -> None:
    known = {id(value) for value in OBJECTS.values()}
    missing = set()
    for page in RUNNABLE:
        for block in blocks(page.read_text("utf-8")):
            for node in ast.walk(ast.parse(block.text)) if block.info == "python" else ():
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("holdfast"):
                    module = import_module(node.module or "")
                    values = {each.name: getattr(module, each.name, None) for each in node.names}
                    missing |= {
                        f"{node.module}.{name}"
                        for name, value in values.items()
                        if is_own(value) and id(value) not in known
                    }
    assert sorted(missing) == []


def test_the_main_names_have_examples() -> None:
    """The doctests of each package's tests run them."""
    values = {name: getattr(holdfast, name) for name in holdfast.__all__}
    functions = {name: value for name, value in values.items() if inspect.isclass(value) or inspect.isroutine(value)}
    texts = {name: inspect.getdoc(value) or "" for name, value in functions.items() if value is not HoldfastError}
    assert [name for name, text in texts.items() if not doctest.DocTestParser().get_examples(text)] == []


def test_the_rules_catch() -> None:
    def undocumented(x: int) -> None:
        raise holdfast.errors.OptionError("no")

    def shapeless(x: Any) -> None:
        """Takes x."""

    shapeless.__annotations__["x"] = "Tensor"
    assert lacks_text("f", undocumented, "") == ["f"]
    assert lacks_arguments("f", undocumented, "It takes y.") == ["f(x)"]
    assert lacks_errors("f", shapeless, "It.") == []
    assert lacks_shapes("f", shapeless, "Takes x.") == ["f"]
    assert lacks_shapes("f", shapeless, "Takes x, [B, T].") == []
    assert "holdfast.LSTM" in OBJECTS
    assert len(list(surface())) > 500
