"""docs/inside.md lists every figure of ``holdfast plot``, as the table of the code does."""

from __future__ import annotations

import re
from pathlib import Path

from holdfast.inspect import figures
from holdfast.inspect.plots import PLOTS
from holdfast.tasks import NAMES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "inside.md").read_text("utf-8")


def test_the_table_of_figures_is_that_of_the_code() -> None:
    found = re.search(r"^\| name \| tasks \| shows \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert found
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]
    assert rows == [
        [
            f"`{name}`",
            "all" if plot.tasks == NAMES else ", ".join(plot.tasks),
            plot.shows,
            ", ".join(f"`{function}`" for function in plot.functions),
        ]
        for name, plot in PLOTS.items()
    ]


def test_the_functions_of_the_table_exist_and_all_that_exist_are_in_it() -> None:
    named = {function for plot in PLOTS.values() for function in plot.functions}
    assert named == set(figures.__all__) - {"PALETTE", "svg_text", "write_figure"}
