"""The pictures of a report: figures as SVG inside the page, in the page's colours, and images of examples."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from holdfast.inspect.facts import Facts
from holdfast.inspect.figures.canvas import PALETTE, as_array, new_figure, svg_text
from holdfast.inspect.figures.cases import curves
from holdfast.inspect.figures.confusion import confusion_matrix
from holdfast.inspect.figures.forecasts import error_by_horizon
from holdfast.inspect.figures.gates import gates_over_time, state_heat_map
from holdfast.inspect.figures.gradients import gradient_through_time
from holdfast.inspect.figures.learning_curves import learning_curves
from holdfast.inspect.report.text import plain
from holdfast.tasks.presentation import Curves, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 4.6
"""Inches. In a phone's width its texts can still be read; on a desk, two figures are side by side."""
MOST_ROWS = 300
"""Epochs in a curve, and steps in a picture of a sequence; of more epochs, evenly spaced ones are drawn."""
MOST_LABELS = 40
"""Labels of a confusion matrix; with more labels it cannot be read."""
_LARGEST_SIDE = 160
"""Pixels of an image of an example, to each side."""
_GREY = 255


@dataclass(frozen=True)
class Figure:
    """A picture in a page.

    Attributes:
        markup: The element, without a text alternative.
        alternative: What it shows, in words and numbers.
        caption: Below the picture; empty for none.
        wide: Whether it takes the whole width of the page.
    """

    markup: Markup
    alternative: str
    caption: str = ""
    wide: bool = False


class Pictures:
    """Draws the pictures of one page; each has its own ids in it."""

    def __init__(self) -> None:
        self._count = 0

    def drawn(
        self,
        draw: Callable[[Axes], Any],
        alternative: str,
        caption: str = "",
        *,
        size: tuple[float, float] = (WIDTH, 3.0),
        wide: bool = False,
    ) -> Figure:
        """A figure of matplotlib as a picture.

        Args:
            draw: Draws on Axes.
            alternative: What the picture shows, in words.
            caption: Below the picture.
            size: Inches: width and height.
            wide: Whether it takes the whole width of the page.
        """
        self._count += 1
        figure = new_figure(*size)
        with warnings.catch_warnings():
            # The reader's fonts draw the texts; only their widths are estimated, with a font that has fewer letters.
            warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
            draw(figure.subplots())
            text = svg_text(figure)
        return Figure(Markup(in_page(text, f"f{self._count}-")), alternative, caption, wide)  # noqa: S704


