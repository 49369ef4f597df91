"""Forecaster: series in frames and arrays, the same bits as the command line, forecasts at cutoffs."""

from __future__ import annotations

import copy
import pickle
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import holdfast
from holdfast import Forecaster, experiment, recipes
from holdfast.errors import DataError, HoldfastWarning, OptionError
from holdfast.files import storage
from holdfast.predictor import Predictor

SMALL: dict[str, Any] = {
    "window": 14,
    "horizon": 5,
    "season": 7,
    "hidden_size": 8,
    "epochs": 2,
    "threads": 1,
    "batch_size": 32,
    "schedule": "constant",
}


def panel(stores: int = 4, rows: int = 60, more: int = 0) -> polars.DataFrame:
    rng = np.random.default_rng(0)
    parts = []
    for store in range(stores):
        t = np.arange(rows + more)
        promo = (rng.random(rows + more) < 0.2).astype(int)
        sales = 10.0**store * (10 + 3 * np.sin(2 * np.pi * t / 7) + 5 * promo)
        parts.append(
            polars.DataFrame(
                {
                    "unique_id": [f"s{store}"] * len(t),
                    "ds": [date(2024, 1, 1) + timedelta(int(k)) for k in t],
                    "y": [float(value) if k < rows else None for k, value in enumerate(sales)],
                    "promo": promo,
                    "kind": ["ab"[store % 2]] * len(t),
                }
            )
        )
    return polars.concat(parts)


@pytest.fixture(scope="module")
def fitted() -> Forecaster:
    arguments = {**SMALL, "known_columns": ["promo"], "static_columns": ["kind"], "loss": "quantile"}
    return Forecaster(**arguments).fit(panel(more=5))


def test_the_command_line_trains_the_same_bits(tmp_path: Path) -> None:
    panel().write_csv(tmp_path / "train.csv")
    panel().write_csv(tmp_path / "test.csv")
    recipe = recipes.from_dict(
        {
            "name": "same",
            "task": "forecast",
            "data": {
                **{name: SMALL[name] for name in ("window", "horizon", "season")},
                "train": ["train.csv"],
                "test": ["test.csv"],
                "known_columns": ["promo"],
                "validation": 0.2,
            },
            "model": {"hidden_size": 8, "dropout": 0.1},
            "train": {**{name: SMALL[name] for name in ("epochs", "threads", "batch_size", "schedule")}, "seed": 3},
        },
        "same",
    )
    run = experiment.train(recipe, tmp_path / "run", data_dir=tmp_path)
    forecaster = Forecaster(**SMALL, dropout=0.1, validation=0.2, random_state=3, known_columns=["promo"]).fit(panel())
    weights, _ = storage.read(run.path / "model.safetensors", "model")
    assert all(torch.equal(weights[name], value) for name, value in forecaster.model_.state_dict().items())
    assert forecaster.evaluate(panel()) == run.results
    assert forecaster.score(panel()) == -run.results["mase"]
    opened = holdfast.load(run.path)
    assert isinstance(opened, Forecaster)
    assert opened.get_params()["id_column"] == "unique_id"
    assert opened.predict(history=panel(more=5)).equals(forecaster.predict(history=panel(more=5)))


def test_a_frame_of_forecasts(fitted: Forecaster, tmp_path: Path) -> None:
    found = fitted.predict()
    assert found.columns == ["unique_id", "ds", "y", "y-lo-80", "y-hi-80"]
    assert found["unique_id"].to_list() == [f"s{store}" for store in range(4) for _ in range(5)]
    assert found["ds"][:5].to_list() == [date(2024, 3, 1) + timedelta(k) for k in range(5)]
    assert (found["y-lo-80"] <= found["y"]).all()
    assert (found["y"] <= found["y-hi-80"]).all()
    # The same as files and Predictor.
    panel(more=5).write_csv(tmp_path / "a.csv")
    fitted.save(tmp_path / "model.safetensors")
    answers = list(Predictor(tmp_path / "model.safetensors").predict([tmp_path / "a.csv"]))
    assert [answer["id"] for answer in answers] == ["s0", "s1", "s2", "s3"]
    values = [value for answer in answers for value in answer["values"]["y"]]
    assert found["y"].to_list() == pytest.approx(values, rel=1e-6)
    quantiles = fitted.predict_quantiles(2)
    assert [part.shape for part in quantiles] == [(2, 1, 3)] * 4
    assert quantiles[1][:, 0, 2].tolist() == found["y-hi-80"][5:7].to_list()


