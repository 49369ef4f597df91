"""What missing values become, and that nothing is learned of it from other splits."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from holdfast.data import Encoder, Examples
from holdfast.data.missing import Filling
from holdfast.data.readers.series import read
from holdfast.data.series import Series, Windows
from holdfast.data.settings import Missing
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, HoldfastWarning
from holdfast.tasks.classify.settings import ClassifyData
from holdfast.tasks.forecast.encoder import SeriesEncoder
from holdfast.tasks.forecast.metrics import ForecastMetrics
from holdfast.tasks.forecast.settings import ForecastData

NAN = math.nan
ROWS = [[NAN, 1.0, NAN], [2.0, NAN, NAN], [NAN, NAN, NAN], [NAN, 7.0, NAN], [8.0, NAN, NAN]]


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("interpolate", [[2, 2, 4, 6, 8], [1, 3, 5, 7, 7], [9] * 5]),
        ("previous", [[2, 2, 2, 2, 8], [1, 1, 1, 7, 7], [9] * 5]),
        ("mean", [[3, 2, 3, 3, 8], [1, 4, 4, 7, 4], [9] * 5]),
        ("mask", [[3, 2, 3, 3, 8], [1, 4, 4, 7, 4], [9] * 5]),
    ],
)
def test_gaps_are_filled(kind: Missing, columns: list[list[float]]) -> None:
    filling = Filling.of(kind, [3.0, 4.0, 9.0], [True, False, True])
    values = torch.tensor(ROWS, dtype=torch.float64)
    assert filling.filled(values).T.tolist() == columns
    assert torch.equal(filling.filled(torch.stack([values, values]))[1], filling.filled(values))
    assert filling.mask(values).T.tolist() == ([[1, 0, 1, 1, 0], [1] * 5] if kind == "mask" else [])
    assert Filling.model_validate(json.loads(json.dumps(filling.model_dump(mode="json")))) == filling


@pytest.mark.parametrize("change", [{"kind": "best"}, {"masked": [3]}, {"masked": [-1]}, {"mean": ["x"]}])
def test_a_damaged_filling_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"Input should be|the masks \[-?\d\] are not among 1 channels"):
        Filling.model_validate({"kind": "mask", "mean": [1.0], "masked": [0], **change})


TRAIN = Examples(
    [np.array([[1.0, 5], [NAN, 5]]), np.array([[3.0, 5], [NAN, 5], [5, 5]])], ["a", "b"], ["p", "q"], gaps=True
)
TEST = Examples([np.array([[NAN, NAN], [100, 5]])], ["a"], ["r"], gaps=True)


def test_masks_are_channels_and_stay_as_they_are_when_values_are_scaled() -> None:
    encoder = Encoder.fit(TRAIN, ClassifyData(missing="mask", scaling="standard"))
    assert (encoder.channels, encoder.filling.masked, encoder.filling.mean) == (3, (0,), (3.0, 5.0))
    encoded = encoder.encode(TEST)[0].inputs[0]
    assert encoded[:, 2].tolist() == [1, 0]
    assert encoded[0].tolist() == [0, 0, 1]  # the training mean, and not that of the test
    assert encoder.encode(TRAIN)[0].inputs[0, :, 2].tolist() == [0, 1]
    again = Encoder.model_validate(json.loads(json.dumps(encoder.model_dump(mode="json"))))
    assert again == encoder
    with pytest.raises(DataError, match="r has 1 values per step; the model was trained on 2"):
        encoder.encode(Examples(np.zeros((1, 2, 1)), None, ["r"], gaps=True))
    damaged = {**encoder.model_dump(mode="json"), "filling": {"kind": "mask", "mean": [], "masked": [7]}}
    with pytest.raises(ValidationError, match=r"the masks \[7\] are not among 0 channels"):
        Encoder.model_validate(damaged)


def test_sequences_are_filled_by_themselves_and_else_by_the_training_mean() -> None:
    encoder = Encoder.fit(TRAIN, ClassifyData(missing="interpolate", scaling="none"))
    assert encoder.channels == 2
    assert encoder.encode(TRAIN)[1].inputs[0].tolist() == [[3, 5], [4, 5], [5, 5]]
    assert encoder.encode(TEST)[0].inputs[0].tolist() == [[100, 5], [100, 5]]
    nothing = Examples(np.full((1, 3, 2), NAN), None, ["r"], gaps=True)
    assert encoder.encode(nothing)[0].inputs[0].tolist() == [[3, 5]] * 3


def test_a_channel_that_training_never_has_is_refused() -> None:
    with pytest.raises(DataError) as error:
        Encoder.fit(Examples(np.full((2, 3, 1), NAN), ["a", "b"], ["p", "q"], gaps=True), ClassifyData(missing="mean"))
    assert str(error.value) == (
        "Value 0 of a step (from 0) is missing in all training sequences, such as p; expected it in some. Leave it out."
    )


def windows(
    targets: list[float], past: list[float], missing: Missing, window: int = 3
) -> tuple[SeriesEncoder, Windows]:
    one = Series(
        "s",
        TimeAxis(np.arange(len(targets))),
        np.array(targets)[:, None],
        np.array(past)[:, None],
        np.zeros((len(targets), 0)),
        ("y",),
    )
    data = ForecastData(window=window, horizon=2, target_columns=["y"], past_columns=["p"], missing=missing)
    found = Windows.of([one], window, 2)
    return SeriesEncoder.fit(found, data), found


@pytest.mark.parametrize(
    ("missing", "seen"),
    [
        ("interpolate", [[0, 1, 2], [5, 6, 6]]),
        ("previous", [[0, 0, 2], [5, 6, 6]]),
        ("mean", [[0, 22 / 6, 2], [5, 6, 7]]),
    ],
)
def test_a_window_knows_nothing_of_what_follows(missing: Missing, seen: list[list[float]]) -> None:
    """The gap at its end is not filled from the rows that are to be forecast, and these stay missing."""
    encoder, found = windows([0, NAN, 2, NAN, 4, 5, 6, 5], [5, 6, NAN, 9, 8, 7, 7, 7], missing)
    batch = encoder.encode(found, 2).__getitems__(np.array([0]))
    shown = batch.inputs[0].numpy() * encoder.scaling.std + encoder.scaling.mean
    assert pytest.approx(np.array(seen), abs=1e-5) == shown.T
    assert batch.actual is not None
    assert np.array_equal(batch.actual[0, :, 0], [NAN, 4], equal_nan=True)
    assert np.array_equal(batch.known_targets.isnan()[0, :, 0], [True, False])
    assert batch.history.tolist() == [[[2]]]


def test_masks_of_forecasts_are_known_until_now() -> None:
    encoder, found = windows([0, NAN, 2, 3, 4, 5], [5, 6, 7, 9, 8, 7], "mask")
    assert encoder.channels == (1, 2, 0)
    batch = encoder.encode(found, 2).__getitems__(np.array([0]))
    assert batch.inputs[0, :, 2].tolist() == [0, 1, 0]
    assert batch.inputs[0, 1, 0] == 0
    assert SeriesEncoder.model_validate(json.loads(json.dumps(encoder.model_dump(mode="json")))) == encoder


def test_missing_targets_are_not_measured() -> None:
    encoder, found = windows([0, 1, 2, 3, NAN, 5, 6, 7], [5.0] * 8, "previous")
    batch = encoder.encode(found, 2).__getitems__(np.arange(len(found)))
    metrics = ForecastMetrics([1.0], [1.0], 1)
    metrics.update(torch.full((len(found), 2, 1, 1), 4.0, dtype=torch.float64), batch)
    actual = [3, 5, 5, 6, 6, 7]  # [3, -], [-, 5], [5, 6], [6, 7]
    assert metrics.compute()["mae"] == pytest.approx(np.mean([abs(4 - value) for value in actual]))
    assert metrics.compute()["rmse"] == pytest.approx(np.sqrt(np.mean([(4 - value) ** 2 for value in actual])))


def test_a_target_that_never_varies_is_warned_of() -> None:
    with pytest.warns(HoldfastWarning) as told:
        windows([2.0, NAN, 2, 2, 2, 2], [1, 2, 3, 4, 5, 6], "mean")
    assert str(told[0].message) == (
        "The column 'y' never varies in the training part, so there is nothing to learn from it. Check the column, or "
        "train on more rows."
    )


def test_rows_ahead_may_lack_targets_and_no_more(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.csv"
    path.write_text("y;k\n1,5;0\nNA;1\n2,5;-\n;1\n-;0\n")
    data = ForecastData(target_columns=["y"], known_columns=["k"], missing="interpolate")
    [found] = read([path], data)
    assert np.array_equal(found.targets[:, 0], [1.5, NAN, 2.5], equal_nan=True)
    assert len(found.times) == 5
    with pytest.raises(DataError, match=r"a.csv, line 3: the column 'y' holds 'NA'; expected a number"):
        read([path], data.model_copy(update={"missing": "error"}))
