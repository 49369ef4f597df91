from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars
import pytest

from holdfast.data.settings import TableSettings
from holdfast.data.time_axis import TimeAxis
from holdfast.data.time_text import Form, parsed
from holdfast.errors import DataError, RecipeError

PLAIN = TableSettings()


def read(values: list[Any] | polars.Series, **settings: str) -> TimeAxis:
    column = values if isinstance(values, polars.Series) else polars.Series("t", values)
    return TimeAxis.read(column, TableSettings(**settings), lambda row: f"row {row}")


def told(values: list[Any], **settings: str) -> str:
    with pytest.raises((DataError, RecipeError)) as error:
        read(values, **settings)
    return str(error.value)


def of(*texts: str) -> TimeAxis:
    return TimeAxis(np.array(texts, "datetime64[us]"))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1949-02", datetime(1949, 2, 1)),
        ("19490201", datetime(1949, 2, 1)),
        ("1949-02-01", datetime(1949, 2, 1)),
        ("1949/2/1", datetime(1949, 2, 1)),
        ("2016-07-01 05:15", datetime(2016, 7, 1, 5, 15)),
        ("2016-07-01 5:15", datetime(2016, 7, 1, 5, 15)),
        ("2016-07-01T05:15:20", datetime(2016, 7, 1, 5, 15, 20)),
        ("2016-07-01T05:15:20.25", datetime(2016, 7, 1, 5, 15, 20, 250000)),
        (" 2016-07-01 05:15:20Z", datetime(2016, 7, 1, 5, 15, 20)),
        ("2016-07-01 05:15:20 UTC", datetime(2016, 7, 1, 5, 15, 20)),
        ("2016-07-01 05:15+02:00", datetime(2016, 7, 1, 3, 15)),
        ("2016-07-01 05:15-0930", datetime(2016, 7, 1, 14, 45)),
        ("2016-07-01 05:15+02", datetime(2016, 7, 1, 3, 15)),
        ("8:59", datetime(1970, 1, 1, 8, 59)),
        ("08:59:30.5", datetime(1970, 1, 1, 8, 59, 30, 500000)),
        ("12:05 am", datetime(1970, 1, 1, 0, 5)),
        ("9:00 PM", datetime(1970, 1, 1, 21)),
        ("1700", 1700),
        (" 12 ", 12),
        ("0.25", 0.25),
    ],
)
def test_a_text_is_a_time_or_a_number(text: str, moment: object) -> None:
    assert parsed(polars.Series([text, text]), PLAIN).instants.to_list() == [moment, moment]


@pytest.mark.parametrize(
    "texts",
    [
        ["2016-07-01", "soon"],
        ["2016-07-01", "2016-02-30"],
        ["1700", "now"],
        ["0.5", "nan"],
        ["2016-07-01", None],
        ["2016-07-01", "1700"],
        ["8:59", "2016-07-01"],
        ["8:59", "25:00"],
        ["2016-07-01 01:00", "2016-07-01 02:00Z"],
        ["2016-07-01 01:00Z", "2016-07-01 02:00"],
    ],
)
def test_what_is_no_time_or_of_another_kind_is_told(texts: list[str | None]) -> None:
    message = told(texts)
    zoned = texts == ["2016-07-01 01:00", "2016-07-01 02:00Z"]
    bad = texts[0] if zoned else texts[1]
    assert message == (
        f"row {0 if zoned else 1}: the column 't' {'is empty' if bad is None else f'holds {bad!r}'}; expected a time "
        "such as 2016-07-01 00:15 in every row (with a zone in all or in none), or a number in every row; "
        "data.time_format says how times are written otherwise."
    )


def test_numbers_keep_their_kind() -> None:
    assert read([" 9", "10 "]).instants.tolist() == [9, 10]
    assert read(["1", "2.5"]).instants.tolist() == [1, 2.5]
    assert parsed(polars.Series(["0,5", "1,5"]), PLAIN, comma=True).instants.to_list() == [0.5, 1.5]


