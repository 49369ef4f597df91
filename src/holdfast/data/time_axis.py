"""The times of a series: read from a column, continued after the last row, and encoded as sines and cosines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from holdfast.data.settings import TableSettings
from holdfast.data.time_form import AS_ISO, Form, Times
from holdfast.data.time_steps import Positions, day_steps, most_frequent, regular
from holdfast.data.time_text import parse
from holdfast.data.time_zone import instants_of, offsets_of
from holdfast.errors import DataError

if TYPE_CHECKING:
    import polars

_PERIODS = {"hour": 24.0, "weekday": 7.0, "month": 12.0, "day_of_year": 365.2425}


@dataclass(frozen=True, eq=False)
class TimeAxis:
    """The times of the rows of a series.

    Attributes:
        instants: Numbers, or datetimes without a zone, in UTC where the data have a zone, [T].
        offsets: Local time minus UTC, [T], timedelta64[us]; None for numbers, and without a zone.
        form: How the file writes them.
    """

    instants: Times
    offsets: Times | None = None
    form: Form = AS_ISO

    @classmethod
    def from_column(
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
            column: A column that :func:`holdfast.data.time_text.parse` can parse.
            settings: ``time_format`` and ``time_zone`` are used.
            where: Names a row, for the message.
            comma: Whether the decimal sign of numbers is a comma.
            in_order: Whether the rows are in order of time: of two equal local times, the file then says which is the
                later one.

        Raises:
            DataError: A value is not a time, or of another kind than the first value.
            RecipeError: A setting is wrong.
        """
        times = parse(column, settings, comma=comma, in_order=in_order)
        if times.instants.null_count():
            row = times.instants.is_null().arg_max() or 0
            value = column[row]
            got = "is empty" if value is None or not str(value).strip() else f"holds {str(value)!r}"
            expected = (
                f"a time of the form {settings.time_format!r} (data.time_format)"
                if settings.time_format
                else "a time such as 2016-07-01 00:15 in every row (with a zone in all or in none), or a number in "
                "every row; set data.time_format if times are written in another form"
            )
            raise DataError(f"{where(row)}: the column {column.name!r} {got}; expected {expected}.")
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
        """Whether the times are dates; else they are numbers."""
        return self.instants.dtype.kind == "M"

    @property
    def local(self) -> Times:
        """The local times, [T]."""
        return self.instants if self.offsets is None else self.instants + self.offsets

    def first_at(self, text: str, settings: TableSettings) -> int | None:
        """The first row at a moment or after it; T if there is none. None if the text is not a time of this kind.

        Args:
            text: A date or time in the form of the data or in ISO 8601, a local time unless it has an offset; a number,
                such as the year ``"1950"``, where the times are numbers.
            settings: As in :meth:`from_column`.
        """
        import polars

        if not self.dated:
            try:
                return int(np.argmax(np.append(self.instants >= float(text), True)))
            except ValueError:
                return None
        forms = [settings.time_format, ""] if settings.time_format else [""]
        for form in forms:
            parsed = parse(polars.Series([text]), settings.model_copy(update={"time_format": form, "time_zone": ""}))
            if parsed.instants[0] is not None and parsed.instants.dtype == polars.Datetime("us"):
                moment = parsed.instants.to_numpy()[0]
                times = self.local if parsed.offsets is None else self.instants
                return int(np.argmax(np.append(times >= moment, True)))
        return None

    def extended(self, count: int) -> TimeAxis:
        """These times and those that follow, by the step of the series.

        The step is a whole number of months if each time is on the same day of its month (the last day in a shorter
        month), on the last day, or on the last or first working day. It is one working day if a daily series has no
        weekends. Else it is the most frequent difference. A step of whole days keeps the local time of day when clocks
        change; a shorter step is elapsed time.

        Args:
            count: The number of times to add to the T times of the series, T at least 2.
        """
        if not count:
            return self
        ahead = np.arange(1, count + 1)
        local = day_steps(self.local) if self.dated else None
        if local is None:
            more = self.instants[-1] + ahead * most_frequent(np.diff(self.instants))
        elif self.offsets is None:
            more = local(ahead)
        else:
            more = self._in_zone(local(ahead), instants_of) if self.form.zone else local(ahead) - self.offsets[-1]
        offsets = self.offsets
        if offsets is not None:
            ahead = self._in_zone(more, offsets_of) if self.form.zone else np.full(count, offsets[-1])
            offsets = np.concatenate([offsets, ahead.astype("timedelta64[us]")])
        return TimeAxis(np.concatenate([self.instants, more.astype(self.instants.dtype)]), offsets, self.form)

    def completed(self) -> tuple[TimeAxis, Positions]:
        """Every time from the first to the last of a series, by the same step as :meth:`extended`.

        Returns:
            The times, and the position of each of the T rows among them, [T]; -1 for a row between two steps. A series
            that would have far more steps than rows is not completed: its later rows have the position -1.
        """
        if len(self) < 2:
            return self, np.arange(len(self))
        local = day_steps(self.local) if self.dated else None
        times = self.instants if local is None else self.local
        grid, positions = regular(times, local)
        if (positions < 0).any() or len(grid) == len(self):
            return self, positions
        before = np.searchsorted(positions, np.arange(len(grid)), "right") - 1
        offsets = None if self.offsets is None else self.offsets[before]
        if offsets is None:
            instants = grid
        elif local is None:
            instants = grid
            offsets = self._in_zone(grid, offsets_of) if self.form.zone else offsets
        else:
            instants = self._in_zone(grid, instants_of) if self.form.zone else grid - offsets
            offsets = self._in_zone(instants, offsets_of) if self.form.zone else offsets
        instants = instants.astype(self.instants.dtype)
        instants[positions] = self.instants
        if offsets is not None and self.offsets is not None:
            offsets = offsets.astype("timedelta64[us]")
            offsets[positions] = self.offsets
        return TimeAxis(instants, offsets, self.form), positions

    def _in_zone(self, times: Times, convert: Callable[[polars.Series, str], polars.Series]) -> Times:
        import polars

        converted: Times = convert(polars.Series(times.astype("datetime64[us]")), self.form.zone).to_numpy()
        return converted

    def calendar(self, names: Sequence[str]) -> npt.NDArray[np.float32]:
        """The place of each local time in its day, week or year, as a point on a circle.

        Args:
            names: Any of ``hour`` (with the minutes as its fraction), ``weekday``, ``month`` and ``day_of_year``.

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

    def as_json(self) -> list[Any]:
        """Numbers, or text in the form and the zone of the file."""
        return self.form.texts(self.local, self.offsets) if self.dated else list(self.instants.tolist())
