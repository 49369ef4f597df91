"""Local times of a named time zone, and UTC."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars


def offsets_of(instants: polars.Series, zone: str) -> polars.Series:
    """Local time in a zone minus UTC, in microseconds, at some times in UTC."""
    import polars

    local = instants.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    return (local - instants).cast(polars.Duration("us")).cast(polars.Int64)


def _cumulative(counts: polars.Series, groups: polars.Series) -> polars.Series:
    """The cumulative sum of the counts within each group."""
    import polars

    frame = polars.DataFrame({"counts": counts, "groups": groups})
    return frame.select(polars.col("counts").cum_sum().over("groups")).to_series()


def instants_of(local: polars.Series, zone: str, *, in_order: bool = False) -> polars.Series:
    """Local times as times in UTC.

    A local time that occurs twice, as the clock is set back, is the earlier one. A local time that does not occur, as
    the clock is set forward, is taken as one hour later.

    Args:
        local: Local times.
        zone: The name of the time zone.
        in_order: Whether the rows are in order of time. A time that occurs twice is then the later one from the row on
            in which the local time goes back.
    """
    first = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    if in_order:
        last = local.dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
        twice = (first != last).fill_null(False)
        back = (twice & twice.shift(1, fill_value=False) & (local.diff() <= timedelta())).fill_null(False).cast(int)
        night = (~twice).cum_sum()
        first = last.zip_with(_cumulative(back, night) > 0, first) if twice.any() else first
    later = local.dt.offset_by("1h").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return first.fill_null(later).dt.convert_time_zone("UTC").dt.replace_time_zone(None)