def test_columns_that_are_times_already() -> None:
    assert read([date(2020, 1, 2)]).instants.tolist() == [datetime(2020, 1, 2)]
    assert read([3, 4]).instants.tolist() == [3, 4]
    assert read([time(8, 59), time(10)]).shown() == ["08:59:00", "10:00:00"]
    assert read([timedelta(hours=1)]).instants.tolist() == [3_600_000_000]
    zoned = polars.Series([datetime(2020, 1, 2, 12)]).dt.replace_time_zone("Europe/Berlin")
    assert read(zoned).instants.tolist() == [datetime(2020, 1, 2, 11)]
    assert read(zoned).shown() == ["2020-01-02T12:00:00+01:00"]


@pytest.mark.parametrize(
    ("form", "texts", "moments"),
    [
        ("%d.%m.%Y %H:%M", ["31.12.2023 23:00", "1.1.2024 00:00"], [datetime(2023, 12, 31, 23), datetime(2024, 1, 1)]),
        ("%m/%Y", ["12/2023", "01/2024"], [datetime(2023, 12, 1), datetime(2024, 1, 1)]),
        ("%d %b %y", ["31 Dec 99", "01 Jan 00"], [datetime(1999, 12, 31), datetime(2000, 1, 1)]),
        ("%d/%m/%Y %I:%M %p", ["01/02/2024 01:30 PM"], [datetime(2024, 2, 1, 13, 30)]),
        ("%Y-%j", ["2024-060"], [datetime(2024, 2, 29)]),
        ("%d.%m.%Y %H:%M %z", ["01.07.2024 02:00 +0200"], [datetime(2024, 7, 1)]),
    ],
)
def test_a_format_says_how_times_are_written(form: str, texts: list[str], moments: list[datetime]) -> None:
    assert read(texts, time_format=form).instants.tolist() == moments


def test_what_does_not_fit_the_format_is_told() -> None:
    assert told(["01.02.2024", "2024-02-02"], time_format="%d.%m.%Y") == (
        "row 1: the column 't' holds '2024-02-02'; expected a time of the form '%d.%m.%Y' (data.time_format)."
    )
    assert told(["1"], time_format="%Q") == (
        "data.time_format is '%Q': 'Q' is a bad directive in format '%Q'. Expected such as '%d.%m.%Y %H:%M'."
    )


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
    assert axis.shown() == ([int(text) for text in texts] if not axis.dated else texts)
    assert axis.followed(len(following))[len(texts) :].shown() == following


def test_a_format_writes_what_follows() -> None:
    axis = read(["30.11.2024 00:00", "01.12.2024 00:00"], time_format="%d.%m.%Y %H:%M")
    assert axis.followed(1)[2:].shown() == ["02.12.2024 00:00"]
    zoned = read(["04.07.2024 06:00 +0200", "04.07.2024 07:00 +0200"], time_format="%d.%m.%Y %H:%M %z")
    assert zoned.followed(1)[2:].shown() == ["04.07.2024 08:00 +0200"]


def berlin(*moments: datetime) -> polars.Series:
    return polars.Series("t", [one.replace(tzinfo=UTC) for one in moments]).dt.convert_time_zone("Europe/Berlin")


def test_a_zone_with_a_name_is_followed_across_the_change_of_clocks() -> None:
    hours = read(berlin(*(datetime(2024, 3, 30, 22) + timedelta(hours=k) for k in range(3))))
    assert hours.followed(3)[3:].shown() == [
        "2024-03-31T03:00:00+02:00",
        "2024-03-31T04:00:00+02:00",
        "2024-03-31T05:00:00+02:00",
    ]
    days = read(berlin(datetime(2024, 10, 24, 22), datetime(2024, 10, 25, 22)))
    assert days.followed(3)[2:].shown() == [
        "2024-10-27T00:00:00+02:00",
        "2024-10-28T00:00:00+01:00",
        "2024-10-29T00:00:00+01:00",
    ]
    # A time of day that a clock passes over is one hour later on that day alone.
    night = read(berlin(datetime(2024, 3, 29, 1, 30), datetime(2024, 3, 30, 1, 30)))
    assert night.followed(2)[2:].shown() == ["2024-03-31T03:30:00+02:00", "2024-04-01T02:30:00+02:00"]


