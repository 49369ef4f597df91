"""A small drawing of boxes, operations and lines, as SVG for light and dark pages.

``docs/diagrams.py`` draws the cells with it. Coordinates are in pixels, x to the right and y down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

Point = tuple[float, float]

# Each role has its colour on a light and on a dark page. The picture has its own background in both.
_COLORS = {
    "paper": ("#ffffff", "#0d1117"),
    "ink": ("#1f2933", "#e6edf3"),
    "muted": ("#5b6672", "#9aa7b4"),
    "frame": ("#f4f6f8", "#161b22"),
    "edge": ("#c3cad1", "#3d4650"),
    "state": ("#0072b2", "#6cb6ff"),
    "output": ("#b34700", "#ff9e64"),
    "input": ("#5b6672", "#9aa7b4"),
    "option": ("#8a3ffc", "#c4a1ff"),
    "gate": ("#e3f0f8", "#12304a"),
    "candidate": ("#fdeee0", "#40280f"),
}
_RADIUS = 9.0


def _style() -> str:
    """The classes of a picture; a dark page changes their colours."""
    light, dark = (";".join(f"--{name}:{pair[k]}" for name, pair in _COLORS.items()) for k in (0, 1))
    lines = "".join(
        f".{name}{{stroke:var(--{name});fill:none}}" for name in ("ink", "state", "output", "input", "option")
    )
    heads = "".join(f".{name}-head{{fill:var(--{name})}}" for name in ("ink", "state", "output", "input", "option"))
    return (
        f"svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}"
        ".paper{fill:var(--paper)}.frame{fill:var(--frame);stroke:var(--edge)}"
        ".gate{fill:var(--gate);stroke:var(--ink)}.candidate{fill:var(--candidate);stroke:var(--ink)}"
        ".plain{fill:var(--paper);stroke:var(--ink)}.badge{fill:var(--option)}"
        ".gap{fill:var(--frame)}"
        f"{lines}{heads}.dashed{{stroke-dasharray:5 4}}"
        "text{font-family:'Segoe UI',Helvetica,Arial,sans-serif;fill:var(--ink);font-size:15px}"
        ".small{font-size:12.5px;fill:var(--muted)}.label{font-size:12.5px}.mono{font-family:Menlo,Consolas,monospace}"
        ".letter{font-style:italic;font-family:Georgia,'Times New Roman',serif;font-size:19px}.sign{font-size:19px}"
        ".number{font-size:12px;font-weight:700;fill:var(--paper)}.option-text{fill:var(--option);font-size:12.5px}"
    )


class Drawing:
    """A picture.

    Args:
        width: Pixels.
        height: Pixels.
        title: What it is, for readers of screens.
        description: What it shows, in words, for readers of screens.
    """

    def __init__(self, width: int, height: int, title: str, description: str) -> None:
        self._size, self._title, self._description = (width, height), title, description
        self._below: list[str] = []
        self._lines: list[str] = []
        self._above: list[str] = []

    def frame(self, left: float, top: float, right: float, bottom: float) -> None:
        """The border of a cell."""
        place = f'x="{_n(left)}" y="{_n(top)}" width="{_n(right - left)}" height="{_n(bottom - top)}"'
        self._below.append(f'<rect class="frame" {place} rx="16"/>')

    def line(
        self,
        points: Sequence[Point],
        kind: str = "ink",
        *,
        arrow: bool = True,
        width: float = 2.0,
        dashed: bool = False,
        over: Sequence[Point] = (),
    ) -> None:
        """A line through points, with round corners.

        Args:
            points: Where it goes.
            kind: Its colour.
            arrow: Whether its end is an arrow.
            width: Pixels.
            dashed: Whether it is dashed.
            over: Where it crosses earlier lines without touching them.
        """
        dash = " dashed" if dashed else ""
        self._lines += [f'<circle class="gap" cx="{_n(x)}" cy="{_n(y)}" r="6"/>' for x, y in over]
        self._lines.append(f'<path class="{kind}{dash}" d="{_rounded(points)}" stroke-width="{_n(width)}"/>')
        if arrow:
            self._lines.append(f'<path class="{kind}-head" d="{_head(points[-2], points[-1])}"/>')

    def dot(self, x: float, y: float, kind: str = "ink") -> None:
        """Where a line parts in two."""
        self._above.append(f'<circle class="{kind}-head" cx="{_n(x)}" cy="{_n(y)}" r="3.6"/>')

    def box(
        self,
        x: float,
        y: float,
        letter: str,
        note: str = "",
        *,
        kind: str = "gate",
        width: float = 60,
        height: float = 38,
    ) -> None:
        """A box with a letter or a function, and a note below it."""
        place = f'x="{_n(x - width / 2)}" y="{_n(y - height / 2)}" width="{_n(width)}" height="{_n(height)}"'
        self._above.append(f'<rect class="{kind}" {place} rx="7" stroke-width="1.4"/>')
        self._above.append(_text(x, y + 6, letter, "letter"))
        if note:
            self._above.append(_text(x, y + height / 2 + 15, note, "small"))

    def operation(self, x: float, y: float, sign: str, *, size: float = 15) -> None:
        """A circle with a sign, such as a sum or a product value by value."""
        self._above.append(f'<circle class="plain" cx="{_n(x)}" cy="{_n(y)}" r="{_n(size)}" stroke-width="1.4"/>')
        self._above.append(_text(x, y + 6.5, sign, "sign"))

    def text(self, x: float, y: float, text: str, kind: str = "", *, anchor: str = "middle") -> None:
        """A text; y is the height of its base line."""
        self._above.append(_text(x, y, text, kind, anchor))

    def badge(self, x: float, y: float, number: int) -> None:
        """A number in a circle, which a legend explains."""
        self._above.append(f'<circle class="badge" cx="{_n(x)}" cy="{_n(y)}" r="9.5"/>')
        self._above.append(_text(x, y + 4.3, str(number), "number"))

    def svg(self) -> str:
        """The picture as the text of a file."""
        width, height = self._size
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'role="img" aria-labelledby="title description">',
            f'<title id="title">{escape(self._title)}</title>',
            f'<desc id="description">{escape(self._description)}</desc>',
            f"<style>{_style()}</style>",
            f'<rect class="paper" width="{width}" height="{height}" rx="8"/>',
            *self._below,
            *self._lines,
            *self._above,
            "</svg>",
        ]
        return "\n".join(parts) + "\n"


def _text(x: float, y: float, text: str, kind: str, anchor: str = "middle") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{escape(text)}</text>'


def _n(value: float) -> str:
    """A number as short as possible, with one decimal at most."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _towards(start: Point, end: Point, distance: float) -> Point:
    """The point at a distance from a start in the direction of an end."""
    length = math.dist(start, end)
    share = min(distance, length / 2) / length
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _rounded(points: Sequence[Point]) -> str:
    """A path through points whose corners are round."""
    first = points[0]
    path = f"M{_n(first[0])} {_n(first[1])}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _towards(corner, before, _RADIUS), _towards(corner, after, _RADIUS)
        path += f"L{_n(start[0])} {_n(start[1])}Q{_n(corner[0])} {_n(corner[1])} {_n(end[0])} {_n(end[1])}"
    return f"{path}L{_n(points[-1][0])} {_n(points[-1][1])}"


def _head(before: Point, tip: Point) -> str:
    """The triangle of an arrow."""
    angle = math.atan2(tip[1] - before[1], tip[0] - before[0])
    corners = [tip]
    for side in (-1, 1):
        turn = angle + math.pi - side * 0.42
        corners.append((tip[0] + 10 * math.cos(turn), tip[1] + 10 * math.sin(turn)))
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in corners) + "Z"
