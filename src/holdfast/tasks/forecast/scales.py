"""The scales of series, the measures of their errors, and the values of static columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import model_validator

from holdfast.data.saved import Saved
from holdfast.data.series import Numbers, Series
from holdfast.errors import DataError

_ROUNDING = 1e-12
"""A standard deviation below this share of the mean is rounding: the values are constant."""


@dataclass(frozen=True, eq=False)
class Scales:
    """What each of K series is scaled by, and what its errors are divided by.

    Attributes:
        mean: The mean of targets (with ``log``, of their logarithms) and past columns, [K, C + P].
        std: Their standard deviations, [K, C + P]; above 0.
        deviations: The standard deviation of each target in original units, [K, C].
        naive_errors: The mean absolute error of each target's seasonal-naive forecast of one row, [K, C].
    """

    mean: Numbers
    std: Numbers
    deviations: Numbers
    naive_errors: Numbers

    @classmethod
    def stacked(cls, rows: Iterable[tuple[Numbers, Numbers, Numbers, Numbers]]) -> Self:
        """The scales of series after series, as :func:`measured` gives them."""
        return cls(*(np.stack(values) for values in zip(*rows, strict=True)))


def naive_error(targets: Numbers, season: int) -> Numbers:
    """The mean absolute error of the seasonal-naive forecast of one row, [C]; 0 without two values to compare.

    Args:
        targets: [T, C], NaN for a missing value.
        season: Rows per season.
    """
    errors = np.abs(targets[season:] - targets[:-season])
    known = ~np.isnan(errors)
    return np.asarray(np.where(known, errors, 0).sum(0) / known.sum(0).clip(min=1))


def measured(
    levels: Numbers, targets: Numbers, season: int, usual: tuple[Numbers, Numbers]
) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """The scales of a series from some of its rows.

    A column that never varies is divided by its absolute value, or by 1.

    Args:
        levels: The targets, or their logarithms, and the past columns, [T, C + P]; NaN for a missing value.
        targets: [T, C], in original units.
        season: Rows per season.
        usual: Mean and standard deviation, [C + P] each, of a column without any value.

    Returns:
        Mean, standard deviation, deviations and naive errors, as :class:`Scales` has them for many series.
    """
    mean, std = _statistics(levels)
    std = np.where(std <= _ROUNDING * np.abs(mean), np.abs(mean), std)
    std = np.where(std > 0, std, 1.0)
    empty = np.isnan(levels).all(0)
    _, deviations = _statistics(targets)
    return (
        np.where(empty, usual[0], mean),
        np.where(empty, usual[1], std),
        np.where(deviations > 0, deviations, 1.0),
        naive_error(targets, season),
    )


def _statistics(values: Numbers) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of the known values of each column; 0 for a column without any."""
    known = ~np.isnan(values)
    count = known.sum(0).clip(min=1)
    mean = np.where(known, values, 0).sum(0) / count
    return mean, np.sqrt(np.square(np.where(known, values - mean, 0)).sum(0) / count)


class PanelScales(Saved):
    """The scales of the training series, each fitted on its own training part.

    Attributes:
        names: The ids of the series, S.
        mean: As in :class:`Scales`, S rows; so are the others.
        std: Standard deviations.
        deviations: Standard deviations of the targets in original units.
        naive_errors: Errors of the seasonal-naive forecasts.
    """

    names: tuple[str, ...]
    mean: tuple[tuple[float, ...], ...]
    std: tuple[tuple[float, ...], ...]
    deviations: tuple[tuple[float, ...], ...]
    naive_errors: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, names: Sequence[str], scales: Scales) -> Self:
        """The scales of some series."""
        return cls(
            names=tuple(names),
            mean=_rows(scales.mean),
            std=_rows(scales.std),
            deviations=_rows(scales.deviations),
            naive_errors=_rows(scales.naive_errors),
        )

    @model_validator(mode="after")
    def _fit_one_another(self) -> Self:
        tables = (self.mean, self.std, self.deviations, self.naive_errors)
        if any(len(table) != len(self.names) or len({len(row) for row in table}) > 1 for table in tables):
            raise ValueError(f"the scales do not have one row for each of {len(self.names)} series")
        if not all(math.isfinite(value) for table in tables for row in table for value in row):
            raise ValueError("a scale is not finite")
        if any(value <= 0 for row in (*self.std, *self.deviations) for value in row):
            raise ValueError("a standard deviation is not above 0")
        return self

    def by_name(self) -> dict[str, tuple[Numbers, Numbers, Numbers, Numbers]]:
        """The scales of each series, by its id."""
        tables = (np.array(table) for table in (self.mean, self.std, self.deviations, self.naive_errors))
        return dict(zip(self.names, zip(*tables, strict=True), strict=True))


def _rows(values: Numbers) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, values.tolist()))


class StaticColumn(Saved):
    """A static column: a number, scaled over the training series, or a category, as zeros and a one.

    Attributes:
        name: The column.
        mean: Of numbers.
        std: Of numbers, above 0.
        categories: The categories, in order; empty for numbers.
    """

    name: str
    mean: float = 0.0
    std: float = 1.0
    categories: tuple[str, ...] = ()

    @classmethod
    def fit(cls, name: str, values: Sequence[str]) -> Self:
        """The column of some training series: numbers if each value is one, else categories."""
        numbers = [_number(value) for value in values]
        if not all(map(math.isfinite, numbers)):
            return cls(name=name, categories=tuple(dict.fromkeys(sorted(values))))
        return cls(name=name, mean=float(np.mean(numbers)), std=float(np.std(numbers)) or 1.0)

    @model_validator(mode="after")
    def _is_finite(self) -> Self:
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std > 0):
            raise ValueError("a static column has a scale that is not finite, or not above 0")
        return self

    @property
    def size(self) -> int:
        """Values that the network gets."""
        return len(self.categories) or 1

    def encoded(self, value: str, series: Series) -> list[float]:
        """What the network gets for a series.

        Raises:
            DataError: The value is not a number, or a category that no training series has.
        """
        if self.categories:
            if value not in self.categories:
                known = ", ".join(self.categories[:20]) + (", ..." if len(self.categories) > 20 else "")
                raise DataError(
                    f"{series.origin}: the static column {self.name!r} holds {value!r}; expected a category of the "
                    f"training series: {known}. Correct it, or train again with such a series."
                )
            return [float(value == category) for category in self.categories]
        number = _number(value)
        if not math.isfinite(number):
            raise DataError(
                f"{series.origin}: the static column {self.name!r} holds {value!r}; expected a number, as in the "
                "training series. Correct it."
            )
        return [(number - self.mean) / self.std]


def _number(text: str) -> float:
    """The number that a text is; NaN for other text."""
    try:
        return float(text)
    except ValueError:
        return math.nan