def test_a_time_zone_may_be_set() -> None:
    texts = ["2024-03-30 00:00+01:00", "2024-03-31 00:00+01:00"]
    assert read(texts, time_zone="Europe/Berlin").followed(1)[2:].shown() == ["2024-04-01 00:00+02:00"]
    assert read(texts, time_zone="UTC").shown() == ["2024-03-29 23:00+00:00", "2024-03-30 23:00+00:00"]
    local = read(["2024-03-31 01:00", "2024-03-31 03:00"], time_zone="Europe/Berlin")
    assert np.diff(local.instants).tolist() == [timedelta(hours=1)]
    assert local.followed(1)[2:].shown() == ["2024-03-31 04:00"]
    assert told(["2024-01-01"], time_zone="Mars/Base") == (
        "data.time_zone is 'Mars/Base', which is no time zone; expected a name such as Europe/Berlin or UTC."
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
    assert of(*times).followed(3).instants[len(times) :].tolist() == of(*following).instants.tolist()


def test_a_daily_series_without_weekends_goes_on_without_them() -> None:
    days = np.arange("2016-02-15", "2016-03-02", dtype="datetime64[D]")
    days = np.delete(days[np.is_busday(days)], 3)  # a holiday
    following = TimeAxis(days.astype("datetime64[us]")).followed(4)[len(days) :]
    assert following.shown() == ["2016-03-02", "2016-03-03", "2016-03-04", "2016-03-07"]


def test_numbers_go_on_by_the_commonest_difference() -> None:
    assert TimeAxis(np.array([1, 2, 3, 5, 6])).followed(2).instants[5:].tolist() == [7, 8]
    assert TimeAxis(np.array([0.0, 0.5])).followed(2).instants[2:].tolist() == [1.0, 1.5]


def test_the_calendar_is_points_on_circles() -> None:
    times = of("2021-01-04T06:00", "2021-07-01T12:00")  # a Monday and a Thursday
    found = times.calendar(["hour", "weekday", "month", "day_of_year"])
    angles = np.arctan2(found[:, ::2], found[:, 1::2]) / (2 * np.pi) % 1
    expected = [[6 / 24, 0, 0, 3 / 365.2425], [12 / 24, 3 / 7, 6 / 12, 181 / 365.2425]]
    assert np.allclose(angles, expected, atol=1e-6)
    assert np.allclose(np.hypot(found[:, ::2], found[:, 1::2]), 1, atol=1e-6)
    assert TimeAxis(np.arange(3)).calendar([]).shape == (3, 0)


def test_times_that_were_never_text_are_shown_as_finely_as_they_are() -> None:
    assert of("2020-01-01", "2020-01-02").shown() == ["2020-01-01", "2020-01-02"]
    assert of("2020-01-01", "2020-01-01T01").shown() == ["2020-01-01T00:00:00", "2020-01-01T01:00:00"]
    assert of("2020-01-01T00:00:00.5").shown() == ["2020-01-01T00:00:00.500000"]
    assert TimeAxis(np.array([1700, 1701])).shown() == [1700, 1701]
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
    assert of(*times).followed(len(following)).shown()[len(times) :] == following


@pytest.mark.parametrize("kind", [str, int])
def test_days_and_months_without_signs_are_dates_and_not_numbers(kind: type) -> None:
    assert read([kind(f"2023{month}") for month in (10, 11, 12)]).followed(2).shown()[3:] == ["202401", "202402"]
    assert read([kind("20240130"), kind("20240131")]).followed(1).shown()[2:] == ["20240201"]
    assert read([kind("202311"), kind("202313")]).followed(1).shown()[2:] == [202315]


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
    found = TimeAxis.read(column, settings, str, in_order=True)
    assert [str(time)[11:16] for time in found.instants] == utc
    assert [time[-5:] for time in found.shown()] == clock
