"""The card of a model as HTML: what is known of its training, and what it computes."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

from holdfast.errors import OptionError
from holdfast.inspect.card import card, markdown
from holdfast.inspect.facts import gather
from holdfast.inspect.page.prose import computation
from holdfast.inspect.page.writing import check_parts
from holdfast.runtime.network import STREAM
from holdfast.serve.models import NETWORK, ServedModel
from holdfast.serve.page.about import run_of

_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_HEADING = re.compile(r"^(#+) ", re.MULTILINE)


def card_of(model: ServedModel) -> dict[str, str]:
    """The card of a model.

    A run's card is that of ``holdfast card``, with the figures that were measured when training ended. A model without
    a run has a shorter one.

    Args:
        model: The model; that of a task is opened.

    Returns:
        ``card`` and ``computation``, HTML whose texts are escaped; ``computation`` is empty for models whose parts
        cannot be put in words.
    """
    run = run_of(model)
    text = _short(model) if run is None else _FRONT_MATTER.sub("", card(gather(run, model.predictor())))
    return {"card": as_html(_HEADING.sub(r"#\1 ", text)), "computation": _computation(model)}


def as_html(text: str) -> str:
    """Markdown as HTML; HTML and pictures inside it are shown as text, and links run no script.

    Columns of numbers have the class ``count``: the policy of the page forbids the styles that Markdown's tables have.
    """
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = reader.parse(text)
    for token in tokens:
        if token.attrs.pop("style", "") == "text-align:right":
            token.attrs["class"] = "count"
    return str(reader.renderer.render(tokens, reader.options, {}))


def _computation(model: ServedModel) -> str:
    if model.task in (NETWORK, STREAM):
        return ""
    predictor = model.predictor()
    try:
        chain = predictor.task.chain(predictor.model)
        check_parts(chain)
        answer = predictor.task.interface(alone=False).answer
    except OptionError:
        return ""
    total = sum(parameter.numel() for parameter in predictor.model.parameters())
    return computation(chain, answer, total)


def _short(model: ServedModel) -> str:
    """The card of a model whose run is not known."""
    document = model.document()
    rows = [
        f"| {side} | {markdown(info['name'])} | {info['datatype']} | {markdown(info['shape'])} |"
        for side, infos in (("input", document["inputs"]), ("output", document["outputs"]))
        for info in infos
    ]
    head = ["| | tensor | datatype | shape |", "|---|---|---|---|"]
    kind = (
        "A network of other software" if model.task == NETWORK else f"A recurrent network for the task `{model.task}`"
    )
    digest = f"The SHA-256 of its file is `{model.digest}`."
    return "\n".join([f"# {markdown(model.name)}", "", f"{kind}. {digest}", "", *head, *rows, ""])
