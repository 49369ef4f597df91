"""Times as files have them, parsed from text or from typed columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast.data.settings import TableSettings
from holdfast.data.time_form import AS_ISO, Form
from holdfast.data.time_zone import instants_of, offsets_of
from holdfast.errors import RecipeError

if TYPE_CHECKING:
    import polars

_ISO = re.compile(
    r"^([0-9]{4})[-/]([0-9]{1,2})(?:[-/]([0-9]{1,2}))?"
    r"(?:([T ])([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?(?: ?(Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?)?$"
)
_CLOCK = re.compile(r"^([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?(?: ?([AaPp])\.?[Mm]\.?)?$")
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})?")


@dataclass(frozen=True, eq=False)
class ParsedTimes:
    """A column of times.

    Attributes:
        instants: Datetimes without a zone (in UTC where the file has a zone), or numbers; null where a value is
            neither, or of another kind than the first value.
        offsets: Local time minus UTC in microseconds; None for numbers, and for times without a zone.
        form: How they are written.
    """

    instants: polars.Series
    offsets: polars.Series | None = None
    form: Form = AS_ISO


def parse(
    column: polars.Series, settings: TableSettings, *, comma: bool = False, in_order: bool = False
) -> ParsedTimes:
    """Parses a column of times.

    Args:
        column: Text, numbers, dates, datetimes, times of day or durations. Text has the form ``settings.time_format``.
            Without this setting it is a number, a time of day such as ``8:59`` or ``9:00 PM``, or a date as in
            ISO 8601, from ``1949-01``, ``194901`` or ``19490101`` to ``2016-07-01T00:15:00.5+02:00``.
        settings: ``time_format`` and ``time_zone`` are used.
        comma: Whether the decimal sign of numbers is a comma.
        in_order: Whether the rows are in order of time; see :func:`holdfast.data.time_zone.instants_of`.

    Raises:
        RecipeError: ``time_zone`` is not a time zone, or ``time_format`` is not a format.
    """
    import polars

    kind = column.dtype
    if kind in (polars.String, polars.Categorical, polars.Enum):
        times = _of_text(column.cast(polars.String).str.strip_chars(), settings.time_format, comma=comma)
    elif isinstance(kind, polars.Datetime):
        times = _typed(column, kind)
    elif kind == polars.Date:
        times = ParsedTimes(column.cast(polars.Datetime("us")))
    elif kind == polars.Time:
        times = ParsedTimes((column.cast(polars.Int64) // 1000).cast(polars.Datetime("us")), form=Form("%H:%M:%S"))
    elif kind == polars.Duration:
        times = ParsedTimes(column.cast(polars.Duration("us")).cast(polars.Int64))
    elif kind.is_decimal():
        times = ParsedTimes(column.cast(polars.Float64))
    elif kind.is_integer() and (dates := _dates_without_signs(column.cast(polars.String))) is not None:
        times = dates
    elif kind.is_numeric():
        times = ParsedTimes(column.fill_nan(None) if kind.is_float() else column)
    else:
        times = ParsedTimes(polars.Series(column.name, [None] * len(column), dtype=polars.Datetime("us")))
    if settings.time_zone and times.instants.dtype == polars.Datetime("us"):
        return _converted(times, settings.time_zone, in_order=in_order)
    return times


def _of_text(text: polars.Series, form: str, *, comma: bool) -> ParsedTimes:
    import polars

    text = text.set(text == "", None)
    if form:
        return _formatted(text, form)
    if (dates := _dates_without_signs(text)) is not None:
        return dates
    plain = text.str.replace(",", ".", literal=True) if comma else text
    numbers = plain.cast(polars.Float64, strict=False).fill_nan(None)
    known = text.is_not_null()
    if numbers.filter(known).head(1).is_not_null().any():
        whole = plain.cast(polars.Int64, strict=False)
        return ParsedTimes(numbers if whole.null_count() > numbers.null_count() else whole)
    first = text.filter(known).head(1).to_list()
    return _clock(text) if first and _CLOCK.match(first[0]) else _iso(text)


def _dates_without_signs(text: polars.Series) -> ParsedTimes | None:
    """Days such as 19490131, or months of the years 1900 to 2099 such as 194901; None if a value is neither."""
    if text.str.contains(r"^[0-9]{8}$").all():
        days = text.str.to_datetime("%Y%m%d", strict=False)
        return None if days.null_count() else ParsedTimes(days, form=Form("%Y%m%d"))
    if text.str.contains(r"^(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])$").all():
        return ParsedTimes((text + "01").str.to_datetime("%Y%m%d"), form=Form("%Y%m"))
    return None


def _iso(text: polars.Series) -> ParsedTimes:
    """Dates and times as in ISO 8601: all with an offset from UTC, or all without."""
    parts = text.str.extract_groups(_ISO.pattern).struct
    year, month, day, _, hour, minute, second, fraction, offset = (parts.field(str(k)) for k in range(1, 10))
    two_digits = [part.fill_null(first).str.zfill(2) for part, first in ((month, ""), (day, "1"), (hour, "0"))]
    local = _datetimes(
        [year, *two_digits, minute.fill_null("00"), second.fill_null("00"), fraction.fill_null("0")],
        "{}-{}-{}T{}:{}:{}.{}",
    )
    known = text.filter(local.is_not_null())
    form = _iso_form(known[known.str.len_chars().arg_max() or 0] if len(known) else "")
    return _with_offsets(local, offset, form) if offset.is_not_null().any() else ParsedTimes(local, form=form)


def _iso_form(text: str) -> Form:
    """The form of one time."""
    match = _ISO.match(text)
    if not match:
        return Form()
    year, _, day, between, hour, _, second, fraction, offset = match.groups()
    sign = text[len(year)]
    pattern = (
        f"%Y{sign}%m" + (f"{sign}%d" if day else "") + (f"{between}%H:%M" if hour else "") + (":%S" if second else "")
    )
    styles = {3: "+00", 5: "+0000", 6: "+00:00"}
    style = "Z" if offset in ("Z", "UTC", "GMT") else styles.get(len(offset or ""), "")
    return Form(pattern, len(fraction or ""), style)


def _clock(text: polars.Series) -> ParsedTimes:
    """Times of day, on the first day of 1970."""
    parts = text.str.extract_groups(_CLOCK.pattern).struct
    hour, minute, second, fraction, half = (parts.field(str(k)) for k in range(1, 6))
    columns = [hour.str.zfill(2), minute, second.fill_null("00"), fraction.fill_null("0")]
    ends = (":%S" if second.is_not_null().any() else "", fraction.str.len_chars().max() or 0)
    if half.is_not_null().any():
        local = _datetimes([*columns, half], "1970-01-01T{}:{}:{}.{} {}M", "%Y-%m-%dT%I:%M:%S%.f %p")
        return ParsedTimes(local, form=Form(f"%I:%M{ends[0]} %p"))
    return ParsedTimes(_datetimes(columns, "1970-01-01T{}:{}:{}.{}"), form=Form(f"%H:%M{ends[0]}", int(str(ends[1]))))


def _datetimes(parts: Sequence[polars.Series], pattern: str, form: str = "%Y-%m-%dT%H:%M:%S%.f") -> polars.Series:
    """Datetimes from their parts as text; null where a part is null, or where there is no such time."""
    import polars

    named = [part.alias(str(place)) for place, part in enumerate(parts)]
    whole = polars.DataFrame(named).select(polars.format(pattern, *(part.name for part in named))).to_series()
    return whole.str.strptime(polars.Datetime("us"), form, strict=False)


def _formatted(text: polars.Series, form: str) -> ParsedTimes:
    """Times parsed by ``strptime``; without an offset where the form does not have one."""
    import polars

    try:
        datetime.now(UTC).strftime(form)
        datetime.strptime("", form)
    except ValueError as error:
        if "bad directive" in str(error) or "stray %" in str(error):
            raise RecipeError(f"data.time_format is {form!r}: {error}. Expected such as '%d.%m.%Y %H:%M'.") from error
    times = [None if value is None else _strptime(value, form) for value in text]
    offsets = [None if time is None or time.tzinfo is None else time.utcoffset() for time in times]
    local = polars.Series(
        text.name, [time and time.replace(tzinfo=None) for time in times], dtype=polars.Datetime("us")
    )
    if not any(offset is not None for offset in offsets):
        return ParsedTimes(local, form=Form(form))
    ahead = polars.Series(offsets, dtype=polars.Duration("us")).cast(polars.Int64)
    return ParsedTimes((local.cast(polars.Int64) - ahead).cast(polars.Datetime("us")), ahead, Form(form))


def _strptime(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def _with_offsets(local: polars.Series, offset: polars.Series, form: Form) -> ParsedTimes:
    """Times from local times and their offsets as text; null where there is no offset."""
    import polars

    parts = offset.str.replace("^(?:Z|UTC|GMT)$", "+00:00").str.extract_groups(_OFFSET.pattern).struct
    sign, hours, minutes = (parts.field(str(k)) for k in range(1, 4))
    whole = hours.cast(polars.Int64) * 60 + minutes.fill_null("0").cast(polars.Int64)
    ahead = whole * (sign + "1").cast(polars.Int64) * 60_000_000
    return ParsedTimes((local.cast(polars.Int64) - ahead).cast(polars.Datetime("us")), ahead, form)


def _typed(column: polars.Series, kind: polars.Datetime) -> ParsedTimes:
    """A column of datetimes, in a zone or without."""
    import polars

    plain = column.to_physical().cast(polars.Datetime(kind.time_unit)).cast(polars.Datetime("us"))
    if not kind.time_zone:
        return ParsedTimes(plain)
    return _converted(ParsedTimes(plain, plain.cast(polars.Int64) * 0, Form(offset="+00:00")), kind.time_zone)


def _converted(times: ParsedTimes, zone: str, *, in_order: bool = False) -> ParsedTimes:
    """The same times in a zone; times without a zone are taken as local times of this one."""
    import polars

    instants = times.instants
    try:
        if times.offsets is None:
            instants = instants_of(instants, zone, in_order=in_order)
        return replace(
            times, instants=instants, offsets=offsets_of(instants, zone), form=replace(times.form, zone=zone)
        )
    except polars.exceptions.ComputeError as error:
        raise RecipeError(
            f"data.time_zone is {zone!r}, which is not a time zone; expected a name such as Europe/Berlin or UTC."
        ) from error
