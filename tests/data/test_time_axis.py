from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars
import pytest
from tests.data.times import of, read, refusal

from holdfast.data.settings import TableSettings
from holdfast.data.time_axis import TimeAxis
from holdfast.data.time_form import Form

PLAIN = TableSettings()


@pytest.mark.parametrize(
    ("texts", "following"),
    [
        (["2024-07-04 06:00+02:00", "2024-07-04 07:00+02:00"], ["2024-07-04 08:00+02:00", "2024-07-04 09:00+02:00"]),
        (["2024-07-04T06:00:00Z", "2024-07-04T07:00:00Z"], ["2024-07-04T08:00:00Z", "2024-07-04T09:00:00Z"]),
        (["2024-07-04 06:00+0530", "2024-07-04 07:00+0530"], ["2024-07-04 08:00+0530", "2024-07-04 09:00+0530"]),
        (["2024-07-04 06:00-03", "2024-07-04 07:00-03"], ["2024-07-04 08:00-03", "2024-07-04 09:00-03"]),
        # Offsets that differ: the last one is that of what follows, days stay days.
        (["2024-03-30 00:00+01:00", "2024-03-31 00:00+01:00", "2024-04-01 00:00+02:00"], ["2024-04-02 00:00+02:00"]),
        (["2024-10-27 02:00+02:00", "2024-10-27 02:00+01:00"], ["2024-10-27 03:00+01:00", "2024-10-27 04:00+01:00"]),
        (["2024-07-04 06:00", "2024-07-04 07:00"], ["2024-07-04 08:00"]),
        (["2024-07-04T06:00:00.000", "2024-07-04T06:00:00.250"], ["2024-07-04T06:00:00.500"]),
        (["2024-11", "2024-12"], ["2025-01", "2025-02"]),
        (["2024/11/29", "2024/11/30"], ["2024/12/01"]),
        (["20241130", "20241201"], ["20241202"]),
        (["23:00", "23:30"], ["00:00"]),
        (["11:00 AM", "11:30 AM"], ["12:00 PM"]),
        (["1700", "1701"], [1702, 1703]),
    ],
)
def test_times_go_on_in_the_zone_and_the_form_of_the_data(texts: list[str], following: list[object]) -> None:
    axis = read(texts)
    assert axis.as_json() == ([int(text) for text in texts] if not axis.dated else texts)
    assert axis.extended(len(following))[len(texts) :].as_json() == following


def test_a_format_writes_what_follows() -> None:
    axis = read(["30.11.2024 00:00", "01.12.2024 00:00"], time_format="%d.%m.%Y %H:%M")
    assert axis.extended(1)[2:].as_json() == ["02.12.2024 00:00"]
    zoned = read(["04.07.2024 06:00 +0200", "04.07.2024 07:00 +0200"], time_format="%d.%m.%Y %H:%M %z")
    assert zoned.extended(1)[2:].as_json() == ["04.07.2024 08:00 +0200"]


def berlin(*moments: datetime) -> polars.Series:
    return polars.Series("t", [one.replace(tzinfo=UTC) for one in moments]).dt.convert_time_zone("Europe/Berlin")


def test_a_zone_with_a_name_is_followed_across_the_change_of_clocks() -> None:
    hours = read(berlin(*(datetime(2024, 3, 30, 22) + timedelta(hours=k) for k in range(3))))
    assert hours.extended(3)[3:].as_json() == [
        "2024-03-31T03:00:00+02:00",
        "2024-03-31T04:00:00+02:00",
        "2024-03-31T05:00:00+02:00",
    ]
    days = read(berlin(datetime(2024, 10, 24, 22), datetime(2024, 10, 25, 22)))
    assert days.extended(3)[2:].as_json() == [
        "2024-10-27T00:00:00+02:00",
        "2024-10-28T00:00:00+01:00",
        "2024-10-29T00:00:00+01:00",
    ]
    # A time of day that a clock passes over is one hour later on that day alone.
    night = read(berlin(datetime(2024, 3, 29, 1, 30), datetime(2024, 3, 30, 1, 30)))
    assert night.extended(2)[2:].as_json() == ["2024-03-31T03:30:00+02:00", "2024-04-01T02:30:00+02:00"]