@pytest.mark.parametrize("library", ["pandas", "pyarrow", "mapping"])
def test_frames_of_other_libraries_give_the_same(fitted: Forecaster, library: str) -> None:
    frame = panel(more=5)
    if library == "mapping":
        found = fitted.predict(history=frame.to_dict())
        assert isinstance(found, dict)
        assert found["y"].tolist() == fitted.predict()["y"].to_list()
        return
    pytest.importorskip("narwhals")
    pytest.importorskip("pyarrow")
    pytest.importorskip(library)
    other = frame.to_pandas() if library == "pandas" else frame.to_arrow()
    found = fitted.predict(history=other)
    assert type(found) is type(other)
    back = polars.DataFrame(found)
    assert back["y"].to_list() == fitted.predict()["y"].to_list()
    assert back["ds"].cast(polars.Date).to_list() == fitted.predict()["ds"].to_list()


def test_what_is_known_ahead_may_come_with_predict(fitted: Forecaster) -> None:
    whole = panel(more=5)
    past, later = whole.filter(polars.col("y").is_not_null()), whole.filter(polars.col("y").is_null())
    later = later.select("ds", "unique_id", "promo")
    assert fitted.predict(X=later, history=past).equals(fitted.predict())
    first = later.filter(polars.int_range(polars.len()).over("unique_id") < 2)
    two = fitted.predict(2, X=first, history=past)
    assert two["y"].to_list() == fitted.predict(2)["y"].to_list()
    other = fitted.predict(X=later.with_columns(promo=1 - polars.col("promo")), history=past)
    assert not other.equals(fitted.predict())
    with pytest.raises(
        DataError, match=r"^X\[id=s0\] has 0 rows after the last target; expected 5 with promo, the colu"
    ):
        fitted.predict(history=past)
    with pytest.raises(DataError, match=r"^X has no column 'promo' \(known_columns\); known are ds, unique_id.$"):
        fitted.predict(X=later.drop("promo"), history=past)
    with pytest.raises(DataError, match=r"^X\[65\]: the time 2024-03-01 occurs twice in the series 's0'"):
        fitted.predict(X=later.cast({"promo": polars.Int64}), history=whole.head(65))


def test_a_series_that_fit_has_not_seen(fitted: Forecaster) -> None:
    new = panel(more=5).filter(polars.col("unique_id") == "s2").with_columns(unique_id=polars.lit("new"))
    found, known = fitted.predict(history=new)["y"], fitted.predict()["y"][10:15]
    assert (found / known).to_list() == pytest.approx([1] * 5, rel=0.05)


def test_series_that_are_too_short_are_left_out_with_a_warning() -> None:
    frame = polars.concat([panel(2), panel(3).filter(polars.col("unique_id") == "s2").tail(9)])
    with pytest.warns(
        HoldfastWarning, match=r"^1 of 3 series, such as X\[id=s2\], have too few rows in the training part"
    ):
        forecaster = Forecaster(**SMALL).fit(frame)
    with pytest.warns(
        HoldfastWarning, match=r"^1 of 3 series, such as X\[id=s2\] with 9 rows, have fewer than 14 rows"
    ):
        found = forecaster.predict()
    assert found["unique_id"].unique(maintain_order=True).to_list() == ["s0", "s1"]


def test_arrays_and_lists_of_arrays() -> None:
    wave = 10 + 3 * np.sin(2 * np.pi * np.arange(80) / 7)
    one = Forecaster(**SMALL).fit(wave)
    assert one.predict().shape == (5,)
    assert one.predict(3).tolist() == one.predict()[:3].tolist()
    assert one.predict(history=torch.from_numpy(wave)).tolist() == one.predict().tolist()
    two = Forecaster(**SMALL).fit(np.stack([wave, 5 * wave], 1))
    assert two.predict().shape == (5, 2)
    many = Forecaster(**SMALL, loss="quantile").fit([wave, 1000 * wave[:60]])
    assert [part.shape for part in many.predict()] == [(5,), (5,)]
    assert [part.shape for part in many.predict_quantiles()] == [(5, 3), (5, 3)]
    assert np.log10(np.mean(many.predict()[1]) / np.mean(many.predict()[0])) == pytest.approx(3, abs=0.2)
    found = many.cross_validation(h=4, windows=2)
    assert found["cutoff"].tolist() == [71] * 4 + [75] * 4 + [51] * 4 + [55] * 4
    assert found["y"][:8].tolist() == wave[-8:].tolist()


