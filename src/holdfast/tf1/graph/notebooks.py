"""Notebooks (.ipynb) as programs: their code cells in order, without the lines that only a notebook understands."""

from __future__ import annotations

import ast
import json
import linecache
import re
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from holdfast.errors import DataError

_MAGIC = re.compile(r"\s*(%|!|\?|[\w.]+\?\s*$|[\w, ]+=\s*[!%])")
_WHOLE_CELL = re.compile(r"\s*%%(?!time|capture|prun)")  # a cell in another language


@dataclass(frozen=True)
class Cell:
    """A code cell.

    Attributes:
        file: What tracebacks name: the notebook and the number of the cell.
        source: Its text, with ``pass`` instead of skipped lines.
        skipped: The lines that only a notebook understands.
    """

    file: str
    source: str
    skipped: tuple[str, ...]


def read(path: Path) -> list[Cell]:
    """The code cells of a notebook, of format 3 or 4.

    Raises:
        DataError: The file is not a notebook.
    """
    try:
        content: Any = json.loads(path.read_text("utf-8-sig"))
        found = (
            content["cells"] if "cells" in content else [c for sheet in content["worksheets"] for c in sheet["cells"]]
        )
        texts = [_text(cell) for cell in found if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a notebook ({error!r}); expected JSON with cells, as Jupyter writes.") from None
    return [cell(f"{path}, cell {number}", text) for number, text in enumerate(texts, 1)]


def _text(cell: dict[str, Any]) -> str:
    source = cell["source"] if "source" in cell else cell["input"]
    return source if isinstance(source, str) else "".join(source)


def cell(file: str, text: str) -> Cell:
    """A cell with its magic lines replaced. A line is magic only where Python cannot read it."""
    if _WHOLE_CELL.match(text):
        return Cell(file, "", (text.strip().splitlines()[0],))
    lines, skipped = text.splitlines(), []
    while True:
        try:
            ast.parse("\n".join(lines))
        except SyntaxError as error:
            place = _magic_line(lines, (error.lineno or 0) - 1)
            if place is None:
                break
            skipped.append(lines[place].strip())
            lines[place] = f"{lines[place][: len(lines[place]) - len(lines[place].lstrip())]}pass"
            continue
        break
    return Cell(file, "\n".join(lines) + "\n", tuple(skipped))


def _magic_line(lines: list[str], place: int) -> int | None:
    """The line of magic that made Python stop at a line: that line, or one before it that opened a string."""
    for candidate in range(min(place, len(lines) - 1), max(place - 2, -1), -1):
        if _MAGIC.match(lines[candidate]):
            return candidate
    return None


def compiled(cell: Cell, flags: int) -> list[CodeType]:
    """The cell's code, and the code of its last expression, whose value is shown as in a notebook.

    Raises:
        SyntaxError: The cell is not Python.
    """
    lines = cell.source.splitlines(keepends=True)
    linecache.cache[cell.file] = (len(cell.source), None, lines, cell.file)  # for tracebacks
    options: dict[str, Any] = {"flags": flags, "dont_inherit": True}
    tree = compile(cell.source, cell.file, "exec", flags=flags | ast.PyCF_ONLY_AST, dont_inherit=True)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or cell.source.rstrip().endswith(";"):
        return [compile(tree, cell.file, "exec", **options)]
    tree.body.pop()
    shown = ast.Interactive([last])
    return [compile(tree, cell.file, "exec", **options), compile(shown, cell.file, "single", **options)]
