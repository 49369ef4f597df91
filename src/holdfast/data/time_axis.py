"""The times of a series: in order, continued beyond the last one, and told to a network as sines and cosines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from holdfast.data.settings import TableSettings
from holdfast.data.time_text import AS_ISO, Form, Times, instants_of, offsets_of, parsed
from holdfast.errors import DataError

if TYPE_CHECKING:
    import polars

_DAY = np.timedelta64(1, "D").astype("timedelta64[us]")
_PERIODS = {"hour": 24.0, "weekday": 7.0, "month": 12.0, "day_of_year": 365.2425}


@dataclass(frozen=True, eq=False)
class TimeAxis:
    """The times of the rows of a series.

    Attributes:
        instants: Numbers, or datetimes without a zone, in UTC where the data have a zone, [T].
        offsets: How far a clock there is ahead of UTC, [T], timedelta64[us]; None for numbers, and without a zone.
        form: How the file writes them.
    """

    instants: Times
    offsets: Times | None = None
    form: Form = AS_ISO

    @classmethod
    def read(
        cls,
        column: polars.Series,
        settings: TableSettings,
        where: Callable[[int], str],
        *,
        comma: bool = False,
        in_order: bool = False,
    ) -> TimeAxis:
        """The times of a column.

        Args:
            column: As :func:`holdfast.data.time_text.parsed` takes it.
            settings: ``time_format`` and ``time_zone`` are used.
            where: Names a row, for the message.
            comma: Whether the decimal sign of numbers is a comma.
            in_order: Whether the rows are to be in the order of their times: then the file says which of two times that
                a clock shows alike is the later one.

        Raises:
            DataError: A value is no time, or of another kind than the first.
            RecipeError: A setting is wrong.
        """
        times = parsed(column, settings, comma=comma, in_order=in_order)
        if times.instants.null_count():
            row = times.instants.is_null().arg_max() or 0
            found = column[row]
            what = "is empty" if found is None or not str(found).strip() else f"holds {str(found)!r}"
            expected = (
                f"a time of the form {settings.time_format!r} (data.time_format)"
                if settings.time_format
                else "a time such as 2016-07-01 00:15 in every row (with a zone in all or in none), or a number in "
                "every row; data.time_format says how times are written otherwise"
            )
            raise DataError(f"{where(row)}: the column {column.name!r} {what}; expected {expected}.")
        offsets = None if times.offsets is None else times.offsets.to_numpy().astype("timedelta64[us]")
        return cls(times.instants.to_numpy(), offsets, times.form)

    def __len__(self) -> int:
        """The number of rows, T."""
        return len(self.instants)

    def __getitem__(self, rows: slice) -> TimeAxis:
        """The times of some rows."""
        return TimeAxis(self.instants[rows], None if self.offsets is None else self.offsets[rows], self.form)

    @property
    def dated(self) -> bool:
        """Whether the times are dates, and not numbers."""
        return self.instants.dtype.kind == "M"

    @property
    def local(self) -> Times:
        """What a clock where the data are from shows."""
        return self.instants if self.offsets is None else self.instants + self.offsets

    def first_at(self, text: str, settings: TableSettings) -> int | None:
        """The first row at a moment or after it; T where there is none. None where the text is no time of this kind.

        Args:
            text: A date or time in the form of the data or as in ISO 8601, local unless it has an offset; a number,
                such as the year ``"1950"``, where the times are numbers.
            settings: As in :meth:`read`.
        """
        import polars

        if not self.dated:
            try:
                return int(np.argmax(np.append(self.instants >= float(text), True)))
            except ValueError:
                return None
        forms = [settings.time_format, ""] if settings.time_format else [""]
        for form in forms:
            found = parsed(polars.Series([text]), settings.model_copy(update={"time_format": form, "time_zone": ""}))
            if found.instants[0] is not None and found.instants.dtype == polars.Datetime("us"):
                moment = found.instants.to_numpy()[0]
                times = self.local if found.offsets is None else self.instants
                return int(np.argmax(np.append(times >= moment, True)))
        return None

    def followed(self, count: int) -> TimeAxis:
        """With the times that follow, by the step of the series.

        The step is a whole number of months where the series steps from month to month on one day of the month (the
        last one where a month is too short), on its last day, or on its last or first working day; a working day where
        a daily series leaves out the weekends; and else the commonest difference. A step of whole days keeps the time
        of day, also where clocks are changed; a shorter one is time that passes.

        Args:
            count: How many to add to the T that there are, T at least 2.
        """
        if not count:
            return self
        if not self.dated:
            step = _commonest(np.diff(self.instants))
            more = np.asarray(self.instants[-1] + np.arange(1, count + 1) * step, self.instants.dtype)
            return TimeAxis(np.concatenate([self.instants, more]))
        local = _following_days(self.local, count)
        if local is None:
            step = _commonest(np.diff(self.instants))
            more = self.instants[-1] + np.arange(1, count + 1) * step
        elif self.offsets is None:
            more = local
        else:
            more = self._in_zone(local, instants_of) if self.form.zone else local - self.offsets[-1]
        offsets = self.offsets
        if offsets is not None:
            ahead = self._in_zone(more, offsets_of) if self.form.zone else np.full(count, offsets[-1])
            offsets = np.concatenate([offsets, ahead.astype("timedelta64[us]")])
        return TimeAxis(np.concatenate([self.instants, more.astype(self.instants.dtype)]), offsets, self.form)

    def _in_zone(self, times: Times, convert: Callable[[polars.Series, str], polars.Series]) -> Times:
        import polars

        found: Times = convert(polars.Series(times.astype("datetime64[us]")), self.form.zone).to_numpy()
        return found

    def calendar(self, names: Sequence[str]) -> npt.NDArray[np.float32]:
        """Where in the day, the week or the year each time is, by a clock where the data are from: points on circles.

        Args:
            names: Of ``hour`` (with the minutes as its fraction), ``weekday``, ``month``, ``day_of_year``.

        Returns:
            [T, 2 * len(names)]: the sine and cosine of each.
        """
        if not names:
            return np.zeros((len(self), 0), np.float32)
        times = self.local
        days = times.astype("datetime64[D]")
        years = days.astype("datetime64[Y]")
        places = {
            "hour": (times - days) / np.timedelta64(1, "h"),
            "weekday": (days.astype(np.int64) + 3) % 7,  # 1970-01-01 was a Thursday; Monday is 0
            "month": days.astype("datetime64[M]").astype(np.int64) % 12,
            "day_of_year": (days - years.astype("datetime64[D]")).astype(np.int64),
        }
        angles = [2 * np.pi * places[name] / _PERIODS[name] for name in names]
        return np.stack([wave(angle) for angle in angles for wave in (np.sin, np.cos)], -1).astype(np.float32)

    def shown(self) -> list[Any]:
        """The times for JSON: numbers, or text as the file writes them, in its zone."""
        return self.form.texts(self.local, self.offsets) if self.dated else list(self.instants.tolist())


def _following_days(times: Times, count: int) -> Times | None:
    """Local times that go on by months, working days or whole days; None where the step is another."""
    ahead = np.arange(1, count + 1)
    days, clock = times.astype("datetime64[D]"), times - times.astype("datetime64[D]")
    if len(np.unique(clock)) > 1:
        return None
    months = days.astype("datetime64[M]")
    steps = np.diff(months.astype(np.int64))
    if (steps > 0).all():
        following = months[-1] + ahead * _commonest(steps)
        for rule in _month_rules(days):
            if (rule(months) == days).all():
                return np.asarray(rule(following) + clock[-1])
    step = _commonest(np.diff(times))
    if step == _DAY and len(times) > 7 and np.is_busday(days).all():
        return np.asarray(np.busday_offset(days[-1], ahead) + clock[-1])
    # A clock that was set back shows one time twice.
    return np.asarray(times[-1] + ahead * step) if step >= _DAY else None


def _month_rules(days: Times) -> list[Callable[[Times], Times]]:
    """What says, of a month, the day that a monthly series may have in it, the likeliest first."""
    latest = int((days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64).max())

    def last(months: Times) -> Times:
        return np.asarray((months + 1).astype("datetime64[D]") - 1)

    def one(months: Times) -> Times:
        """The day of the month that the series has, or the last one of a month that ends before it."""
        return np.asarray(np.minimum(months.astype("datetime64[D]") + latest, last(months)))

    def last_working(months: Times) -> Times:
        return np.asarray(np.busday_offset(last(months), 0, "backward"))

    def first_working(months: Times) -> Times:
        return np.asarray(np.busday_offset(months.astype("datetime64[D]"), 0, "forward"))

    return [last, one, last_working, first_working]


def _commonest(steps: npt.NDArray[Any]) -> Any:
    """The step that occurs most often; of several, the shortest."""
    found, counts = np.unique(steps, return_counts=True)
    return found[counts.argmax()]
