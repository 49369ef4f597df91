"""Notebooks as pages: a page in ``docs/notebooks/`` shows the notebook of its name as it is stored, with its outputs.

The page itself has the title and a link to the notebook, which is what a code host shows. Nothing is run. The Markdown
of the cells stays Markdown, so warnings, links and the search are those of every page.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

NOTEBOOKS = Path(__file__).resolve().parents[2] / "examples" / "notebooks"
FOLDER = "notebooks/"  # of the pages


def markdown(notebook: dict[str, Any]) -> str:
    """The cells of a notebook after its title, as Markdown for MyST."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(re.sub(r"\A# .*\n+", "", source))
        else:
            parts += [fenced("python", source), *(shown(output) for output in cell["outputs"])]
    return "\n\n".join(parts) + "\n"


def shown(output: dict[str, Any]) -> str:
    """An output in the form that a notebook would show: a picture, a table, or text."""
    data = {kind: "".join(text) for kind, text in output.get("data", {}).items()}
    if "image/png" in data:
        return f"![](data:image/png;base64,{''.join(data['image/png'].split())})"
    if "text/html" in data:
        return fenced("{raw} html", f'<div class="output">\n{data["text/html"].strip()}\n</div>')
    return fenced("{code-block} text", ":class: output\n\n" + data.get("text/plain", "".join(output.get("text", ""))))


def fenced(info: str, text: str) -> str:
    """A block of code, between fences that are longer than those inside it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{info}\n{text.rstrip()}\n{fence}"


def _add_cells(app: Sphinx, page: str, source: list[str]) -> None:
    if page.startswith(FOLDER):
        path = NOTEBOOKS / f"{page.removeprefix(FOLDER)}.ipynb"
        app.env.note_dependency(path)
        source[0] += "\n" + markdown(json.loads(path.read_text("utf-8")))


def setup(app: Sphinx) -> dict[str, bool]:
    """Adds the cells to the pages."""
    app.connect("source-read", _add_cells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
