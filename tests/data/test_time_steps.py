"""Missing times of a series: every step from its first to its last row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars
import pytest
from tests.data.times import read

from holdfast.data.time_axis import TimeAxis


@pytest.mark.parametrize(
    "texts",
    [
        [f"2024-01-{day:02}" for day in range(1, 15)],
        [str(day) for day in np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]") if np.is_busday(day)],
        [f"{2020 + k // 12}-{k % 12 + 1:02}" for k in range(40)],
        ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31", "2024-06-30"],
        ["2024-01-30", "2024-02-29", "2024-03-30", "2024-04-30", "2024-05-30", "2024-06-30"],
        [f"{year}-01-01" for year in range(1990, 2010)],
        [f"2024-03-0{day} {hour:02}:00" for day in (1, 2) for hour in range(0, 24, 3)],
        [f"2024-03-01T00:00:{second:02}.5" for second in range(20)],
        [str(k) for k in range(5, 30)],
        [f"2024-01-{day:02} 08:00+02:00" for day in range(1, 15)],
    ],
    ids=lambda texts: texts[0],
)
@pytest.mark.parametrize("drop", [[3], [1], [2, 3], [-2]])
def test_dropped_times_come_back(texts: list[str], drop: list[int]) -> None:
    whole = read(texts)
    left = [text for place, text in enumerate(texts) if place not in [at % len(texts) for at in drop]]
    times, rows = read(left).completed()
    assert times.as_json() == whole.as_json()
    assert [texts[row] for row in rows] == left
    assert times.instants.dtype == whole.instants.dtype


def test_nothing_is_missing_of_a_whole_series() -> None:
    axis = read(["2024-01-01", "2024-01-02", "2024-01-03"])
    times, rows = axis.completed()
    assert times is axis
    assert rows.tolist() == [0, 1, 2]
    short = axis[:1]
    assert short.completed()[0] is short


def test_days_are_completed_across_the_change_of_clocks() -> None:
    midnights = [datetime(2024, 10, 24, 22, tzinfo=UTC) + timedelta(days=k, hours=k > 2) for k in range(6)]
    local = polars.Series("t", midnights).dt.convert_time_zone("Europe/Berlin")
    whole = read(local)
    times, rows = read(local.gather([0, 1, 4, 5])).completed()
    assert times.as_json() == whole.as_json()
    assert times.as_json()[3] == "2024-10-28T00:00:00+01:00"
    assert rows.tolist() == [0, 1, 4, 5]
    hours = polars.Series("t", [datetime(2024, 10, 26, 23, tzinfo=UTC) + timedelta(hours=k) for k in range(5)])
    hours = hours.dt.convert_time_zone("Europe/Berlin")
    assert read(hours.gather([0, 1, 3, 4])).completed()[0].as_json() == read(hours).as_json()


def test_a_time_between_two_steps_is_shown() -> None:
    _, rows = read(["2024-01-01 00:00", "2024-01-02 00:00", "2024-01-02 12:00", "2024-01-03 00:00"]).completed()
    assert rows.tolist() == [0, 2, 3, 4]  # of two steps that are as frequent, the shorter one
    _, rows = read(
        ["2024-01-01", "2024-01-02", "2024-01-03 12:00", *(f"2024-01-0{day}" for day in range(4, 8))]
    ).completed()
    assert rows.tolist() == [0, 1, -1, 3, 4, 5, 6]
    _, rows = TimeAxis(np.array([0.0, 1.0, 2.5, 3.0, 4.0, 5.0])).completed()
    assert rows.tolist() == [0, 1, -1, 3, 4, 5]


def test_steps_that_binary_numbers_do_not_hold_are_steps() -> None:
    whole = np.arange(100) / 10
    times, rows = TimeAxis(np.delete(whole, [3, 50])).completed()
    assert times.instants == pytest.approx(whole)
    assert rows.tolist() == np.delete(np.arange(100), [3, 50]).tolist()


@pytest.mark.parametrize(
    "axis",
    [
        TimeAxis(np.array([0.0, 1.0, 1e15])),
        TimeAxis(np.array(["2024-01-01", "2024-01-02", "3024-01-01"], "datetime64[us]")),
        TimeAxis(np.array(["2024-01-01T00:00", "2024-01-01T00:01", "2424-01-01"], "datetime64[us]")),
    ],
)
def test_a_far_row_does_not_become_millions_of_rows(axis: TimeAxis) -> None:
    times, rows = axis.completed()
    assert len(times) == 3
    assert rows.tolist() == [0, -1, -1]
