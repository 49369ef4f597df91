from __future__ import annotations

from datetime import date, datetime

import numpy as np
import polars
import pytest

from holdfast.data.time_axis import calendar, continued, moment, parsed, shown


def moments(*texts: str) -> np.ndarray:
    return np.array(texts, "datetime64[us]")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1949-02", datetime(1949, 2, 1)),
        ("19490201", datetime(1949, 2, 1)),
        ("1949-02-01", datetime(1949, 2, 1)),
        ("2016-07-01 05:15", datetime(2016, 7, 1, 5, 15)),
        ("2016-07-01T05:15:20", datetime(2016, 7, 1, 5, 15, 20)),
        ("2016-07-01T05:15:20.25", datetime(2016, 7, 1, 5, 15, 20, 250000)),
        (" 2016-07-01 05:15:20Z", datetime(2016, 7, 1, 5, 15, 20)),
        ("2016-07-01 05:15+02:00", datetime(2016, 7, 1, 3, 15)),
        ("1700", 1700),
        ("0.25", 0.25),
    ],
)
def test_a_text_is_a_time_or_a_number(text: str, time: object) -> None:
    assert parsed(polars.Series([text, text])).to_list() == [time, time]


@pytest.mark.parametrize("texts", [["2016-07-01", "soon"], ["1700", "now"], ["0.5", "nan"], ["2016-07-01", None]])
def test_what_is_no_time_is_null(texts: list[str | None]) -> None:
    assert parsed(polars.Series(texts)).is_null().to_list() == [False, True]


def test_columns_that_are_times_already() -> None:
    assert parsed(polars.Series([date(2020, 1, 2)])).to_list() == [datetime(2020, 1, 2)]
    zoned = polars.Series([datetime(2020, 1, 2, 12)]).dt.replace_time_zone("Europe/Berlin")
    assert parsed(zoned).to_list() == [datetime(2020, 1, 2, 11)]
    assert parsed(polars.Series([3, 4])).to_list() == [3, 4]


def test_a_moment_is_of_the_kind_of_the_series() -> None:
    assert moment("1950", np.array([1700, 1701])) == 1950
    assert moment("1950", moments("1949-01-01")) is None
    assert moment("1950-01", moments("1949-01-01")) == np.datetime64("1950-01-01")
    assert moment("1950-01", np.array([1700, 1701])) is None


@pytest.mark.parametrize(
    ("times", "following"),
    [
        (["1960-11-01", "1960-12-01"], ["1961-01-01", "1961-02-01", "1961-03-01"]),
        (["2019-11-15", "2020-02-15"], ["2020-05-15", "2020-08-15", "2020-11-15"]),
        (["2020-11-30", "2020-12-31", "2021-01-31"], ["2021-02-28", "2021-03-31", "2021-04-30"]),
        (["2016-01-01T22:00", "2016-01-01T23:00"], ["2016-01-02T00:00", "2016-01-02T01:00", "2016-01-02T02:00"]),
        (["2001-12-22", "2001-12-29"], ["2002-01-05", "2002-01-12", "2002-01-19"]),
        (["2020-02-27", "2020-02-28", "2020-02-29"], ["2020-03-01", "2020-03-02", "2020-03-03"]),
    ],
)
def test_times_go_on_by_their_step(times: list[str], following: list[str]) -> None:
    assert continued(moments(*times), 3).tolist() == moments(*following).tolist()


def test_a_daily_series_without_weekends_goes_on_without_them() -> None:
    days = np.arange("2016-02-15", "2016-03-02", dtype="datetime64[D]")
    days = np.delete(days[np.is_busday(days)], 3)  # a holiday
    following = continued(days.astype("datetime64[us]"), 4)
    assert shown(following) == ["2016-03-02", "2016-03-03", "2016-03-04", "2016-03-07"]


def test_numbers_go_on_by_the_commonest_difference() -> None:
    assert continued(np.array([1, 2, 3, 5, 6]), 2).tolist() == [7, 8]
    assert continued(np.array([0.0, 0.5]), 2).tolist() == [1.0, 1.5]


def test_the_calendar_is_points_on_circles() -> None:
    times = moments("2021-01-04T06:00", "2021-07-01T12:00")  # a Monday and a Thursday
    found = calendar(times, ["hour", "weekday", "month", "day_of_year"])
    angles = np.arctan2(found[:, ::2], found[:, 1::2]) / (2 * np.pi) % 1
    expected = [[6 / 24, 0, 0, 3 / 365.2425], [12 / 24, 3 / 7, 6 / 12, 181 / 365.2425]]
    assert np.allclose(angles, expected, atol=1e-6)
    assert np.allclose(np.hypot(found[:, ::2], found[:, 1::2]), 1, atol=1e-6)
    assert calendar(np.arange(3), []).shape == (3, 0)


def test_times_are_shown_as_finely_as_they_are() -> None:
    assert shown(moments("2020-01-01", "2020-01-02")) == ["2020-01-01", "2020-01-02"]
    assert shown(moments("2020-01-01", "2020-01-01T01")) == ["2020-01-01T00:00:00", "2020-01-01T01:00:00"]
    assert shown(moments("2020-01-01T00:00:00.5")) == ["2020-01-01T00:00:00.500000"]
    assert shown(np.array([1700, 1701])) == [1700, 1701]
