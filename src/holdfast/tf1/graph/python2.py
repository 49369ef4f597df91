"""Recognizes programs for Python 2, which Python 3 cannot run."""

from __future__ import annotations

import ast
import builtins
import re

_SYNTAX = {
    r"print\s+[^\s(=]|print\s*\([^()]*\)\s*%|print\s*>>|print\s*$": "the statement print",
    r"except\s+[\w.]+\s*,\s*\w+\s*:|except\s*\([\w., ]+\)\s*,\s*\w+\s*:": "except X, e",
    r"raise\s+[\w.]+\s*,": "raise X, message",
    r"exec\s+[\"'\w]": "the statement exec",
    r".*<>": "the operator <>",
    r".*`": "backticks",
    r".*\bur[\"']": "the literal ur''",
    r".*\b0\d+\b|.*\b\d+L\b": "an octal or long number",
    r"def\s+\w+\([^)]*\(|.*\blambda\s*\(": "parameters in parentheses",
}
_NAMES = ("xrange", "raw_input", "unicode", "basestring", "unichr", "long", "reduce", "cmp", "execfile")
_MODULES = ("cPickle", "urllib2", "ConfigParser", "Queue", "StringIO", "Tkinter", "cStringIO", "urlparse")
_METHODS = ("iteritems", "itervalues", "iterkeys", "has_key")
_CARES = re.compile(r"version_info|PY2|PY3|except\s+NameError|except\s*\(?.*ImportError|\bsix\b|python_version")


def advice_for(error: BaseException) -> str | None:
    """What to do about an error that comes from Python 2's syntax, names or modules; None for any other error."""
    if isinstance(error, SyntaxError) and not isinstance(error, IndentationError):
        feature = syntax_in(error.text or "")
        return None if feature is None else sentence(str(error.filename), error.lineno or 0, feature)
    if isinstance(error, TabError):
        return sentence(str(error.filename), error.lineno or 0, "tabs and spaces mixed")
    of_a_text = isinstance(getattr(error, "obj", None), str)
    known = (
        (NameError, getattr(error, "name", None), _NAMES),
        (ModuleNotFoundError, getattr(error, "name", None), _MODULES),
        (AttributeError, getattr(error, "name", None), (*_METHODS, "decode") if of_a_text else _METHODS),
    )
    for kind, name, names in known:
        if isinstance(error, kind) and name in names and error.__traceback__ is not None:
            trace = error.__traceback__
            while trace.tb_next is not None:
                trace = trace.tb_next
            return sentence(trace.tb_frame.f_code.co_filename, trace.tb_lineno, str(name))
    return None


def syntax_in(line: str) -> str | None:
    """What of Python 2 a line that Python 3 cannot read has, or None."""
    text = line.strip().removeprefix("else:").removeprefix("try:").strip()
    text = re.sub(r"^(if|for|while|elif)\b[^#]*:\s*(?=print\b|raise\b|exec\b)", "", text)
    return next((feature for form, feature in _SYNTAX.items() if re.match(form, text)), None)


def unknown_name(tree: ast.AST, source: str) -> tuple[str, int] | None:
    """What of Python 2 a program uses without a care for Python 3, though Python 3 can read it, and its line."""
    if _CARES.search(source):
        return None
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias for node in imports for alias in node.names]
    bound |= {alias.asname or alias.name.partition(".")[0] for alias in names}
    if "*" in bound:
        return None
    uses = [
        (node.lineno, f"the name {node.id}")
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in _NAMES and node.id not in bound and not hasattr(builtins, node.id)
    ]
    uses += [
        (node.lineno, "the statement print")  # print >>file
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift) and ast.unparse(node.left) == "print"
    ]
    return (min(uses)[1], min(uses)[0]) if uses else None


def sentence(file: str, line: int, feature: str) -> str:
    """That a program is for Python 2, and what to do."""
    name = file.rsplit("/", 1)[-1]
    convert = f"Convert it with `2to3 -w {name}` (a part of Python up to 3.12)"
    if ".ipynb, cell " in name:
        convert = "Save it as a program, `jupyter nbconvert --to script`, and convert that with 2to3"
    return (
        f"{name} is a program for Python 2 (line {line} has {feature}); expected Python 3. {convert}, or change the "
        "line."
    )
