"""Writes the facts of a run as a page.

The page has no script and loads nothing; its values are in it as JSON. The same facts give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from holdfast.files.json_values import finite
from holdfast.inspect.facts import Facts
from holdfast.inspect.inside import Passage
from holdfast.inspect.report.pictures import Figure, Pictures
from holdfast.inspect.report.sections import (
    MOST_LABELS,
    curves_of,
    inside_of,
    metrics_of,
    number,
    of_case,
    thinned,
)
from holdfast.inspect.report.text import plain
from holdfast.tasks.presentation import Case, Curves, Table, Text, Word, Words

LARGEST = 400_000
"""Bytes that a report has at most."""
_MOST_TABLE_ROWS = 60
_MOST_ROWS_IN_JSON = 60
_MOST_SETTINGS = 120
_MOST_WORDS = 60
_LONGEST_TEXT = 800
_SHADES = 8
_MOST_ENGINES = 8
_MOST_LARGE = 6
"""Examples that are curves or tagged words, which take much room."""
_ROUNDED = 6
"""Digits of numbers in the JSON."""


@dataclass(frozen=True, eq=False)
class ShownCase:
    """A case with its picture, or its text, or its words."""

    case: Case
    figure: Figure | None
    text: str
    words: Sequence[Word]
    more_words: int


@dataclass(frozen=True)
class ShownTable:
    """A table with the number of rows that it has no room for."""

    table: Table
    rows: Sequence[Sequence[Any]]
    more: int


def environment() -> Environment:
    """jinja2 with escaping on, and the filters of the templates."""
    jinja = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    jinja.filters |= {
        "plain": plain,
        "said": _said,
        "number": number,
        "cell": _cell,
        "name": _name,
        "counted": _counted,
    }
    return jinja


def template(name: str) -> str:
    """The text of a template in this package."""
    return resources.files("holdfast.inspect.report").joinpath(name).read_text("utf-8")


def render(facts: Facts) -> bytes:
    """The report of a run as HTML.

    Args:
        facts: The facts of the run.

    Returns:
        At most :data:`LARGEST` bytes of UTF-8. What does not fit is left out, with a word that says so.
    """
    pictures = Pictures()
    curves, metrics, inside = (part(facts, pictures) for part in (curves_of, metrics_of, inside_of))
    large = any(isinstance(case.shown, Curves | Words) for case in facts.cases)
    cases = [_shown(case, pictures) for case in facts.cases[: _MOST_LARGE if large else None]]
    style = Markup(template("style.css"))
    page = environment().from_string(template("report.html"))
    left_out = 0
    while True:
        content = page.render(
            facts=facts,
            style=style,
            curves=curves,
            metrics=metrics,
            inside=inside,
            cases=cases,
            mistakes=sum(shown.case.wrong for shown in cases),
            left_out=left_out,
            kept=kept_epoch(facts),
            engines=_grouped(facts.circumstances.engines),
            passages=[_shown_passage(passage) for passage in (facts.inside.passages if facts.inside else ())],
            tables=[_cut(table) for table in facts.tables],
            settings=facts.settings[:_MOST_SETTINGS],
            more_settings=len(facts.settings) - _MOST_SETTINGS,
            values=values_of(facts),
        ).encode()
        if len(content) <= LARGEST or not (cases or inside):
            return content
        left_out += 1  # the largest part goes first: the last case, then the last picture of the layers
        (cases if cases else inside).pop()


def _shown(case: Case, pictures: Pictures) -> ShownCase:
    text = plain(case.shown.text, _LONGEST_TEXT, lines=True) if isinstance(case.shown, Text) else ""
    words = case.shown.words if isinstance(case.shown, Words) else ()
    return ShownCase(case, of_case(case.shown, pictures), text, words[:_MOST_WORDS], len(words) - _MOST_WORDS)


@dataclass(frozen=True)
class ShownPassage:
    """A passage with its tokens, and whether some of its values are below 0."""

    passage: Passage
    tokens: Sequence[ShownToken]
    signed: bool


def _shown_passage(passage: Passage) -> ShownPassage:
    return ShownPassage(passage, _tokens(passage), bool((passage.values < 0).any()))


@dataclass(frozen=True)
class ShownToken:
    """A token of a passage: its text, and the class of its shade; ``""`` for none."""

    text: str
    shade: str


def _tokens(passage: Passage) -> list[ShownToken]:
    """The tokens of a passage. A value above 0 shades the token, one below 0 underlines it, so that grey is enough."""
    words = any(len(token) > 1 for token in passage.tokens)
    shown = []
    for token, value in zip(passage.tokens, passage.values.tolist(), strict=True):
        known = value == value and passage.most > 0
        level = min(_SHADES, round(_SHADES * abs(value) / passage.most)) if known else 0
        text = "↵\n" if token == "\n" else plain(token, 40)
        shown.append(ShownToken(text + " " * words, f"{'v' if value > 0 else 'n'}{level}" if level else ""))
    return shown


@dataclass(frozen=True)
class KeptEpoch:
    """The epoch whose weights were kept.

    Attributes:
        number: The epoch, from 1.
        parts: The data that its metrics are on: training and, if there are any, validation.
        metrics: The name of each metric, and its value on each part.
    """

    number: int
    parts: Sequence[str]
    metrics: Sequence[tuple[str, Sequence[float | None]]]


def kept_epoch(facts: Facts) -> KeptEpoch | None:
    """The best epoch of a run, or the last one where no validation score says which is best; None without one."""
    epochs = [row for row in facts.rows if row["event"] == "epoch"]
    if not epochs:
        return None
    row = next((row for row in reversed(epochs) if row.get("best")), epochs[-1])
    parts = [part for part in ("train", "validation") if part in row]
    of_model = facts.comparison.get("model")  # without the metrics of baselines, which the epochs have too
    names = dict.fromkeys(name for part in parts for name in row[part] if of_model is None or name in of_model)
    return KeptEpoch(row["epoch"], parts, [(name, [row[part].get(name) for part in parts]) for name in names])


@dataclass(frozen=True)
class ShownEngine:
    """An engine with the layers that it runs for the same reasons, and the number of further layers."""

    engine: str
    parts: Sequence[str]
    more: int
    reasons: Sequence[tuple[str, str]]


def _grouped(engines: Sequence[Mapping[str, Any]]) -> list[ShownEngine]:
    """The engines, with the layers of equal reasons together."""
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}
    for row in engines:
        groups.setdefault((row["engine"], tuple(row["not"].items())), []).append(plain(row["part"], 80))
    shown = list(groups.items())[:_MOST_ENGINES]
    return [
        ShownEngine(engine, parts[:_MOST_ENGINES], max(0, len(parts) - _MOST_ENGINES), reasons)
        for (engine, reasons), parts in shown
    ]


def _cut(table: Table) -> ShownTable:
    more = len(table.rows) - _MOST_TABLE_ROWS
    return ShownTable(table, table.rows[:_MOST_TABLE_ROWS] if more > 0 else table.rows, max(0, more))


def values_of(facts: Facts) -> dict[str, Any]:
    """The numbers of the page as JSON values, for programs that read it; long parts are cut as in the page."""
    figures = {name: value for name, value in facts.figures.items() if name != "confusion" or _fits(value)}
    recorded = facts.circumstances
    values: dict[str, Any] = rounded(
        finite(
            {
                "name": plain(facts.name),
                "task": facts.task,
                "recipe": {
                    plain(setting.key, 100): plain(setting.value, 100) for setting in facts.settings[:_MOST_SETTINGS]
                },
                "sizes": {part: dict(counts) for part, counts in recorded.sizes.items()},
                "versions": dict(recorded.versions),
                "engines": [dict(row) for row in recorded.engines],
                "parameters": facts.layers.total,
                "epochs": facts.epochs,
                "updates": facts.updates,
                "seconds": facts.seconds,
                "measured_on": facts.measured_on,
                "results": dict(facts.results),
                "comparison": {name: dict(values) for name, values in facts.comparison.items()},
                "figures": {name: _first(value) for name, value in figures.items()},
                "history": [dict(row) for row in thinned(facts.rows, _MOST_ROWS_IN_JSON)],
                "worst": [
                    {"origin": plain(case.origin), "error": case.error, "wrong": case.wrong} for case in facts.cases
                ],
            }
        )
    )
    return values


def _fits(confusion: Mapping[str, Any]) -> bool:
    return len(confusion["labels"]) <= MOST_LABELS


def _first(value: Any) -> Any:
    """The first entries of a long list or table."""
    if isinstance(value, Mapping):
        return {plain(key): _first(part) for key, part in list(value.items())[:_MOST_TABLE_ROWS]}
    if isinstance(value, list):
        return [_first(part) for part in value[: 5 * _MOST_TABLE_ROWS]]
    return plain(value) if isinstance(value, str) else value


def rounded(value: Any) -> Any:
    """JSON values with numbers of a few digits."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.{_ROUNDED}g}") if isinstance(value, float) else value


def _said(name: object) -> str:
    """The name of a metric, in words."""
    return plain(str(name).replace("_", " "))


def _cell(value: Any) -> str:
    """A value in a table."""
    if isinstance(value, float):
        return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return "-" if value is None else plain(value, 120)


def _counted(count: int, unit: object) -> str:
    """A unit of the right number: ``1 text``, ``2 texts``; ``1 series``."""
    name = _said(unit)
    return name.removesuffix("s") if count == 1 and name != "series" else name


def _name(value: object) -> str:
    """A name that a table or heading has room for."""
    return plain(value, 120)
