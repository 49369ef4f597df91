from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from holdfast.data.series import Series, Windows
from holdfast.data.time_axis import TimeAxis
from holdfast.errors import RecipeError
from holdfast.recipes import from_dict
from holdfast.tasks.forecast.encoder import SeriesEncoder
from holdfast.tasks.forecast.plot import window_drawings
from holdfast.tasks.forecast.settings import ForecastAnswers, ForecastData, ForecastModel
from holdfast.tasks.forecast.task import ForecastTask
from holdfast.tasks.losses import pinball


def series(rows=40, channels=2, known=0, more=0):
    rng = np.random.default_rng(3)
    return Series(
        "s",
        TimeAxis(np.arange(rows + more)),
        np.exp(rng.normal(size=(rows, channels))),
        np.zeros((rows, 0)),
        rng.normal(size=(rows + more, known)),
        tuple("ab"[:channels]),
    )


def task(one, horizon=3, answers=None, log=False, **model):
    known = ["k", "l"][: one.known.shape[1]]
    data = ForecastData(window=8, horizon=horizon, season=4, known_columns=known, log=log)
    windows = Windows.of([one], 8, horizon)
    settings = ForecastModel.model_validate({"hidden_size": 6} | model)
    return ForecastTask(settings, SeriesEncoder.fit(windows, data), answers or ForecastAnswers()), windows


def batch_of(of, windows):
    return of.encode(windows).__getitems__(np.arange(len(windows)))


QUANTILE = {"loss": "quantile", "quantiles": [0.1, 0.5, 0.75, 0.9]}


@pytest.mark.parametrize("known", [0, 2])
@pytest.mark.parametrize("scaling", ["none", "last", "standard"])
@pytest.mark.parametrize(
    "model", [{}, {"bidirectional": True}, QUANTILE, {"method": "recursive", "cell": "gru"}, {"num_layers": 2}]
)
def test_shapes_losses_and_gradients(known, scaling, model):
    of, windows = task(series(known=known), window_scaling=scaling, **model)
    network, batch = of.build(), batch_of(of, windows)
    step = of.loss(network, batch)
    assert step.outputs.shape == (len(windows), 3, 2, 4 if "loss" in model else 1)
    assert step.loss.ndim == 0
    step.loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize(("loss", "by_hand"), [("mse", 2.5), ("mae", 1.5), ("huber", (0.5 + 1.5) / 2)])
def test_point_losses_by_hand(loss, by_hand):
    of, windows = task(series(channels=1), horizon=2, loss=loss)
    batch = batch_of(of, windows)

    def network(inputs, future, actual):
        return (batch.targets + torch.tensor([1.0, -2.0])[:, None])[..., None]

    network.training = False
    assert float(of.loss(network, batch).loss) == pytest.approx(by_hand, rel=1e-5)


def test_pinball_by_hand():
    # Too low by 2 costs q each, too high by 1 costs 1 - q.
    forecasts, actual = torch.tensor([[1.0, 1.0], [4.0, 4.0]]), torch.tensor([3.0, 3.0])
    expected = (0.1 * 2 + 0.9 * 2 + 0.9 * 1 + 0.1 * 1) / 4
    assert float(pinball(forecasts, actual, [0.1, 0.9])) == pytest.approx(expected)


def test_pinball_is_least_at_the_quantile():
    values = torch.arange(1000.0)
    losses = {q: float(pinball(torch.full((1000, 1), q), values, [0.9])) for q in (880.0, 899.5, 920.0)}
    assert min(losses, key=losses.get) == 899.5


def test_quantiles_are_ordered_whatever_the_weights():
    of, windows = task(series(), window_scaling="standard", **QUANTILE)
    network = of.build().eval()
    for p in network.parameters():
        torch.nn.init.normal_(p)
    outputs = of.loss(network, batch_of(of, windows)).outputs
    assert (outputs.diff(dim=-1) >= 0).all()
    assert (outputs.diff(dim=-1) > 0).any()


