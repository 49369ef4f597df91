from __future__ import annotations

from datetime import date, datetime, time, timedelta

import polars
import pytest
from tests.data.times import read, refusal

from holdfast.data.settings import TableSettings
from holdfast.data.time_text import parse

PLAIN = TableSettings()


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
    assert parse(polars.Series([text, text]), PLAIN).instants.to_list() == [moment, moment]


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
    message = refusal(texts)
    zoned = texts == ["2016-07-01 01:00", "2016-07-01 02:00Z"]
    bad = texts[0] if zoned else texts[1]
    assert message == (
        f"row {0 if zoned else 1}: the column 't' {'is empty' if bad is None else f'holds {bad!r}'}; expected a time "
        "such as 2016-07-01 00:15 in every row (with a zone in all or in none), or a number in every row; set "
        "data.time_format if times are written in another form."
    )


def test_numbers_keep_their_kind() -> None:
    assert read([" 9", "10 "]).instants.tolist() == [9, 10]
    assert read(["1", "2.5"]).instants.tolist() == [1, 2.5]
    assert parse(polars.Series(["0,5", "1,5"]), PLAIN, comma=True).instants.to_list() == [0.5, 1.5]


def test_columns_that_are_times_already() -> None:
    assert read([date(2020, 1, 2)]).instants.tolist() == [datetime(2020, 1, 2)]
    assert read([3, 4]).instants.tolist() == [3, 4]
    assert read([time(8, 59), time(10)]).as_json() == ["08:59:00", "10:00:00"]
    assert read([timedelta(hours=1)]).instants.tolist() == [3_600_000_000]
    zoned = polars.Series([datetime(2020, 1, 2, 12)]).dt.replace_time_zone("Europe/Berlin")
    assert read(zoned).instants.tolist() == [datetime(2020, 1, 2, 11)]
    assert read(zoned).as_json() == ["2020-01-02T12:00:00+01:00"]


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
    assert refusal(["01.02.2024", "2024-02-02"], time_format="%d.%m.%Y") == (
        "row 1: the column 't' holds '2024-02-02'; expected a time of the form '%d.%m.%Y' (data.time_format)."
    )
    assert refusal(["1"], time_format="%Q") == (
        "data.time_format is '%Q': 'Q' is a bad directive in format '%Q'. Expected such as '%d.%m.%Y %H:%M'."
    )
