from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from holdfast.data.series import Series, Windows
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, HoldfastError
from holdfast.tasks.forecast.data import load
from holdfast.tasks.forecast.encoder import SeriesEncoder
from holdfast.tasks.forecast.settings import ForecastData


def series(targets: np.ndarray, known: np.ndarray | None = None, origin: str = "s") -> Series:
    targets = np.asarray(targets, float).reshape(len(targets), -1)
    known = np.zeros((len(targets), 0)) if known is None else np.asarray(known, float)
    names = tuple(f"y{channel}" for channel in range(targets.shape[1]))
    return Series(origin, TimeAxis(np.arange(len(known))), targets, np.zeros((len(targets), 0)), known, names)


def write(folder: Path, values: object, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_text("t,y\n" + "".join(f"{row},{value}\n" for row, value in enumerate(np.asarray(values).tolist())))
    return path


def settings(**values: object) -> ForecastData:
    return ForecastData.model_validate(
        {"train": ["a.csv"], "time_column": "t", "window": 4, "horizon": 2, "validation": 0.1} | values
    )


def test_a_window_is_what_stands_in_the_series() -> None:
    data = settings(season=3)
    windows = Windows.of([series(np.arange(10.0)), series(100 + np.arange(8.0))], 4, 2)
    encoder = SeriesEncoder.fit(windows, data)
    dataset = encoder.encode(windows, 2)
    assert len(dataset) == 5 + 3
    assert dataset.lengths.tolist() == [4] * 8
    batch = dataset.__getitems__(np.array([6, 1]))
    assert encoder.restored(batch.inputs[..., None])[..., 0, 0].numpy() == pytest.approx(
        np.array([[101, 102, 103, 104], [1, 2, 3, 4]]), rel=1e-5
    )
    assert encoder.restored(batch.targets[..., None])[..., 0, 0].numpy() == pytest.approx(
        np.array([[105, 106], [5, 6]]), rel=1e-5
    )
    assert batch.actual[..., 0].tolist() == [[105, 106], [5, 6]]
    assert batch.history[..., 0].tolist() == [[102, 103, 104], [2, 3, 4]]
    assert batch.to("cpu").actual.dtype == batch.history.dtype


def test_stride_and_subset() -> None:
    windows = Windows.of([series(np.arange(20.0))], 4, 2, stride=3)
    assert windows.starts.tolist() == [[0, row] for row in (4, 7, 10, 13, 16)]
    assert windows.origins == [f"s[{row}]" for row in (4, 7, 10, 13, 16)]
    assert windows.subset([3, 0]).starts.tolist() == [[0, 13], [0, 4]]


def test_what_is_known_ahead_stands_one_row_earlier() -> None:
    known = 10.0 * np.arange(8)[:, None]
    data = settings(known_columns=["k"])
    windows = Windows.of([series(np.arange(8.0), known)], 4, 2)
    encoder = SeriesEncoder.fit(windows, data)
    batch = encoder.encode(windows, 2).__getitems__(np.array([1]))
    mean, std = encoder.scaling.mean[1], encoder.scaling.std[1]
    assert (batch.inputs[0, :, 1] * std + mean).tolist() == pytest.approx([20, 30, 40, 50], rel=1e-5)
    assert (batch.future[0, :, 0] * std + mean).tolist() == pytest.approx([50, 60], rel=1e-5)


def test_past_columns_stand_in_their_own_row() -> None:
    rows = np.arange(8.0)[:, None]
    one = replace(series(rows, known=rows), past=rows**2)
    windows = Windows.of([one], 4, 2)
    encoder = SeriesEncoder.fit(windows, settings(past_columns=["p"], known_columns=["k"]))
    assert encoder.channels == (1, 1, 1)
    batch = encoder.encode(windows, 2).__getitems__(np.array([0]))
    values = batch.inputs[0].numpy() * encoder.scaling.std + encoder.scaling.mean
    assert values == pytest.approx(np.array([[0, 0, 1], [1, 1, 2], [2, 4, 3], [3, 9, 4]]), abs=1e-5)


def test_the_calendar_is_what_is_known_of_rows_that_are_not_there_yet() -> None:
    hours = np.arange("2020-01-01T00", "2020-01-01T08", dtype="datetime64[h]").astype("datetime64[us]")
    one = Series("s", TimeAxis(hours), np.arange(8.0)[:, None], np.zeros((8, 0)), np.zeros((8, 0)), ("y",))
    windows = Windows.of([one], 4, 2)
    encoder = SeriesEncoder.fit(windows, settings(calendar=["hour"]))
    assert encoder.channels == (1, 0, 2)
    batch = encoder.encode(windows.unlabelled(), 3).__getitems__(np.array([0]))
    angles = torch.atan2(*batch.future[0].T).numpy() * 24 / (2 * np.pi)
    assert angles == pytest.approx([8, 9, 10], abs=1e-5)
    assert batch.times == (["2020-01-01T08:00:00", "2020-01-01T09:00:00", "2020-01-01T10:00:00"],)
    assert batch.targets is None
    assert batch.actual is None
    assert not batch.inputs.isnan().any()


def test_the_splits_follow_one_another_and_share_no_forecast_row(tmp_path: Path) -> None:
    write(tmp_path, np.arange(100.0))
    splits = load(settings(test_fraction=0.2, validation=0.25), tmp_path, 2)
    [train], [validation], [test] = splits.train.series, splits.validation.series, splits.test.series
    assert train.targets[:, 0].tolist() == list(range(60))
    assert validation.targets[:, 0].tolist() == list(range(56, 80))
    assert test.targets[:, 0].tolist() == list(range(76, 100))
    forecast = [
        {one.targets[row + ahead, 0] for _, row in part.starts.tolist() for ahead in range(2)}
        for part, one in ((splits.train, train), (splits.validation, validation), (splits.test, test))
    ]
    assert [(min(rows), max(rows)) for rows in forecast] == [(4, 59), (60, 79), (80, 99)]
    assert splits.test.origins[0].endswith("a.csv[80]")


def test_nothing_of_validation_and_test_is_in_the_scales(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=100)
    encoders = []
    for later in (0.0, 1e6):
        changed = values.copy()
        changed[60:] += later
        write(tmp_path, changed)
        data = settings(test_fraction=0.2, validation=0.25, season=3)
        encoders.append(SeriesEncoder.fit(load(data, tmp_path, 2).train, data))
    assert encoders[0] == encoders[1]
    encoder = encoders[0]
    assert encoder.scaling.mean[0] == pytest.approx(values[:60].mean())
    assert encoder.scaling.std[0] == pytest.approx(values[:60].std())
    assert encoder.deviations[0] == pytest.approx(values[:60].std())
    assert encoder.naive_errors[0] == pytest.approx(np.abs(values[3:60] - values[:57]).mean())
    assert SeriesEncoder.model_validate(encoder.model_dump(mode="json")) == encoder


def test_logarithms_are_scaled_and_restored(tmp_path: Path) -> None:
    write(tmp_path, np.exp(np.arange(30.0) / 10))
    data = settings(log=True)
    windows = load(data, tmp_path, 2).train
    encoder = SeriesEncoder.fit(windows, data)
    rows = np.arange(len(windows.series[0])) / 10
    assert encoder.scaling.mean[0] == pytest.approx(rows.mean())
    assert encoder.deviations[0] == pytest.approx(np.exp(rows).std())
    batch = encoder.encode(windows, 2).__getitems__(np.array([0]))
    assert encoder.restored(batch.targets[..., None])[..., 0].numpy() == pytest.approx(batch.actual.numpy(), rel=1e-5)


@pytest.mark.parametrize(
    ("split", "ends"),
    [([50, 20, 30], (49, 69, 99)), ([50, 20, 10], (49, 69, 79)), (["60", "80"], (59, 79, 99)), ([70, 0, 30], (69, 99))],
)
def test_splits_by_rows_and_by_times(tmp_path: Path, split: list[object], ends: tuple[int, ...]) -> None:
    write(tmp_path, np.arange(100.0))
    splits = load(settings(split=split), tmp_path, 2)
    parts = [part for part in (splits.train, splits.validation, splits.test) if part is not None]
    assert tuple(int(part.series[0].targets[-1, 0]) for part in parts) == ends


def test_a_limit_keeps_the_first_windows(tmp_path: Path) -> None:
    write(tmp_path, np.arange(100.0))
    splits = load(settings(limit=5), tmp_path, 2)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [5, 5, 5]
    assert splits.train.starts[0].tolist() == [0, 4]


def test_test_files_are_tested_on_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path, np.arange(20.0))
    write(tmp_path, np.arange(9.0), "b.csv")
    splits = load(settings(test=["b.csv"], validation=0.3), tmp_path, 3)
    assert splits.train.series[0].targets[-1, 0] == 13
    assert len(splits.test) == 9 - 4 - 3 + 1


