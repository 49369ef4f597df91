from __future__ import annotations

import datetime
import re

from holdfast.data.sets import dates

MONTH = {name[:3].lower(): number for number, name in enumerate(dates.MONTHS, start=1)}


def understood(text: str) -> str:
    """The date that a text means, read in another way than it was written."""
    lowered = text.lower()
    if re.fullmatch(r"\d{8}", text):
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    names = [word for word in re.findall(r"[a-z]{3,}", lowered) if word[:3] in MONTH and word[-3:] != "day"]
    numbers = re.findall(r"\d+", lowered)
    if names:
        (year,) = [n for n in numbers if len(n) == 4] or [numbers[-1]]
        numbers.remove(year)
        month, day = MONTH[names[0][:3]], int(numbers[0])
    else:
        first, month, last = numbers
        year, day = (first, int(last)) if len(first) == 4 else (last, int(first))
        month = int(month)
    whole = int(year) if len(year) == 4 else int(year) + (1900 if int(year) >= 50 else 2000)
    return datetime.date(whole, month, day).isoformat()


def test_every_form_means_its_date() -> None:
    found = dates.pairs(4000)
    assert all(
        understood(text) == date for date, texts in zip(found.inputs, found.targets, strict=True) for text in texts
    )
    assert min(found.inputs) >= "1950-01-01"
    assert max(found.inputs) <= "2049-12-31"


def test_all_forms_and_both_cases_occur() -> None:
    texts = [text for some in dates.pairs(4000).targets for text in some]
    forms = {re.sub(r"\d+", "0", re.sub(r"[A-Za-z]+", "a", text)) for text in texts}
    expected = {
        re.sub(r"\d+", "0", re.sub(r"[A-Za-z]+", "a", dates._written(datetime.date(2001, 12, 21), form)))
        for form in dates.FORMS
    }
    assert forms == expected
    assert any(text.isupper() for text in texts)
    assert any(text.islower() for text in texts)


def test_weekdays_and_ordinals_are_right() -> None:
    texts = [text for some in dates.pairs(4000).targets for text in some]
    ordinals = {text.lower() for full in texts for text in re.findall(r"\d+(?:st|nd|rd|th)", full, re.IGNORECASE)}
    special = {"1st", "2nd", "3rd", "21st", "22nd", "23rd", "31st"}
    assert ordinals == special | {f"{day}th" for day in range(4, 31) if f"{day}" not in {"21", "22", "23"}}
    assert dates._written(datetime.date(2021, 3, 3), "{weekday}, {weekday_short}") == "Wednesday, Wed"


def test_the_same_pairs_each_time() -> None:
    assert dates.pairs(50).targets == dates.pairs(50).targets
    assert dates.pairs(50).inputs == dates.pairs(60).inputs[:50] or len(dates.pairs(60)) < 60