@pytest.mark.parametrize("known", [0, 1])
@pytest.mark.parametrize("scaling", ["none", "last", "standard"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_recursive_is_the_one_step_forecast_repeated(known, scaling, cell):
    one = series(channels=1, known=known)
    of, windows = task(one, horizon=5, method="recursive", window_scaling=scaling, cell=cell)
    network, batch = of.build().eval(), batch_of(of, windows)
    together = network(batch.inputs, batch.future)
    # By hand: the window grows by each forecast, and is read anew from its first row.
    y = batch.inputs[..., :1]
    centre, spread = torch.zeros_like(y[:, :1]), torch.ones_like(y[:, :1])
    if scaling == "last":
        centre = y[:, -1:]
    if scaling == "standard":
        centre, spread = y.mean(1, keepdim=True), y.std(1, keepdim=True, correction=0) + 1e-5
    rows = torch.cat([(y - centre) / spread, batch.inputs[..., 1:]], -1)
    for ahead in range(5):
        forecast = network.output(network.recurrent(rows)[0][:, -1:])
        torch.testing.assert_close(together[:, ahead : ahead + 1, :, 0], forecast * spread + centre)
        if ahead < 4:
            rows = torch.cat([rows, torch.cat([forecast, batch.future[:, ahead + 1 : ahead + 2]], -1)], 1)


def test_teacher_forcing_forecasts_each_row_from_the_true_rows_before_it():
    of, windows = task(series(channels=1, known=1), horizon=4, method="recursive", window_scaling="none")
    network, batch = of.build().eval(), batch_of(of, windows)
    forced = network(batch.inputs, batch.future, batch.targets)
    rows = batch.inputs
    for ahead in range(4):
        torch.testing.assert_close(forced[:, ahead], network(rows, batch.future[:, ahead : ahead + 1])[:, 0])
        if ahead < 3:
            true = torch.cat([batch.targets[:, ahead : ahead + 1], batch.future[:, ahead + 1 : ahead + 2]], -1)
            rows = torch.cat([rows, true], 1)


def test_training_forces_and_measuring_does_not():
    of, windows = task(series(channels=1), method="recursive")
    network, batch = of.build(), batch_of(of, windows)
    forced, free = (of.loss(network.train(mode), batch).outputs for mode in (True, False))
    torch.testing.assert_close(forced[:, 0], free[:, 0])
    assert not torch.equal(forced[:, 1], free[:, 1])


def test_what_is_known_ahead_changes_only_its_own_row_of_a_direct_forecast():
    of, windows = task(series(known=1))
    network, batch = of.build().eval(), batch_of(of, windows)
    changed = batch.future.clone()
    changed[:, 1] += 1
    before, after = network(batch.inputs, batch.future), network(batch.inputs, changed)
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.equal(before[:, 1], after[:, 1])


@pytest.mark.parametrize("model", [{}, {"method": "recursive"}])
def test_the_scale_of_the_series_comes_back_with_last_value_scaling(model):
    """A series shifted by a constant is forecast the same, shifted."""
    of, windows = task(series(channels=1), window_scaling="last", **model)
    network, batch = of.build().eval(), batch_of(of, windows)
    shifted = network(batch.inputs + 5, batch.future)
    torch.testing.assert_close(shifted, network(batch.inputs, batch.future) + 5)


def test_answers_say_when_and_what_of_each_column():
    one = series(known=1, more=3)
    of, windows = task(one, **QUANTILE)
    network, batch = of.build().eval(), batch_of(of, windows.unlabelled())
    [answer] = of.answers(network, batch)
    assert answer["times"] == [40, 41, 42]
    expected = of.encoder.restored(network(batch.inputs, batch.future))[0]
    assert answer["values"] == {"a": expected[:, 0, 1].tolist(), "b": expected[:, 1, 1].tolist()}
    assert list(answer["quantiles"]["b"]) == ["0.1", "0.5", "0.75", "0.9"]
    assert answer["quantiles"]["b"]["0.9"] == expected[:, 1, 3].tolist()
    assert json.loads(json.dumps(answer)) == answer
    header, row = of.text(answer).splitlines()[:2]
    assert header == "time,a,a-lo-80,a-hi-50,a-hi-80,b,b-lo-80,b-hi-50,b-hi-80"
    assert [float(cell) for cell in row.split(",")] == [40, *expected[0, :, [1, 0, 2, 3]].flatten().tolist()]


def test_a_recursive_model_goes_on_as_far_as_it_is_asked_to():
    of, windows = task(series(channels=1), method="recursive", log=True)
    network = of.build().eval()
    [short] = of.answers(network, batch_of(of, windows.unlabelled()))
    of.answering = ForecastAnswers(horizon=7)
    [long] = of.answers(network, batch_of(of, windows.unlabelled()))
    assert len(long["times"]) == len(long["values"]["a"]) == 7
    assert long["values"]["a"][:3] == pytest.approx(short["values"]["a"])
    assert min(long["values"]["a"]) > 0
    assert "quantiles" not in long


def test_a_task_comes_back_from_json():
    of, _ = task(series(known=1), answers=ForecastAnswers(horizon=3), **QUANTILE)
    again = ForecastTask.from_dict(json.loads(json.dumps(of.to_dict())))
    assert again.to_dict() == of.to_dict()
    assert [p.shape for p in again.build().parameters()] == [p.shape for p in of.build().parameters()]


def test_a_plot_shows_history_and_forecast(tmp_path):
    of, windows = task(series(), **QUANTILE)
    asked = windows.unlabelled()
    answers = of.answers(of.build().eval(), batch_of(of, asked))
    figure = of.plot(asked, answers)
    assert [axes.get_title("left") for axes in figure.axes] == ["a of s", "b of s"]
    for axes, name in zip(figure.axes, "ab", strict=True):
        lines = {line.get_label(): line.get_ydata() for line in axes.lines}
        np.testing.assert_array_equal(lines["forecast"], answers[0]["values"][name])
        assert axes.collections[0].get_label() == "quantiles 0.1 to 0.9"


def test_a_plot_of_windows_also_shows_the_true_values():
    of, windows = task(series(), **QUANTILE)
    chosen = windows.subset([0, 3])
    outputs = of.loss(of.build().eval(), batch_of(of, chosen)).outputs.detach().numpy()
    panels = window_drawings(chosen, outputs, of.quantiles, rows=5)
    assert [panel.title for panel in panels] == ["a of s", "b of s"] * 2
    for panel, (_, start) in zip(panels[::2], chosen.starts.tolist(), strict=True):
        targets = chosen.series[0].targets[:, 0]
        np.testing.assert_array_equal(panel.history, targets[start - 5 : start])
        np.testing.assert_array_equal(panel.truth, targets[start : start + chosen.horizon])
    np.testing.assert_array_equal(panels[3].forecast, outputs[1, :, 1, of.quantiles.index(0.5)])
    np.testing.assert_array_equal(panels[3].quantiles[0.9], outputs[1, :, 1, -1])


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"model": {"method": "recursive", "loss": "quantile"}},
            'model.loss = "quantile" does not go with model.method = "recursive", whose inputs are its own point '
            'forecasts, row by row; expected model.method = "direct".',
        ),
        (
            {"model": {"method": "recursive"}, "data": {"past_columns": ["p"]}},
            'data.past_columns does not go with model.method = "recursive", whose inputs are its own point '
            'forecasts, row by row; expected model.method = "direct".',
        ),
        (
            {"model": {"method": "recursive", "bidirectional": True}},
            'model.bidirectional = true does not go with model.method = "recursive", whose inputs are its own point '
            'forecasts, row by row; expected model.method = "direct".',
        ),
        (
            {"model": {"quantiles": [0.9, 0.5]}},
            "model.quantiles is [0.9, 0.5]; expected ascending numbers between 0 and 1, with 0.5 among them.",
        ),
        (
            {"model": {"quantiles": [0.5, 1.0]}},
            "model.quantiles is [0.5, 1.0]; expected ascending numbers between 0 and 1, with 0.5 among them.",
        ),
        (
            {"predict": {"horizon": 20}},
            "predict.horizon is 20, and the direct method forecasts the 12 rows of data.horizon; expected the same, or "
            'model.method = "recursive".',
        ),
    ],
)
def test_settings_that_do_not_go_together(tables, message):
    recipe = from_dict({"name": "x", "task": "forecast", **tables}, "x")
    with pytest.raises(RecipeError) as error:
        ForecastTask.load(recipe, None)
    assert str(error.value) == message