def in_page(svg: str, prefix: str) -> str:
    """An SVG of matplotlib as a part of a page: it scales, has the page's colours and font, and ids of its own.

    Args:
        svg: The element ``<svg>``.
        prefix: Precedes every id in it.
    """
    svg = re.sub(r"\s*<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'^<svg [^>]*?(viewBox="[^"]*")[^>]*>', r'<svg \1 aria-hidden="true">', svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    svg = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{prefix}", svg)
    svg = svg.replace("xlink:href", "href")
    return re.sub(r'(?<=\s)(style|fill|stroke)="([^"<>]*)"', _in_colors_of_the_page, svg)


def _in_colors_of_the_page(attribute: re.Match[str]) -> str:
    value = attribute[2].replace("'DejaVu Sans Mono'", "monospace").replace("'DejaVu Sans'", "sans-serif")
    for name, color in PALETTE.items():
        value = value.replace(color, f"var(--{name})")
    return f'{attribute[1]}="{value}"'


def curves_of(facts: Facts, pictures: Pictures) -> list[Figure]:
    """The learning curves: the loss, and the metric that decides which epoch is best or the task's first one."""
    epochs = [row for row in facts.rows if row["event"] == "epoch"]
    if not epochs:
        return []
    rows = thinned(epochs)
    names = list(dict.fromkeys(name for row in rows for name in row["train"]))
    figures = []
    for name in [*["loss"] * ("loss" in names), *[name for name in names if name != "loss"]][:3]:
        first, last = (row["train"].get(name) for row in (rows[0], rows[-1]))
        validation = [row["validation"][name] for row in rows if name in row.get("validation", {})]
        words = f"{name.replace('_', ' ')} on the training batches: from {number(first)} to {number(last)}"
        if validation:
            words += f"; on the validation data: from {number(validation[0])} to {number(validation[-1])}"
        figures.append(
            pictures.drawn(
                lambda ax, name=name: learning_curves(rows, name, ax=ax),  # type: ignore[misc]
                f"Curve over {facts.updates:,} updates in {len(epochs):,} epochs: {words}.",
            )
        )
    return figures


def thinned(rows: Sequence[Mapping[str, Any]], most: int = MOST_ROWS) -> list[Mapping[str, Any]]:
    """At most this many rows, evenly spaced, with the first, the last and the best one."""
    if len(rows) <= most:
        return list(rows)
    places = {round(place) for place in np.linspace(0, len(rows) - 1, most - 1).tolist()}
    best = max((place for place, row in enumerate(rows) if row.get("best")), default=0)
    return [rows[place] for place in sorted(places | {best})]


def metrics_of(facts: Facts, pictures: Pictures) -> list[Figure]:
    """The confusion matrix, and the errors by horizon."""
    figures = []
    confusion = facts.figures.get("confusion")
    if confusion and len(confusion["labels"]) <= MOST_LABELS:
        labels, counts = [plain(label, 20) for label in confusion["labels"]], np.asarray(confusion["counts"])
        wrong = [(int(counts[i, j]), i, j) for i, j in np.argwhere(counts > 0).tolist() if i != j]
        words = f"Confusion matrix of {len(labels)} labels: {int(np.trace(counts)):,} of {int(counts.sum()):,} right"
        for count, i, j in sorted(wrong, key=lambda each: (-each[0], each[1], each[2]))[:3]:
            words += f"; {labels[i]} taken for {labels[j]}: {count}"
        side = min(WIDTH * 1.5, max(3.2, 0.36 * len(labels) + 1.4))
        draw = _without_math(lambda ax: confusion_matrix(counts, labels, ax=ax))
        figures.append(pictures.drawn(draw, f"{words}.", size=(side, side), wide=side > WIDTH))
    errors = facts.figures.get("mae_by_row")
    if errors and len(errors["model"]) > 1:
        words = ", ".join(f"{_said(name)} {number(v[0])} in the first row and {number(v[-1])} in the last"
                          for name, v in errors.items())
        named = {_said(name): values for name, values in errors.items()}
        figures.append(
            pictures.drawn(lambda ax: error_by_horizon(named, ax=ax), f"Mean absolute error by rows ahead: {words}.")
        )
    return figures


def _said(name: str) -> str:
    return name.replace("_", " ")


def inside_of(facts: Facts, pictures: Pictures) -> list[Figure]:
    """The gates and states of the layers over the steps of an example, and the gradient through time."""
    inside = facts.inside
    if inside is None:
        return []
    figures = []
    steps = [plain(step, 12) for step in inside.steps[:MOST_ROWS]] or None
    for layer in inside.layers:
        gates = {name: as_array(values)[:MOST_ROWS] for name, values in layer.gates.items()}
        title = f"{layer.cell}, {layer.name}"
        if set(gates) - {"candidate"}:
            words = ", ".join(
                f"{name} gate {number(float(np.median(values)))}" for name, values in gates.items() if name != "candidate"
            )
            figures.append(
                pictures.drawn(
                    _without_math(lambda ax, gates=gates: gates_over_time(gates, steps=steps, title=f"Gates: {title}", ax=ax)),
                    f"Gates of {title} over {len(next(iter(gates.values())))} steps; medians over all steps and units: {words}.",
                )
            )
        states = {name: as_array(values)[:MOST_ROWS] for name, values in layer.states.items()}
        name = "cell" if "cell" in states else "hidden"
        if name in states:
            values = states[name]
            figures.append(
                pictures.drawn(
                    _without_math(
                        lambda ax, values=values, name=name: state_heat_map(
                            values, name=f"{name} state", steps=steps, title=f"State: {title}", ax=ax
                        )
                    ),
                    f"The {name} state of {values.shape[1]} units of {title} over {len(values)} steps: from "
                    f"{number(float(values.min()))} to {number(float(values.max()))}.",
                )
            )
    for layer_name, norms in inside.norms.items():
        known = {name: values for name, values in norms.items() if np.nanmax(values, initial=0.0) > 0}
        if known:
            memory = inside.memory.get(layer_name, {})
            words = "; ".join(f"{name}: 90 % within {memory[name]} steps" for name in known if name in memory)
            figures.append(
                pictures.drawn(
                    lambda ax, known=known, memory=memory, layer_name=layer_name: gradient_through_time(
                        known, memory=memory, title=f"Gradient through time: {layer_name}", ax=ax
                    ),
                    f"Norm of the gradient by steps back from the loss, {layer_name}. {words}",
                )
            )
    return figures


def of_case(shown: Any, pictures: Pictures) -> Figure | None:
    """The picture of an example; None for one that is a text."""
    if isinstance(shown, Picture):
        return _image(shown)
    if not isinstance(shown, Curves):
        return None
    names = ", ".join(plain(line.name, 40) for line in shown.lines)
    count = max(len(line.x) for line in shown.lines)
    return pictures.drawn(
        _without_math(lambda ax: curves(shown, ax=ax)), f"Curves over {count} steps: {names}.", size=(WIDTH, 2.5)
    )


def _image(shown: Picture) -> Figure:
    """An image as PNG: ink on transparent paper, so that the page's colours show."""
    from matplotlib.image import imsave

    values = np.nan_to_num(np.asarray(shown.values, dtype=np.float64))
    rows, columns = values.shape
    values = values[:: -(-rows // _LARGEST_SIDE), :: -(-columns // _LARGEST_SIDE)]
    low, high = float(values.min()), float(values.max())
    shades = np.rint((values - low) / (high - low or 1.0) * _GREY).astype(np.uint8)
    zeros = np.zeros_like(shades)
    content = io.BytesIO()
    imsave(content, np.stack([zeros, zeros, zeros, shades], -1), format="png", metadata={"Software": None})
    data = base64.b64encode(content.getvalue()).decode("ascii")
    height, width = shades.shape
    words = f"Image of {rows} rows and {columns} columns; down: {shown.axes[0]}, to the right: {shown.axes[1]}."
    kind = "small" if max(height, width) <= 64 else "large"
    return Figure(
        Markup('<img class="{}" src="data:image/png;base64,{}" width="{}" height="{}" alt="">').format(
            f"pixels {kind}", data, width, height
        ),
        words,
    )


def _without_math(draw: Callable[[Axes], Any]) -> Callable[[Axes], Any]:
    """The same drawing, whose texts show ``$`` as it is and not as the sign of a formula."""

    def drawn(ax: Axes) -> None:
        draw(ax)
        for text in ax.figure.findobj(match=lambda artist: hasattr(artist, "set_parse_math")):
            text.set_parse_math(False)  # type: ignore[attr-defined]  # it has the method

    return drawn


def number(value: Any) -> str:
    """A number in a text: four digits, or ``-`` for none."""
    return "-" if value is None else f"{value:.4g}"
