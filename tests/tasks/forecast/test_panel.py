"""One model for many series: each is scaled and measured by itself."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from holdfast import experiment, recipes
from holdfast.data.series import Series, Windows
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import DataError, HoldfastWarning
from holdfast.predictor import Predictor
from holdfast.tasks.forecast.data import load
from holdfast.tasks.forecast.encoder import SeriesEncoder
from holdfast.tasks.forecast.metrics import ForecastMetrics
from holdfast.tasks.forecast.settings import ForecastData

NAN = float("nan")


def series(name: str, targets: Any, *, static: tuple[str, ...] = (), past: Any = None) -> Series:
    targets = np.asarray(targets, float)[:, None]
    rows = len(targets)
    past = np.zeros((rows, 0)) if past is None else np.asarray(past, float)[:, None]
    axis = TimeAxis(np.arange(rows))
    return Series(f"f[id={name}]", axis, targets, past, np.zeros((rows, 0)), ("y",), 0, name, static, ("id", "t"))


def settings(**values: object) -> ForecastData:
    return ForecastData.model_validate(
        {"train": ["a.csv"], "id_column": "id", "time_column": "t", "window": 4, "horizon": 2, "season": 2} | values
    )


def encoded(parts: list[Series], **values: object) -> tuple[SeriesEncoder, Windows]:
    windows = Windows.of(parts, 4, 2)
    return SeriesEncoder.fit(windows, settings(**values)), windows


WAVE = np.array([1.0, 5, 2, 8, 3, 9, 4, 7, 6, 5])


def test_each_series_is_scaled_by_itself() -> None:
    parts = [series("a", WAVE, past=WAVE**2), series("b", 1000 * WAVE + 50, past=3 * WAVE**2)]
    encoder, windows = encoded(parts, past_columns=["p"])
    batch = encoder.encode(windows, 2).__getitems__(np.arange(len(windows)))
    half = len(windows) // 2
    torch.testing.assert_close(batch.inputs[half:], batch.inputs[:half])
    torch.testing.assert_close(batch.known_targets[half:], batch.known_targets[:half])
    assert batch.inputs[0, :, 0].numpy() == pytest.approx((WAVE[:4] - WAVE.mean()) / WAVE.std(), rel=1e-6)
    assert encoder.restored(batch.known_targets[..., None], batch.scale)[..., 0].numpy() == pytest.approx(
        batch.known_actual.numpy(), rel=1e-5
    )
    assert batch.measures is not None
    assert batch.measures[:, 0, 0].tolist() == pytest.approx([WAVE.std()] * half + [1000 * WAVE.std()] * half)
    naive = np.abs(WAVE[2:] - WAVE[:-2]).mean()
    assert batch.measures[:, 1, 0].tolist() == pytest.approx([naive] * half + [1000 * naive] * half)


def test_logarithms_of_a_series_have_its_own_scale() -> None:
    encoder, windows = encoded([series("a", WAVE), series("b", 1000 * WAVE)], log=True)
    batch = encoder.encode(windows, 2).__getitems__(np.arange(len(windows)))
    half = len(windows) // 2
    torch.testing.assert_close(batch.inputs[half:], batch.inputs[:half], rtol=1e-5, atol=1e-5)
    restored = encoder.restored(batch.known_targets[..., None], batch.scale)[..., 0]
    assert restored.numpy() == pytest.approx(batch.known_actual.numpy(), rel=1e-5)


def test_a_series_that_training_does_not_have_is_scaled_by_its_rows_before_the_forecast() -> None:
    encoder, _ = encoded([series("a", WAVE)])
    new = series("new", [7.0, 9, 5, 3, 100, 200, 300])
    windows = Windows.of([new, series("a", 2 * WAVE)], 4, 2)
    batch = encoder.encode(windows, 2).__getitems__(np.array([0, 1, 2]))
    seen = np.array([7.0, 9, 5, 3])
    assert batch.inputs[0, :, 0].numpy() == pytest.approx((seen - seen.mean()) / seen.std(), rel=1e-6)
    assert batch.measures is not None
    assert batch.measures[0, :, 0].tolist() == pytest.approx([seen.std(), np.abs(seen[2:] - seen[:-2]).mean()])
    # A series of the training keeps the scale of its training part.
    assert batch.inputs[2, :, 0].numpy() == pytest.approx((2 * WAVE[:4] - WAVE.mean()) / WAVE.std(), rel=1e-6)
    ahead = encoder.encode(windows.unlabelled(), 2).__getitems__(np.array([0]))
    assert ahead.inputs[0, :, 0].numpy() == pytest.approx(
        ((new.targets - new.targets.mean()) / new.targets.std())[-4:, 0], rel=1e-6
    )
    assert ahead.names == ("new",)


def test_a_series_that_never_varies_and_one_without_values_have_a_scale() -> None:
    parts = [series("a", WAVE), series("flat", [5.0] * 10), series("zero", [0.0] * 10), series("none", [NAN] * 10)]
    encoder, windows = encoded(parts, missing="mean")
    batch = encoder.encode(windows, 2).__getitems__(np.arange(len(windows)))
    assert batch.inputs.isfinite().all()
    assert batch.scale is not None
    by_series = batch.scale[::5, :, 0].tolist()
    assert by_series[1:3] == [[5, 5], [0, 1]]
    assert by_series[3] == pytest.approx([np.mean([*WAVE, *[5.0] * 10, *[0.0] * 10]), encoder.scaling.std[0]])


def test_static_columns_are_at_every_step() -> None:
    parts = [series("a", WAVE, static=("town", "2")), series("b", WAVE, static=("city", "4"))]
    encoder, windows = encoded(parts, static_columns=["kind", "area"])
    assert encoder.channels == (1, 0, 3)
    batch = encoder.encode(windows, 2).__getitems__(np.array([0, 5]))
    assert batch.inputs[:, :, 1:].tolist() == [[[0, 1, -1]] * 4, [[1, 0, 1]] * 4]
    assert batch.future.tolist() == [[[0, 1, -1]] * 2, [[1, 0, 1]] * 2]
    assert SeriesEncoder.model_validate(json.loads(json.dumps(encoder.model_dump(mode="json")))) == encoder
    for static, message in [
        (
            ("village", "2"),
            "f[id=c]: the static column 'kind' holds 'village'; expected a category of the training series: city, "
            "town. Correct it, or train again with such a series.",
        ),
        (
            ("town", "big"),
            "f[id=c]: the static column 'area' holds 'big'; expected a number, as in the training series. Correct it.",
        ),
    ]:
        with pytest.raises(DataError) as error:
            encoder.encode(Windows.of([series("c", WAVE, static=static)], 4, 2), 2)
        assert str(error.value) == message


def test_the_document_of_a_single_series_is_as_before() -> None:
    one = replace(series("", WAVE), keys=("", "t"))
    encoder = SeriesEncoder.fit(Windows.of([one], 4, 2), settings(id_column=""))
    assert set(encoder.model_dump(mode="json")) == {"settings", "scaling", "deviations", "naive_errors"}
    batch = encoder.encode(Windows.of([one], 4, 2), 2).__getitems__(np.array([0]))
    assert (batch.series, batch.scale, batch.measures, batch.names) == (None, None, None, ())


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (("mean", 0, 0), 1e400, "a scale is not finite"),
        (("std", 0, 0), 0.0, "a standard deviation is not above 0"),
        (("names",), ["a"], "do not have one row for each of 1 series"),
        (("std", 0), [1.0, 2.0], "do not have one row for each of 2 series"),
    ],
)
def test_damaged_scales_are_refused(place: tuple[Any, ...], value: Any, reason: str) -> None:
    encoder, _ = encoded([series("a", WAVE), series("b", WAVE)])
    document = encoder.model_dump(mode="json")
    *inner, last = place
    part = document["panel"]
    for key in inner:
        part[key] = list(part[key])
        part = part[key]
    part[last] = value
    with pytest.raises(ValidationError, match=reason):
        SeriesEncoder.model_validate(document)


def test_metrics_are_means_over_the_series() -> None:
    parts = [series("a", WAVE), series("b", [0.0, 10, 0, 10, 1, 10, 5, 10]), series("c", [3.0] * 6)]
    encoder, windows = encoded(parts)
    batch = encoder.encode(windows, 2).__getitems__(np.arange(len(windows)))
    quantiles = [0.1, 0.5, 0.9]
    metrics = ForecastMetrics([1.0], [1.0], 2, quantiles)
    forecasts = batch.history[:, -1:, :, None] + torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64)
    forecasts = forecasts.expand(-1, 2, -1, -1)
    for rows in (slice(0, 4), slice(4, None)):
        part = replace(
            batch,
            inputs=batch.inputs[rows],
            **{name: getattr(batch, name)[rows] for name in ("actual", "history", "series", "measures")},
        )
        metrics.update(forecasts[rows], part)
    numbers, actual, history = windows.starts[:, 0], batch.known_actual[..., 0].numpy(), batch.history[..., 0].numpy()
    expected: dict[str, list[float]] = {}
    for k, one in enumerate(parts):
        true, last = actual[numbers == k], history[numbers == k][:, -1:]
        errors = np.abs(last + 0.5 - true)
        naive = np.abs(one.targets[2:] - one.targets[:-2]).mean()
        losses = [max(q * (true[i, j] - f), (q - 1) * (true[i, j] - f))
                  for i in range(len(true)) for j in range(2)
                  for q, f in zip(quantiles, last[i, 0] + np.array([-1, 0.5, 2]), strict=True)]  # fmt: skip
        found = {
            "mae": errors.mean(),
            "rmse": math.sqrt((errors**2).mean()),
            "mase": errors.mean() / naive if naive else NAN,
            "crps": 2 * np.mean(losses),
            "coverage": ((last - 1 <= true) & (true <= last + 2)).mean(),
            "repeat_last_mase": np.abs(last - true).mean() / naive if naive else NAN,
            "seasonal_naive_mae": np.abs(history[numbers == k] - true).mean(),
        }
        for name, value in found.items():
            expected.setdefault(name, []).append(float(value))
    results = metrics.compute()
    for name, values in expected.items():
        assert results[name] == pytest.approx(np.nanmean(values)), name
    within = (history[:, -1:] - 1 <= actual) & (actual <= history[:, -1:] + 2)
    assert metrics.figures()["coverage_by_row"] == pytest.approx(within.mean(0).tolist())
    assert metrics.table().splitlines()[-1].split()[0] == "coverage"


def stores(folder: Path, count: int = 6, rows: int = 60, more: int = 3) -> Path:
    """Stores of different sizes with a week, a promotion, and rows ahead; store 4 starts late, store 5 ends early."""
    rng = np.random.default_rng(0)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["store", "day", "sales", "promo", "kind"])
    for store in range(count):
        first, last = (50 if store == 4 else 0), (25 if store == 5 else rows)
        days = np.arange(np.datetime64("2024-01-01"), np.datetime64("2024-01-01") + rows + more)
        for row in range(first, last + more):
            promo = int(rng.random() < 0.2)
            sales = 10 ** (store % 3) * (10 + 3 * math.sin(2 * math.pi * row / 7) + 5 * promo)
            writer.writerow([f"s{store}", days[row], round(sales, 3) if row < last else "", promo, "ab"[store % 2]])
    (folder / "stores.csv").write_text(text.getvalue())
    return folder / "stores.csv"


QUICK = [
    *("data.id_column=store", "data.time_column=day", "data.known_columns=['promo']", "data.static_columns=['kind']"),
    *("data.target_columns=['sales']", "data.window=14", "data.horizon=3", "data.season=7", "model.hidden_size=8"),
    *("model.loss=quantile", "train.epochs=2", "train.threads=1", 'data.train=["stores.csv"]'),
    *("train.batch_size=32", "train.schedule=constant"),
    "data.split=['2024-02-10','2024-02-20']",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[experiment.Trained, Path]:
    folder = tmp_path_factory.mktemp("stores")
    stores(folder)
    (folder / "own.toml").write_text('name = "own"\ntask = "forecast"\n')
    recipe = recipes.load(str(folder / "own.toml"), QUICK)
    with pytest.warns(
        HoldfastWarning, match=r"^1 of 6 series, such as .*stores.csv\[id=s4\], have too few rows in the"
    ):
        return experiment.train(recipe, folder / "run", data_dir=folder), folder


def test_series_of_different_spans_are_split_by_time(trained: tuple[experiment.Trained, Path]) -> None:
    _, folder = trained
    data = recipes.load(str(folder / "own.toml"), QUICK).data
    assert isinstance(data, ForecastData)
    with pytest.warns(HoldfastWarning):
        splits = load(data, folder, 3)
    assert splits.validation is not None
    assert [series.name for series in splits.train.series] == ["s0", "s1", "s2", "s3", "s5"]
    assert [series.name for series in splits.test.series] == ["s0", "s1", "s2", "s3", "s4"]
    [late] = [series for series in splits.test.series if series.name == "s4"]
    assert (len(late), late.times.as_json()[0]) == (10, "2024-02-20")
    assert [len(series) for series in splits.train.series] == [40, 40, 40, 40, 25]
    assert splits.train.series[0].times.as_json()[-1] == "2024-02-09"


def test_a_panel_is_trained_on_measured_and_continued(trained: tuple[experiment.Trained, Path], tmp_path: Path) -> None:
    done, folder = trained
    assert {"mase", "crps", "coverage", "seasonal_naive_mase"} <= set(done.results)
    assert all(map(math.isfinite, done.results.values()))
    with pytest.warns(HoldfastWarning):
        assert experiment.evaluate(done.path, data_dir=folder).metrics == done.results
    # Only complete stores: the others have too few rows, which is one error.
    lines = (folder / "stores.csv").read_text().splitlines(keepends=True)
    path = tmp_path / "new.csv"
    path.write_text("".join([lines[0], *(line for line in lines[1:] if line[:2] in ("s1", "s2"))]))
    answers = list(Predictor(done.path).predict([path]))
    assert [answer["id"] for answer in answers] == ["s1", "s2"]
    assert answers[0]["times"] == ["2024-03-01", "2024-03-02", "2024-03-03"]
    sizes = [np.mean(answer["values"]["sales"]) for answer in answers]
    assert np.log10(sizes[1] / sizes[0]) == pytest.approx(1, abs=0.25)
    # An unknown store of another size gets a forecast of its size.
    path.write_text("".join([lines[0], *(f"new{line[2:]}" for line in lines[1:] if line[:2] == "s2")]))
    [answer] = Predictor(done.path).predict([path])
    assert np.mean(answer["values"]["sales"]) == pytest.approx(sizes[1], rel=0.1)
    # A store with too few rows does not take the forecasts of the others along; alone it is an error.
    left_out = (
        r"^1 of 6 series, such as .*stores.csv\[id=s4\] with 10 rows, have fewer than 14 rows to forecast from, and"
    )
    with pytest.warns(HoldfastWarning, match=left_out):
        answers = list(Predictor(done.path).predict([folder / "stores.csv"]))
    assert [answer["id"] for answer in answers] == ["s0", "s1", "s2", "s3", "s5"]
    path.write_text("".join([lines[0], *(line for line in lines[1:] if line[:2] == "s4")]))
    with pytest.raises(DataError, match=r"new.csv\[id=s4\] has 10 rows; expected at least 14 to forecast from.$"):
        list(Predictor(done.path).predict([path]))


def test_the_forecasts_of_many_series_are_one_table(trained: tuple[experiment.Trained, Path], tmp_path: Path) -> None:
    done, folder = trained
    lines = (folder / "stores.csv").read_text().splitlines(keepends=True)
    path = tmp_path / "new.csv"
    path.write_text("".join([lines[0], *(line for line in lines[1:] if line[:2] in ("s1", "s2"))]))
    predictor = Predictor(done.path)
    shown = "\n".join(predictor.task.texts(predictor.predict([path])))
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert list(rows[0]) == ["store", "day", "sales", "sales-lo-80", "sales-hi-80"]
    assert [(row["store"], row["day"]) for row in rows] == [
        (store, f"2024-03-0{day}") for store in ("s1", "s2") for day in (1, 2, 3)
    ]
    assert all(float(row["sales-lo-80"]) <= float(row["sales"]) <= float(row["sales-hi-80"]) for row in rows)