def test_the_recursive_method_goes_on_as_far_as_it_is_asked_to() -> None:
    wave = np.sin(np.arange(80.0))
    forecaster = Forecaster(**SMALL, method="recursive").fit(wave)
    assert forecaster.predict(20).shape == (20,)
    assert forecaster.predict(20)[:5] == pytest.approx(forecaster.predict())


def test_cross_validation_knows_nothing_of_what_follows(fitted: Forecaster) -> None:
    whole = panel()
    found = fitted.cross_validation(whole, h=3, windows=2)
    assert found.columns == ["unique_id", "ds", "cutoff", "y", "y-forecast", "y-lo-80", "y-hi-80"]
    first = found.filter(polars.col("unique_id") == "s1")
    assert first["cutoff"].unique().sort().to_list() == [date(2024, 2, 23), date(2024, 2, 26)]
    assert first["y"].to_list() == whole.filter(polars.col("unique_id") == "s1")["y"][-6:].to_list()
    changed = whole.with_columns(
        y=polars.when(polars.col("ds") > date(2024, 2, 23)).then(polars.col("y") * 7).otherwise(polars.col("y"))
    )
    again = fitted.cross_validation(changed, h=3, windows=2)
    early = polars.col("cutoff") == date(2024, 2, 23)
    assert again.filter(early)["y-forecast"].to_list() == found.filter(early)["y-forecast"].to_list()
    assert again.filter(early)["y"].to_list() == pytest.approx([7 * value for value in found.filter(early)["y"]])
    assert again.filter(~early)["y-forecast"].to_list() != found.filter(~early)["y-forecast"].to_list()
    assert fitted.predict().height == 20  # the estimator itself has not changed


def test_times_keep_their_type() -> None:
    wave = np.sin(np.arange(40.0)).tolist()
    start = polars.datetime_range(
        polars.datetime(2024, 3, 28), polars.datetime(2024, 3, 29, 15), "1h", time_zone="UTC", eager=True
    )
    for column in (
        start.dt.convert_time_zone("Europe/Berlin"),
        start.dt.replace_time_zone(None).cast(polars.Datetime("ms")),
        start.dt.strftime("%d.%m.%Y %H:%M"),
        polars.Series(range(1000, 1040), dtype=polars.Int32),
    ):
        settings = {**SMALL, "time_column": "t", "target_columns": ["y"], "epochs": 1}
        form = "%d.%m.%Y %H:%M" if column.dtype == polars.String else ""
        found = Forecaster(**settings, time_format=form).fit({"t": column, "y": wave}).predict()
        frame = Forecaster(**settings, time_format=form).fit(polars.DataFrame({"t": column, "y": wave})).predict()
        assert frame["t"].dtype == column.dtype
        assert len(found["t"]) == 5
        if form:
            assert frame["t"].to_list()[0] == "29.03.2024 16:00"
        elif column.dtype.is_integer():
            assert frame["t"].to_list() == [1040, 1041, 1042, 1043, 1044]
        else:
            assert frame["t"][0] - column[-1] == timedelta(hours=1)


def test_a_forecaster_is_cloned_copied_pickled_and_saved(fitted: Forecaster, tmp_path: Path) -> None:
    expected = fitted.predict()
    for other in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert other.predict().equals(expected)
    with pytest.raises(NotFittedError):
        clone(fitted).predict()
    fitted.save(tmp_path / "model.safetensors")
    opened = holdfast.load(tmp_path / "model.safetensors")
    assert opened.get_params()["quantiles"] is None
    assert opened.get_params()["static_columns"] == ["kind"]
    assert opened.predict(history=panel(more=5)).equals(expected)
    with pytest.raises(DataError) as error:
        opened.predict()
    assert str(error.value) == (
        "This model comes from a file, without series; expected history, the series to continue."
    )


