"""Times as files have them: parsed from text or from typed columns, and written again in the same form and zone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from holdfast.data.settings import TableSettings
from holdfast.errors import RecipeError

if TYPE_CHECKING:
    import polars

Times = npt.NDArray[Any]
"""Dates and times as datetime64[us], or numbers as int64 or float64."""

_ISO = re.compile(
    r"^([0-9]{4})[-/]([0-9]{1,2})(?:[-/]([0-9]{1,2}))?"
    r"(?:([T ])([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?(?: ?(Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?)?$"
)
_CLOCK = re.compile(r"^([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?(?: ?([AaPp])\.?[Mm]\.?)?$")
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})?")


@dataclass(frozen=True)
class Form:
    """How the times of a file are written.

    Attributes:
        pattern: As ``strftime`` takes it; empty for ISO 8601, as finely as the times are.
        digits: Of the fraction of a second, after the pattern.
        offset: How the offset from UTC follows: ``"Z"``, ``"+00:00"``, ``"+0000"``, ``"+00"`` or not, ``""``.
        zone: The name of the time zone; empty where the file has offsets alone, or neither.
    """

    pattern: str = ""
    digits: int = 0
    offset: str = ""
    zone: str = ""

    def texts(self, local: Times, offsets: Times | None) -> list[str]:
        """Times as text.

        Args:
            local: What a clock there shows, [T], datetime64[us].
            offsets: How far it is ahead of UTC, [T], timedelta64[us]; None for times without a zone.
        """
        if not self.pattern:
            finest = "s" if offsets is not None else "D"
            units = ("D", "s", "us")[("D", "s", "us").index(finest) :]
            unit: Any = next(unit for unit in units if (local == local.astype(f"datetime64[{unit}]")).all())
            found = np.datetime_as_string(local, unit=unit).tolist()
        else:
            found = [
                self._text(time, offset) for time, offset in zip(local.tolist(), _each(offsets, local), strict=True)
            ]
        if not self.offset:
            return list(found)
        return [text + self._offset(offset) for text, offset in zip(found, _each(offsets, local), strict=True)]

    def _text(self, time: datetime, offset: timedelta | None) -> str:
        aware = time if offset is None else time.replace(tzinfo=timezone(offset))
        fraction = f".{time.microsecond:06}".ljust(self.digits + 1, "0")[: self.digits + 1] if self.digits else ""
        return aware.strftime(self.pattern) + fraction

    def _offset(self, offset: timedelta | None) -> str:
        minutes = round((offset or timedelta()).total_seconds() / 60)
        if self.offset == "Z" and not minutes:
            return "Z"
        hours, rest = divmod(abs(minutes), 60)
        start = f"{'-' if minutes < 0 else '+'}{hours:02}"
        if self.offset == "+00" and not rest:
            return start
        return f"{start}{rest:02}" if self.offset == "+0000" else f"{start}:{rest:02}"


def _each(offsets: Times | None, like: Times) -> list[timedelta | None]:
    return [None] * len(like) if offsets is None else offsets.tolist()


AS_ISO = Form()


@dataclass(frozen=True, eq=False)
class ParsedTimes:
    """A column of times.

    Attributes:
        instants: Datetimes without a zone (in UTC where the file has a zone), or numbers; null where a value is
            neither, or of another kind than the first.
        offsets: How many microseconds a clock there is ahead of UTC; None for numbers, and for times without a zone.
        form: How they are written.
    """

    instants: polars.Series
    offsets: polars.Series | None = None
    form: Form = AS_ISO


def parsed(
    column: polars.Series, settings: TableSettings, *, comma: bool = False, in_order: bool = False
) -> ParsedTimes:
    """A column of times.

    Args:
        column: Text, numbers, dates, datetimes, times of day or durations. A text is as ``settings.time_format`` says;
            without that, a number, a time of day such as ``8:59`` or ``9:00 PM``, or a date as in ISO 8601, from
            ``1949-01``, ``194901`` or ``19490101`` to ``2016-07-01T00:15:00.5+02:00``.
        settings: ``time_format`` and ``time_zone`` are used.
        comma: Whether the decimal sign of numbers is a comma.
        in_order: Whether a time follows the one before it, as :func:`instants_of` takes it.

    Raises:
        RecipeError: ``time_zone`` is no time zone, or ``time_format`` no format.
    """
    import polars

    kind = column.dtype
    if kind in (polars.String, polars.Categorical, polars.Enum):
        found = _of_text(column.cast(polars.String).str.strip_chars(), settings.time_format, comma=comma)
    elif isinstance(kind, polars.Datetime):
        found = _typed(column, kind)
    elif kind == polars.Date:
        found = ParsedTimes(column.cast(polars.Datetime("us")))
    elif kind == polars.Time:
        found = ParsedTimes((column.cast(polars.Int64) // 1000).cast(polars.Datetime("us")), form=Form("%H:%M:%S"))
    elif kind == polars.Duration:
        found = ParsedTimes(column.cast(polars.Duration("us")).cast(polars.Int64))
    elif kind.is_decimal():
        found = ParsedTimes(column.cast(polars.Float64))
    elif kind.is_integer() and (dates := _dates_without_signs(column.cast(polars.String))) is not None:
        found = dates
    elif kind.is_numeric():
        found = ParsedTimes(column.fill_nan(None) if kind.is_float() else column)
    else:
        found = ParsedTimes(polars.Series(column.name, [None] * len(column), dtype=polars.Datetime("us")))
    if settings.time_zone and found.instants.dtype == polars.Datetime("us"):
        return _converted(found, settings.time_zone, in_order=in_order)
    return found


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
    """Days such as 19490131, or months of the years 1900 to 2099 such as 194901; None where a value is neither."""
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
    two = [part.fill_null(least).str.zfill(2) for part, least in ((month, ""), (day, "1"), (hour, "0"))]
    local = _read(
        [year, *two, minute.fill_null("00"), second.fill_null("00"), fraction.fill_null("0")], "{}-{}-{}T{}:{}:{}.{}"
    )
    known = text.filter(local.is_not_null())
    form = _iso_form(known[known.str.len_chars().arg_max() or 0] if len(known) else "")
    return _ahead(local, offset, form) if offset.is_not_null().any() else ParsedTimes(local, form=form)


def _iso_form(text: str) -> Form:
    """The form of one time."""
    found = _ISO.match(text)
    if not found:
        return Form()
    year, _, day, between, hour, _, second, fraction, offset = found.groups()
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
        local = _read([*columns, half], "1970-01-01T{}:{}:{}.{} {}M", "%Y-%m-%dT%I:%M:%S%.f %p")
        return ParsedTimes(local, form=Form(f"%I:%M{ends[0]} %p"))
    return ParsedTimes(_read(columns, "1970-01-01T{}:{}:{}.{}"), form=Form(f"%H:%M{ends[0]}", int(str(ends[1]))))


def _read(parts: Sequence[polars.Series], put: str, form: str = "%Y-%m-%dT%H:%M:%S%.f") -> polars.Series:
    """Datetimes from their parts as text; null where a part is, or where there is no such time."""
    import polars

    named = [part.alias(str(place)) for place, part in enumerate(parts)]
    whole = polars.DataFrame(named).select(polars.format(put, *(part.name for part in named))).to_series()
    return whole.str.strptime(polars.Datetime("us"), form, strict=False)


def _formatted(text: polars.Series, form: str) -> ParsedTimes:
    """Times as ``strptime`` reads them; without an offset where the form has none."""
    import polars

    try:
        datetime.now(UTC).strftime(form)
        datetime.strptime("", form)
    except ValueError as error:
        if "bad directive" in str(error) or "stray %" in str(error):
            raise RecipeError(f"data.time_format is {form!r}: {error}. Expected such as '%d.%m.%Y %H:%M'.") from error
    found = [None if one is None else _strptime(one, form) for one in text]
    offsets = [None if one is None or one.tzinfo is None else one.utcoffset() for one in found]
    local = polars.Series(text.name, [one and one.replace(tzinfo=None) for one in found], dtype=polars.Datetime("us"))
    if not any(offset is not None for offset in offsets):
        return ParsedTimes(local, form=Form(form))
    ahead = polars.Series(offsets, dtype=polars.Duration("us")).cast(polars.Int64)
    return ParsedTimes((local.cast(polars.Int64) - ahead).cast(polars.Datetime("us")), ahead, Form(form))


def _strptime(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def _ahead(local: polars.Series, offset: polars.Series, form: Form) -> ParsedTimes:
    """Local times and their offsets as text; null where there is no offset."""
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
    """The same times in a zone; those without one are taken for local times there."""
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
            f"data.time_zone is {zone!r}, which is no time zone; expected a name such as Europe/Berlin or UTC."
        ) from error


def offsets_of(instants: polars.Series, zone: str) -> polars.Series:
    """How many microseconds a clock in a zone is ahead of UTC at some times in UTC."""
    import polars

    local = instants.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return (local - instants).cast(polars.Duration("us")).cast(polars.Int64)


def _since(counts: polars.Series, groups: polars.Series) -> polars.Series:
    """The sum of what has been counted so far in a row's group."""
    import polars

    frame = polars.DataFrame({"counts": counts, "groups": groups})
    return frame.select(polars.col("counts").cum_sum().over("groups")).to_series()


def instants_of(local: polars.Series, zone: str, *, in_order: bool = False) -> polars.Series:
    """Local times in UTC: of two, the earlier; a time that a clock passes over is taken for one hour later.

    Args:
        local: What a clock shows.
        zone: The name of the time zone.
        in_order: Whether a time follows the one before it: of two, it is the later one where the clock has gone back,
            and in the rows after that.
    """
    first = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    if in_order:
        last = local.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
        twice = (first != last).fill_null(False)
        back = (twice & twice.shift(1, fill_value=False) & (local.diff() <= timedelta())).fill_null(False).cast(int)
        night = (~twice).cum_sum()
        first = last.zip_with(_since(back, night) > 0, first) if twice.any() else first
    later = local.dt.offset_by("1h").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return first.fill_null(later).dt.convert_time_zone("UTC").dt.replace_time_zone(None)