def test_the_made_series_goes_on_as_a_sine() -> None:
    [made] = load(settings(source="sine", train=[], split=[2000, 0, 1000]), None, 2).train.series
    assert made.targets[:, 0] == pytest.approx(np.sin(0.2 * np.arange(2000)))


@pytest.mark.parametrize(
    ("values", "changes", "message"),
    [
        (
            np.arange(100.0),
            {"split": [90, 20, 5]},
            "PATH has 100 rows, and data.split = [90, 20, 5] needs 115. Lower the numbers, or use data.validation and "
            "data.test_fraction instead.",
        ),
        (
            np.arange(100.0),
            {"split": [90, 10]},
            "data.split is [90, 10]; expected three numbers of rows, for training, validation and test, or two "
            "times in the form of PATH, at which validation and test begin.",
        ),
        (
            np.arange(100.0),
            {"split": ["2020-01", "2020-02"]},
            "data.split is ['2020-01', '2020-02']; expected three numbers of rows, for training, validation and "
            "test, or two times in the form of PATH, at which validation and test begin.",
        ),
        (
            np.arange(100.0),
            {"split": ["50", "40"]},
            "data.split is ['50', '40'], which leaves 50 rows of PATH to train on, -10 to validate on and 60 to test "
            "on; expected ascending times within the series.",
        ),
        (
            np.arange(12.0),
            {},
            "The validation part of PATH is too short: with the rows before it, it has 5 rows; expected at least 6: 4 "
            "before it and the horizon of 2. Give longer series, or lower data.window or data.horizon.",
        ),
        (
            np.arange(6.0),
            {},
            "The training part of PATH is too short: with the rows before it, it has 3 rows; expected at least 6: 4 "
            "before it and the horizon of 2. Give longer series, or lower data.window or data.horizon.",
        ),
    ],
)
def test_what_cannot_be_split_is_said(
    tmp_path: Path, values: np.ndarray, changes: dict[str, object], message: str
) -> None:
    path = write(tmp_path, values)
    with pytest.raises(HoldfastError) as error:
        load(settings(**changes), tmp_path, 2)
    assert str(error.value).replace(str(path), "PATH") == message


