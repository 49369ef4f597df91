"""Made-up pairs to learn from: dates as people write them, and as ISO 8601 does."""

from __future__ import annotations

import datetime

import numpy as np

from holdfast.data.readers.pairs import Pairs, grouped

FIRST, LAST = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)
"""A century, so that a year of two digits has one meaning."""

MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

FORMS = (
    "{day} {month} {year}",
    "{day:02d} {month} {year}",
    "{day} {short} {year}",
    "{day}-{short}-{year}",
    "{day}{th} {month} {year}",
    "{day}{th} of {month}, {year}",
    "the {day}{th} of {month}, {year}",
    "the {day}{th} of {month} {year}",
    "{month} {day}, {year}",
    "{month} {day}{th}, {year}",
    "{short} {day} {year}",
    "{short}. {day}, {year}",
    "{weekday}, {day} {month} {year}",
    "{weekday}, {month} {day}, {year}",
    "{weekday}, the {day}{th} of {month} {year}",
    "{weekday_short} {day} {short} {year}",
    "{weekday_short}, {short} {day}, {year}",
    "{day:02d}/{number:02d}/{year}",
    "{day}/{number}/{year}",
    "{day:02d}/{number:02d}/{two:02d}",
    "{day:02d}.{number:02d}.{year}",
    "{day}.{number}.{year}",
    "{day:02d}-{number:02d}-{year}",
    "{year}/{number:02d}/{day:02d}",
    "{year} {month} {day}",
    "{year}{number:02d}{day:02d}",
    "{day} {short} '{two:02d}",
    "{short} {day} '{two:02d}",
)
"""How people write a date: day before month wherever both are numbers, unless the year comes first."""


def pairs(count: int) -> Pairs:
    """Dates drawn at random, the same ones each time.

    Args:
        count: How many times a date is drawn, and written in a form that is drawn too.

    Returns:
        For each date, as ``2021-03-03``, the ways in which it was written: some in capitals or small letters.
    """
    generator = np.random.default_rng(0)
    days = generator.integers(0, (LAST - FIRST).days + 1, count).tolist()
    forms = generator.integers(0, len(FORMS), count).tolist()
    cases = generator.integers(0, 8, count).tolist()
    dates = [FIRST + datetime.timedelta(days=day) for day in days]
    written = [_cased(_written(date, FORMS[form]), case) for date, form, case in zip(dates, forms, cases, strict=True)]
    return grouped([date.isoformat() for date in dates], written, [f"dates[{index}]" for index in range(count)])


def _written(date: datetime.date, form: str) -> str:
    month, weekday = MONTHS[date.month - 1], WEEKDAYS[date.weekday()]
    ending = "th" if date.day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(date.day % 10, "th")
    return form.format(
        day=date.day,
        th=ending,
        number=date.month,
        month=month,
        short=month[:3],
        year=date.year,
        two=date.year % 100,
        weekday=weekday,
        weekday_short=weekday[:3],
    )


def _cased(text: str, case: int) -> str:
    """Two in eight are in small letters and one in capitals."""
    return text.lower() if case < 2 else text.upper() if case == 2 else text
