"""Progress: a line every few seconds, a bar on a terminal, nothing where it is not wanted."""

from __future__ import annotations

import io

from rich.console import Console

from holdfast.scoring.progress import ScoringProgress


def test_lines_have_speed_and_time_left() -> None:
    text, seconds = io.StringIO(), [0.0]
    with ScoringProgress(Console(file=text, width=200), interval=10, clock=lambda: seconds[0]) as progress:
        progress.begin(4000, 1000)
        for seconds[0] in (4.0, 9.0, 20.0, 25.0):
            progress.advance(500)
        progress.note("a note [in brackets]")
    assert text.getvalue().splitlines() == [
        "resuming after 1,000 of 4,000 rows",
        "2,500 of 4,000 rows  75 rows/s  0:20 left",
        "a note [in brackets]",
    ]


def test_a_bar_on_a_terminal() -> None:
    text = io.StringIO()
    with ScoringProgress(Console(file=text, width=100, force_terminal=True)) as progress:
        progress.begin(4000, 0)
        progress.advance(4000)
    assert "4,000 of 4,000 rows" in text.getvalue()


def test_nothing_without_a_console() -> None:
    with ScoringProgress(None) as progress:
        progress.begin(10, 5)
        progress.advance(5)
        progress.note("nobody reads this")
