"""Writes the page: its parts, escaped, in one HTML file with a policy that allows no network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

from torch import nn

from holdfast.errors import OptionError
from holdfast.files.container import replace_file
from holdfast.inspect.page import scripts, weights
from holdfast.inspect.page.prose import computation
from holdfast.layers.chain import Chain
from holdfast.predictor import Predictor
from holdfast.tasks.interface import Interface
from holdfast.tasks.task import RecipeTask

MAX_MB = 20.0
PARTS = (
    "scaled",
    "embedding",
    "linear",
    "recurrent",
    "head",
    "log_softmax",
    "restored",
    "word_vectors",
    "window_scaling",
    "known_ahead",
    "horizon",
)
"""The parts of chains that the program of the page computes."""
_TITLES = {
    "image": "Draw",
    "numbers": "The sequence",
    "pairs": "Two numbers",
    "series": "The history and the forecast",
    "text": "Type a text",
    "words": "Type a sentence",
    "labels": "What the model says",
    "tags": "The tag of each step",
    "values": "What the model says",
    "next": "The text goes on",
    "forecast": "The forecast in numbers",
}


def page_of(
    task: RecipeTask[Any],
    model: nn.Module,
    *,
    title: str,
    description: str = "",
    examples: Any = None,
    max_mb: float = MAX_MB,
) -> str:
    """A page that runs a model, as HTML. The same model, examples and texts give the same page.

    Args:
        task: The fitted task.
        model: Its trained model.
        title: The title.
        description: A sentence below it.
        examples: Examples of the task to begin with; None for none.
        max_mb: The largest page, in millions of bytes.

    Raises:
        OptionError: The page lacks a part of the model, or would be too large.

    Example:
        >>> from holdfast import TextClassifier
        >>> texts, y = ["good", "very good", "bad", "very bad"] * 5, [1, 1, 0, 0] * 5
        >>> classifier = TextClassifier(epochs=1).fit(texts, y)
        >>> html = page_of(classifier.task_, classifier.model_, title="Good or bad")
    """
    chain = task.chain(model)
    check_parts(chain)
    interface = task.interface(examples)
    places, stored = weights.in_order(model.state_dict(), chain.tensor_shapes())
    total = sum(tensor.numel() for tensor in stored)
    _check_size(4 / 3 * 4 * total, max_mb, "weights alone")
    model_parts = {
        "model": as_script({"chain": chain.to_document(), "tensors": places, **interface.to_document()}),
        "weights": weights.encoded(stored),
        "computation": computation(chain, interface.answer, total),
    }
    page = _filled(interface, model_parts, title, description)
    _check_size(len(page.encode()), max_mb, "weights, examples and program")
    return page


def write_page(
    predictor: Predictor,
    path: Path,
    *,
    title: str,
    description: str = "",
    examples: Any = None,
    max_mb: float = MAX_MB,
) -> int:
    """Writes the page of :func:`page_of`.

    Args:
        predictor: The model.
        path: The file; an existing one is replaced.
        title: As there.
        description: As there.
        examples: As there.
        max_mb: As there.

    Returns:
        The size of the file in bytes.

    Raises:
        OptionError: As there; or the file cannot be written.
    """
    texts: dict[str, Any] = {"title": title, "description": description, "examples": examples, "max_mb": max_mb}
    content = page_of(predictor.task, predictor.model, **texts).encode()
    try:
        replace_file(path, content)
    except OSError as error:
        raise OptionError(f"{path} cannot be written: {error.strerror}. Choose another file.") from error
    return len(content)


def check_parts(chain: Chain) -> None:
    """Refuses a model with a part that the page cannot compute.

    Raises:
        OptionError: The chain has one; the message names it.
    """
    chain.refuse_own_parts()
    for part in chain.to_document()["parts"]:
        if part["part"] not in PARTS:
            raise OptionError(
                f"The model has the part {part['part']!r}, which the page lacks; it runs models of the parts "
                f"{', '.join(PARTS)}. holdfast predict runs this model."
            )


def _check_size(size: float, max_mb: float, what: str) -> None:
    if size > max_mb * 1e6:
        raise OptionError(
            f"The page would have {size / 1e6:.1f} MB ({what}); at most {max_mb:g} MB are written. Allow more with "
            "--max-mb, or train a smaller model."
        )


def _filled(interface: Interface, model_parts: Mapping[str, str], title: str, description: str) -> str:
    """The file, with every text escaped."""
    script, style = f"\n{scripts.bundled()}", f"\n{scripts.read('page.css')}"
    kinds = interface.input.kind, interface.answer.kind
    return Template(scripts.read("page.html")).substitute(
        title=escape(title),
        description=escape(description),
        input_title=_TITLES[kinds[0]],
        answer_title=_TITLES[kinds[1]],
        arrangement="try" if kinds[1] in ("forecast", "next") else "try beside",
        version=escape(version("holdfast")),
        script=script,
        script_hash=_hash(script),
        style=style,
        style_hash=_hash(style),
        **model_parts,
    )


def as_script(document: Any) -> str:
    """JSON that can be inside a ``script`` element whatever texts it holds."""
    text = json.dumps(document, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(content: str) -> str:
    """What a Content-Security-Policy calls a script or style by."""
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"