def test_a_time_zone_may_be_set() -> None:
    texts = ["2024-03-30 00:00+01:00", "2024-03-31 00:00+01:00"]
    assert read(texts, time_zone="Europe/Berlin").extended(1)[2:].as_json() == ["2024-04-01 00:00+02:00"]
    assert read(texts, time_zone="UTC").as_json() == ["2024-03-29 23:00+00:00", "2024-03-30 23:00+00:00"]
    local = read(["2024-03-31 01:00", "2024-03-31 03:00"], time_zone="Europe/Berlin")
    assert np.diff(local.instants).tolist() == [timedelta(hours=1)]
    assert local.extended(1)[2:].as_json() == ["2024-03-31 04:00"]
    assert refusal(["2024-01-01"], time_zone="Mars/Base") == (
        "data.time_zone is 'Mars/Base', which is not a time zone; expected a name such as Europe/Berlin or UTC."
    )


def test_the_calendar_is_that_of_the_place() -> None:
    """Monday 00:00+05:30 is Sunday evening in UTC."""
    found = read(["2021-01-04 00:00+05:30"]).calendar(["weekday", "hour"])
    assert np.allclose(found, [[0, 1, 0, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("texts", "moment", "row"),
    [
        (["1949", "1950", "1951"], "1950", 1),
        (["1949", "1950"], "1950-01", None),
        (["1949-12-01", "1950-01-01"], "1950", None),
        (["1949-12-01", "1950-01-01"], "1950-01", 1),
        (["1949-12-01", "1950-01-01"], "1951-01", 2),
        # A local date, and a moment with an offset.
        (["2024-07-31 23:00+05:30", "2024-08-01 00:00+05:30", "2024-08-01 01:00+05:30"], "2024-08-01", 1),
        (["2024-07-31 23:00+05:30", "2024-08-01 00:00+05:30", "2024-08-01 01:00+05:30"], "2024-07-31 19:00Z", 2),
    ],
)
def test_the_first_row_at_a_moment(texts: list[str], moment: str, row: int | None) -> None:
    assert read(texts).first_at(moment, PLAIN) == row


def test_a_moment_may_be_in_the_format_of_the_data() -> None:
    settings = TableSettings(time_format="%d.%m.%Y")
    axis = read(["01.02.2024", "02.02.2024"], time_format="%d.%m.%Y")
    assert axis.first_at("02.02.2024", settings) == axis.first_at("2024-02-02", settings) == 1


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
    assert of(*times).extended(3).instants[len(times) :].tolist() == of(*following).instants.tolist()


def test_a_daily_series_without_weekends_goes_on_without_them() -> None:
    days = np.arange("2016-02-15", "2016-03-02", dtype="datetime64[D]")
    days = np.delete(days[np.is_busday(days)], 3)  # a holiday
    following = TimeAxis(days.astype("datetime64[us]")).extended(4)[len(days) :]
    assert following.as_json() == ["2016-03-02", "2016-03-03", "2016-03-04", "2016-03-07"]


def test_numbers_go_on_by_the_commonest_difference() -> None:
    assert TimeAxis(np.array([1, 2, 3, 5, 6])).extended(2).instants[5:].tolist() == [7, 8]
    assert TimeAxis(np.array([0.0, 0.5])).extended(2).instants[2:].tolist() == [1.0, 1.5]


def test_the_calendar_is_points_on_circles() -> None:
    times = of("2021-01-04T06:00", "2021-07-01T12:00")  # a Monday and a Thursday
    found = times.calendar(["hour", "weekday", "month", "day_of_year"])
    angles = np.arctan2(found[:, ::2], found[:, 1::2]) / (2 * np.pi) % 1
    expected = [[6 / 24, 0, 0, 3 / 365.2425], [12 / 24, 3 / 7, 6 / 12, 181 / 365.2425]]
    assert np.allclose(angles, expected, atol=1e-6)
    assert np.allclose(np.hypot(found[:, ::2], found[:, 1::2]), 1, atol=1e-6)
    assert TimeAxis(np.arange(3)).calendar([]).shape == (3, 0)


def test_times_that_were_never_text_are_shown_as_finely_as_they_are() -> None:
    assert of("2020-01-01", "2020-01-02").as_json() == ["2020-01-01", "2020-01-02"]
    assert of("2020-01-01", "2020-01-01T01").as_json() == ["2020-01-01T00:00:00", "2020-01-01T01:00:00"]
    assert of("2020-01-01T00:00:00.5").as_json() == ["2020-01-01T00:00:00.500000"]
    assert TimeAxis(np.array([1700, 1701])).as_json() == [1700, 1701]
    assert Form().texts(np.array([], "datetime64[us]"), None) == []


@pytest.mark.parametrize(
    ("times", "following"),
    [
        (["2023-11-30", "2023-12-30", "2024-01-30"], ["2024-02-29", "2024-03-30"]),  # pandas' DateOffset(months=1)
        (["2024-01-30", "2024-02-29", "2024-03-30"], ["2024-04-30", "2024-05-30"]),
        (
            ["2024-01-31", "2024-02-29", "2024-03-29"],
            ["2024-04-30", "2024-05-31", "2024-06-28"],
        ),  # the last working day
        (["2024-05-01", "2024-06-03", "2024-07-01"], ["2024-08-01", "2024-09-02"]),  # the first one
        (["2024-06-30", "2024-09-30"], ["2024-12-31", "2025-03-31"]),
        (["2024-02-05", "2024-03-05"], ["2024-04-05"]),
        (["2024-01-31", "2024-02-01"], ["2024-02-02"]),
        (["2023-11-01", "2023-12-01", "2024-02-01", "2024-03-01"], ["2024-04-01", "2024-05-01"]),  # a month is left out
        (["2024-01-31", "2024-03-31", "2024-04-30"], ["2024-05-31", "2024-06-30"]),
        (["2024-01-25", "2024-02-01", "2024-02-08"], ["2024-02-15"]),
    ],
)
def test_months_go_on_by_the_day_that_they_have(times: list[str], following: list[str]) -> None:
    assert of(*times).extended(len(following)).as_json()[len(times) :] == following


@pytest.mark.parametrize("kind", [str, int])
def test_days_and_months_without_signs_are_dates_and_not_numbers(kind: type) -> None:
    assert read([kind(f"2023{month}") for month in (10, 11, 12)]).extended(2).as_json()[3:] == ["202401", "202402"]
    assert read([kind("20240130"), kind("20240131")]).extended(1).as_json()[2:] == ["20240201"]
    assert read([kind("202311"), kind("202313")]).extended(1).as_json()[2:] == [202315]


def test_a_number_finds_its_row_among_numbers_that_could_be_a_date() -> None:
    counted = read([200012, 200013, 200014])
    assert [counted.first_at(text, PLAIN) for text in ("200012", "200013", "200101", "2024-01-01")] == [0, 1, 3, None]


@pytest.mark.parametrize(
    ("clock", "utc"),
    [
        (["01:00", "02:00", "02:00", "03:00"], ["23:00", "00:00", "01:00", "02:00"]),
        (["01:30", "02:00", "02:30", "02:00", "02:30"], ["23:30", "00:00", "00:30", "01:00", "01:30"]),
        (["01:00", "02:00", "03:00"], ["23:00", "00:00", "02:00"]),
        (["02:15", "02:45", "02:10", "02:50", "03:00"], ["00:15", "00:45", "01:10", "01:50", "02:00"]),
    ],
)
def test_rows_in_order_say_which_of_two_times_is_the_later(clock: list[str], utc: list[str]) -> None:
    column = polars.Series("t", [f"2024-10-27 {time}" for time in clock])
    settings = TableSettings(time_zone="Europe/Berlin")
    axis = TimeAxis.from_column(column, settings, str, in_order=True)
    assert [str(time)[11:16] for time in axis.instants] == utc
    assert [time[-5:] for time in axis.as_json()] == clock
