"""The model card of a run: what a person or a hub needs to know of the model, as Markdown with metadata before it."""

from __future__ import annotations

import json
import re
from typing import Any

from holdfast.files.json_values import finite
from holdfast.inspect.facts import Facts
from holdfast.inspect.report.page import environment, rounded, template
from holdfast.inspect.report.text import plain

_SIGNS = r"([\\`*_{}\[\]()<>#+\-.!|~$&:@\"'])"
_MOST_ROWS = 30


def card(facts: Facts) -> str:
    """The model card of a run, as the Hugging Face Hub reads it.

    Args:
        facts: The facts of the run.

    Returns:
        Markdown with a YAML front matter: ``library_name``, ``tags``, ``pipeline_tag`` where one fits, and the metrics
        as ``model-index``.
    """
    jinja = environment()
    jinja.autoescape = False  # Markdown has signs of its own, which `text` escapes
    jinja.filters |= {"text": markdown, "yaml": yaml_scalar}
    kind = facts.pipeline_tag or "other"
    metrics = {name: value for name, value in rounded(finite(dict(facts.results))).items() if value is not None}
    return jinja.from_string(template("card.md")).render(
        facts=facts, tags=_tags(facts), kind=kind, metrics=metrics, most=_MOST_ROWS, data=_data(facts)
    )


def _tags(facts: Facts) -> list[str]:
    """The library, the task, the cell and its kind."""
    cell = _value(facts, "model.cell")
    tags = ["holdfast", "recurrent-neural-network", str(cell or ""), facts.task]
    return [tag for tag in dict.fromkeys(tags) if tag]


def _data(facts: Facts) -> str:
    """The name of the data: the known set, or the files."""
    source = str(_value(facts, "data.source"))
    return ", ".join(map(str, _value(facts, "data.train") or [])) or source if source == "files" else source


def _value(facts: Facts, key: str) -> Any:
    return next((json.loads(setting.value) for setting in facts.settings if setting.key == key), None)


def markdown(value: object, longest: int = 300) -> str:
    """A value as Markdown that shows its signs as they are, in one line."""
    return re.sub(_SIGNS, r"\\\1", plain(value, longest)).strip()


def yaml_scalar(value: object) -> str:
    """A value as a scalar of YAML, which JSON's strings and numbers are; texts show their invisible characters."""
    return json.dumps(plain(value) if isinstance(value, str) else value, ensure_ascii=False)