def test_what_cannot_be_encoded_is_said() -> None:
    known = np.arange(22.0)[:, None]
    encoder = SeriesEncoder.fit(Windows.of([series(np.arange(20.0), known)], 4, 2), settings(known_columns=["k"]))
    short = Windows.of([series(np.arange(5.0), np.arange(5.0)[:, None])], 4, 2)
    with pytest.raises(DataError) as error:
        encoder.encode(short, 2)
    assert str(error.value) == "s has 5 rows; expected at least 6, 4 to forecast from and 2 to measure the forecast on."
    with pytest.raises(DataError) as error:
        encoder.encode(short.unlabelled(), 2)
    assert str(error.value) == (
        "s has 0 rows after the last target; expected 2 with k, the columns that are known ahead. Add rows that have "
        "only the time and these columns."
    )
    shorter = Windows.of([series(np.arange(3.0), np.arange(5.0)[:, None])], 4, 2)
    with pytest.raises(DataError) as error:
        encoder.encode(shorter.unlabelled(), 2)
    assert str(error.value) == "s has 3 rows; expected at least 4 to forecast from."
    with pytest.raises(DataError) as error:
        SeriesEncoder.fit(Windows.of([series(np.arange(20.0))], 4, 2), settings(log=True))
    assert str(error.value) == (
        "s[0]: the column 'y0' holds 0; expected numbers above 0, as data.log = true forecasts the "
        "logarithm. Set data.log = false."
    )


def test_windows_of_many_series_are_those_of_each() -> None:
    parts = [series(np.arange(float(rows)), origin=f"s{rows}") for rows in (9, 3, 6, 20)]
    starts = [[k, row] for k, part in enumerate(parts) for row in range(4, len(part) - 1, 3)]
    assert Windows.of(parts, 4, 2, stride=3).starts.tolist() == starts
    assert len(Windows.of([], 4, 2)) == 0
