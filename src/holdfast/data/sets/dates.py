"""Generated pairs: dates as people write them, and in ISO 8601."""

from __future__ import annotations

import datetime

import numpy as np

from holdfast.data.readers.pairs import Pairs, grouped

FIRST, LAST = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)
"""One century, so that a year of two digits is unique."""

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
"""Forms of dates: the day is before the month if both are numbers, unless the year comes first."""


def pairs(count: int) -> Pairs:
    """Random dates in random forms, the same on each call.

    Args:
        count: The number of draws of a date and a form.

    Returns:
        For each date, such as ``2021-03-03``, its written forms; some are in upper or lower case.
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
    """The text in lower case for two of eight cases, and in upper case for one."""
    return text.lower() if case < 2 else text.upper() if case == 2 else text