def test_a_picture_has_history_truth_and_forecast(fitted: Forecaster, tmp_path: Path) -> None:
    fitted.plot(tmp_path / "out.svg")
    text = (tmp_path / "out.svg").read_text()
    assert all(f">{word}</text>" in text for word in ("y of s3", "history", "truth", "forecast", "ds"))
    figure = fitted.plot(truth=False)
    assert len(figure.axes) == 4
    lines = figure.axes[1].get_lines()
    assert [line.get_label() for line in lines[:2]] == ["history", "forecast"]
    assert lines[1].get_ydata().tolist() == fitted.predict()["y"][5:10].to_list()
    assert lines[0].get_linestyle() != lines[1].get_linestyle()  # also told apart in grey


@pytest.mark.parametrize(
    ("arguments", "X", "message"),
    [
        ({"id_column": "shop"}, None, r"^X has no column 'shop' \(id_column\); known are "),
        (
            {"quantiles": [0.1, 0.5]},
            None,
            r"^quantiles is \[0.1, 0.5\] and loss is 'mse'; expected loss=\"quantile\".$",
        ),
        (
            {"method": "recursive", "loss": "quantile"},
            None,
            r'^loss = "quantile" does not go with method = "recursive"',
        ),
        (
            {"window": 100},
            None,
            r"^The training part of X\[id=s0\], the longest of 4 series, is too short: .* lower windo",
        ),
        (
            {"validation": (1, 2)},
            None,
            r"^validation is a pair; expected a fraction of the rows of each series, or 0.$",
        ),
        ({}, np.zeros((3, 4, 5)), r"^X has shape \(3, 4, 5\); expected \[T\] or \[T, C\]"),
        ({}, [np.zeros(80), np.zeros((80, 2))], r"^X\[1\] has shape \(80, 2\); expected \[T\] or \[T, C\], the same C"),
        (
            {},
            np.full(80, np.nan),
            r"^X holds nan at row 0, column 0 \(from 0\); expected finite numbers. Correct it; NaN",
        ),
        (
            {"calendar": ["month"]},
            np.zeros(80),
            r"^calendar is \['month'\], and X has no names of columns; expected a fr",
        ),
        ({}, "text", r"^X is of type str; expected a frame, a mapping of columns, an array "),
        ({"target_columns": ["a"]}, np.zeros((80, 2)), r"^X has 2 columns; expected 1: a.$"),
    ],
)
def test_what_does_not_fit_is_said(arguments: dict[str, Any], X: Any, message: str) -> None:
    X = panel() if X is None else X
    with pytest.raises((DataError, OptionError), match=message):
        Forecaster(**{**SMALL, **arguments}).fit(X)


def test_fit_takes_the_names_of_columns_and_stays_as_it_was_after_an_error(fitted: Forecaster) -> None:
    forecaster = Forecaster(**SMALL)
    frame = panel().rename({"unique_id": "store", "ds": "day", "y": "sales"})
    names = {"id_column": "store", "time_column": "day", "target_columns": ["sales"], "known_columns": ["promo"]}
    forecaster.fit(frame, **names)
    assert forecaster.get_params()["id_column"] == ""
    later = panel(more=5).tail(5).select(store="unique_id", day="ds", promo="promo")
    found = forecaster.predict(X=later, history=frame.filter(polars.col("store") == "s3"))
    assert found.columns == ["store", "day", "sales"]
    with pytest.raises(OptionError, match=r"^fit has no argument 'id_colum': did you mean 'id_column'\?"):
        forecaster.fit(frame, id_colum="store")
    with pytest.raises(DataError, match=r"^y is not None; expected the targets as columns of X"):
        forecaster.fit(frame, [1, 2])
    with pytest.raises(DataError):
        forecaster.fit(np.zeros(3))
    assert forecaster.predict(X=later, history=frame.filter(polars.col("store") == "s3")).equals(found)
    with pytest.raises(
        OptionError, match=r"^h is 6; expected 1 to 5, the horizon of the model. Train with a larger hor"
    ):
        fitted.predict(6)
    with pytest.raises(DataError, match=r"^X has columns that are known ahead, and the series are arrays"):
        Forecaster(**SMALL).fit(np.sin(np.arange(80.0))).predict(X={"promo": [1]})
