"""How times are written as text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[Any]
"""Dates and times as datetime64[us], or numbers as int64 or float64."""


@dataclass(frozen=True)
class Form:
    """How the times of a file are written.

    Attributes:
        pattern: A pattern for ``strftime``; empty for ISO 8601 with the precision of the times.
        digits: Digits of the fraction of a second, which follows the pattern.
        offset: How the offset from UTC is written at the end: ``"Z"``, ``"+00:00"``, ``"+0000"``, ``"+00"``, or ``""``
            for no offset.
        zone: The name of the time zone; empty where the file has only offsets, or neither.
    """

    pattern: str = ""
    digits: int = 0
    offset: str = ""
    zone: str = ""

    def texts(self, local: Times, offsets: Times | None) -> list[str]:
        """Times as text.

        Args:
            local: Local times, [T], datetime64[us].
            offsets: Local time minus UTC, [T], timedelta64[us]; None for times without a zone.
        """
        if not self.pattern:
            finest = "s" if offsets is not None else "D"
            units = ("D", "s", "us")[("D", "s", "us").index(finest) :]
            unit: Any = next(unit for unit in units if (local == local.astype(f"datetime64[{unit}]")).all())
            texts = np.datetime_as_string(local, unit=unit).tolist()
        else:
            texts = [
                self._text(time, offset) for time, offset in zip(local.tolist(), _each(offsets, local), strict=True)
            ]
        if not self.offset:
            return list(texts)
        return [text + self._offset(offset) for text, offset in zip(texts, _each(offsets, local), strict=True)]

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


def _each(offsets: Times | None, times: Times) -> list[timedelta | None]:
    """The offset of each time."""
    return [None] * len(times) if offsets is None else offsets.tolist()


AS_ISO = Form()
