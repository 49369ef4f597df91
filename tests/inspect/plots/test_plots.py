"""Every figure of a small model of every task: which ones fit, what is drawn, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tasks import untrained

from holdfast import recipes
from holdfast.data import Records
from holdfast.errors import DataError, OptionError
from holdfast.inspect import plots
from holdfast.inspect.measuring import measure
from holdfast.predictor import Predictor
from holdfast.tasks import TASKS
from holdfast.tasks.transcribe.settings import TranscribeRecipe
from holdfast.tasks.transcribe.task import TranscribeTask

ROWS = [
    {
        "event": "epoch",
        "step": step,
        "learning_rate": 0.1,
        "gradient_norm": 1.0,
        "largest_gradient_norm": 2.0,
        "clipped": 0.5,
        "train": {"loss": 1 / step, "accuracy": 0.5},
    }
    for step in (1, 2, 3)
]
INSIDE = ["gates", "states", "gradient", "spectrum"]
TRAINING = ["curves", "learning-rate"]
TEXT = ["unit", "connectivity"]
LABELS = ["confusion", "lengths", "reliability", "roc", "precision-recall"]
FITTING = {
    "numbers": [*LABELS, *TRAINING, *INSIDE],
    "texts": [*LABELS, *TRAINING, *INSIDE, *TEXT],
    "weighted": ["lengths", "roc", "precision-recall", *TRAINING, *INSIDE, *TEXT],
    "regress": ["predictions", *TRAINING, *INSIDE],
    "stars": ["predictions", *TRAINING, *INSIDE, *TEXT],
    "forecast": ["forecast", "horizon", *TRAINING, *INSIDE],
    "panel": ["forecast", "horizon", *TRAINING, *INSIDE],
    "tag": [*LABELS, *TRAINING, *INSIDE, *TEXT],
    "sums": [*LABELS, *TRAINING, *INSIDE, *TEXT],
    "generate": ["surprise", *TRAINING, *INSIDE, *TEXT],
    "translate": ["lengths", *TRAINING, *INSIDE, *TEXT, "attention"],
}
# Where the small data do not fit a figure: the reason.
UNFIT = {
    **{(name, "lengths"): "Each example has 1 steps" for name in ("numbers", "texts", "weighted")},
    ("sums", "lengths"): "Each example has 8 steps",
    ("tag", "lengths"): "Each example has 2 steps",
}


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, plots.Subject]:
    """An untrained model of each task, with test data."""
    found = {}
    for name in FITTING:
        folder = tmp_path_factory.mktemp(name)
        predictor = Predictor(untrained.write(name, folder))
        recipe = recipes.load(str(folder / "small.toml"))
        splits = TASKS[recipe.task].load(recipe, folder)
        examples = splits.train if name == "translate" else splits.test  # of one test pair there are no two lengths
        found[name] = plots.Subject(predictor, lambda examples=examples: examples, ROWS)
    return found


def again(subject: plots.Subject, **choice: Any) -> plots.Subject:
    """The same model with another choice."""
    return plots.Subject(subject.predictor, lambda: subject.examples, subject.rows, plots.Choice(**choice))


def titles(figure: Any) -> list[str]:
    return [axes.get_title("left") for axes in figure.axes]


@pytest.mark.parametrize("name", FITTING)
def test_every_figure_that_fits_is_drawn(name: str, subjects: dict[str, plots.Subject]) -> None:
    subject = subjects[name]
    assert list(plots.fitting(subject)) == [each for each in plots.PLOTS if each in FITTING[name]]
    assert set(FITTING[name]) <= set(plots.PLOTS)
    for each in FITTING[name]:
        reason = UNFIT.get((name, each))
        if reason is not None:
            with pytest.raises(DataError, match=reason):
                plots.draw(subject, each)
            continue
        figure = plots.draw(subject, each)
        drawn = [axes for axes in figure.axes if axes.get_title("left")]
        assert drawn, each
        assert figure.get_figwidth() <= 6.5, each
        for axes in drawn:
            assert axes.lines or axes.collections or axes.images or axes.patches, each


def test_the_main_figures(subjects: dict[str, plots.Subject]) -> None:
    main = {name: plots.main_figure(subject) for name, subject in subjects.items()}
    assert main == {
        **dict.fromkeys(("numbers", "texts", "tag", "sums"), "confusion"),
        **dict.fromkeys(("regress", "stars"), "predictions"),
        **dict.fromkeys(("forecast", "panel"), "forecast"),
        "weighted": "lengths",
        "generate": "surprise",
        "translate": "lengths",
    }


def test_the_confusion_matrix_is_that_of_the_metrics(subjects: dict[str, plots.Subject]) -> None:
    subject = subjects["texts"]
    counts = measure(subject.predictor, subject.examples).figures["confusion"]["counts"]
    axes = plots.draw(subject, "confusion").axes[0]
    drawn = np.zeros((2, 2))
    for text in axes.texts:
        x, y = text.get_position()
        drawn[int(y), int(x)] = int(text.get_text())
    assert drawn.tolist() == counts


def test_the_accuracy_of_tags_is_that_of_the_metrics(subjects: dict[str, plots.Subject]) -> None:
    subject = subjects["tag"]
    judged = subject.judged
    accuracy = measure(subject.predictor, subject.examples).metrics["accuracy"]
    assert (judged.predicted == judged.true).mean() == pytest.approx(accuracy)
    np.testing.assert_allclose(judged.probabilities.sum(1), 1)


def test_the_errors_by_horizon_are_those_of_the_metrics(subjects: dict[str, plots.Subject]) -> None:
    subject = subjects["forecast"]
    errors = measure(subject.predictor, subject.examples).figures["mae_by_row"]
    axes = plots.draw(subject, "horizon").axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), errors["model"])
    assert [line.get_label() for line in axes.lines] == ["model", "last value"]


def test_forecasts_have_their_true_values(subjects: dict[str, plots.Subject]) -> None:
    subject = subjects["forecast"]
    figure = plots.draw(again(subject, example=1), "forecast")
    windows = subject.examples
    series, start = windows.starts[1].tolist()
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_array_equal(lines["truth"].get_ydata(), windows.series[series].targets[start : start + 2, 0])
    [outputs] = subject.predictor.compute(
        windows.subset([1]), lambda model, batch: subject.task.loss(model, batch).outputs
    )
    np.testing.assert_allclose(lines["forecast"].get_ydata(), outputs[0, :, 0, subject.task.quantiles.index(0.5)])


def test_the_surprise_of_a_text_is_its_loss(subjects: dict[str, plots.Subject]) -> None:
    subject = subjects["generate"]
    figure = plots.draw(subject, "surprise")
    ids = subject.task.vocabulary.encode([subject.excerpt(480).inputs[0].text])[0]
    with torch.inference_mode():
        scores = subject.predictor.model(torch.tensor([ids[:-1]]))[0]
    loss = float(torch.nn.functional.cross_entropy(scores[0], torch.tensor(ids[1:])))
    assert titles(figure) == [f"How unexpected each token is; mean {loss:.2f} nats"]


def test_gates_are_those_that_were_recorded(subjects: dict[str, plots.Subject]) -> None:
    subject = again(subjects["texts"], unit=2)
    name, layer, tokens = subject.layer(60)
    axes = plots.draw(subject, "gates").axes[0]
    assert name == "recurrent.l0"
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert list(lines) == list(layer.gates)
    np.testing.assert_array_equal(lines["forget"], layer.gates["forget"][0, :, 2])
    assert axes.get_title("left") == "Gates of unit 2 of recurrent.l0"
    assert tokens == subject.task.step_tokens(subject.excerpt(60))


def test_the_unit_that_changes_most(subjects: dict[str, plots.Subject]) -> None:
    subject = subjects["generate"]
    _, layer, tokens = subject.layer(480)
    states = np.tanh(layer.states["cell"][0].numpy())
    figure = plots.draw(subject, "unit")
    assert titles(figure) == [f"Unit {states.std(0).argmax()} of recurrent.l1 (of all units, it changes most)"]
    assert tokens is not None
    assert len(tokens) == len(states)


def test_parts_of_a_text(subjects: dict[str, plots.Subject]) -> None:
    subject = subjects["generate"]
    first, second = (again(subject, example=k).excerpt(20).inputs[0].text for k in (0, 1))
    whole = subject.examples.inputs[0]
    assert whole.startswith(first + second)
    with pytest.raises(OptionError, match=r"^There is no example 99; the data have the examples 0 to \d+.$"):
        again(subject, example=99).excerpt(20)


def test_a_layer_of_a_translator(subjects: dict[str, plots.Subject]) -> None:
    subject = subjects["translate"]
    assert subject.layer(60)[0] == "encoder.l0"
    assert titles(plots.draw(again(subject, layer="decoder.l0"), "states"))[:1] == ["Hidden state of decoder.l0"]
    with pytest.raises(OptionError, match=r"^The model has no layer 'encoder': did you mean 'encoder.l0'"):
        plots.draw(again(subject, layer="encoder"), "gates")


def test_the_attention_has_the_tokens_of_both_sides(subjects: dict[str, plots.Subject]) -> None:
    subject = subjects["translate"]
    axes = plots.draw(subject, "attention").axes[0]
    example = subject.excerpt(60)
    assert [label.get_text() for label in axes.get_xticklabels()] == subject.task.step_tokens(example)
    weights = axes.collections[0].get_array().reshape(len(axes.get_yticklabels()), -1)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)


def test_the_spectrum_has_a_panel_per_gate(subjects: dict[str, plots.Subject]) -> None:
    subject = subjects["texts"]
    figure = plots.draw(subject, "spectrum")
    names = [title.partition(":")[0] for title in titles(figure)]
    assert names == ["input gate", "forget gate", "candidate", "output gate"]
    matrix = subject.predictor.model.recurrent.weight_hh_l0.detach().numpy()[4:8]
    drawn = figure.axes[1].collections[0].get_offsets().data
    np.testing.assert_allclose(np.sort(np.hypot(*drawn.T)), np.sort(np.abs(np.linalg.eigvals(matrix))), rtol=1e-5)


def test_the_gradient_has_the_memory_length(subjects: dict[str, plots.Subject]) -> None:
    axes = plots.draw(subjects["numbers"], "gradient").axes[0]
    assert axes.get_title("left") == "Gradient through time, recurrent.l1"
    assert [line.get_label() for line in axes.lines if not line.get_label().startswith("_")] == ["hidden", "cell"]


def test_recordings_of_speech() -> None:
    generator = np.random.default_rng(0)
    steps = [generator.random((9 + 3 * k, 4), np.float32) for k in range(4)]
    examples = Records(steps, ["a", "b", "ab", "ba"], list("wxyz"))
    recipe = TranscribeRecipe(name="x", data={"unit": "characters", "audio": {"mel_bins": 4}}, model={"hidden_size": 3})
    task = TranscribeTask.fit(recipe, examples)
    subject = plots.Subject(Predictor.of(task, task.build()), lambda: examples)
    assert list(plots.fitting(subject)) == ["lengths", *INSIDE]
    for name in plots.fitting(subject):
        assert any(titles(plots.draw(subject, name)))
    names = [label.get_text() for label in plots.draw(subject, "lengths").axes[0].get_xticklabels()]
    assert names == ["1\n2", "2\n2"]


def test_what_does_not_fit_is_refused_with_what_does(subjects: dict[str, plots.Subject]) -> None:
    refusals = {
        ("forecast", "confusion"): "it is for the task classify or tag, and the model is for forecast",
        ("weighted", "confusion"): "the model gives several labels to a sequence, and it needs one",
        ("numbers", "unit"): "the model reads numbers, and it needs tokens of a text",
        ("texts", "attention"): "it is for the task translate, and the model is for classify",
    }
    for (name, figure), reason in refusals.items():
        with pytest.raises(OptionError) as error:
            plots.draw(subjects[name], figure)
        fitting = ", ".join(plots.fitting(subjects[name]))
        assert str(error.value) == (
            f"The figure {figure!r} does not fit: {reason}. The figures of this model are {fitting}."
        )
    with pytest.raises(OptionError, match=r"^There is no figure 'confusio': did you mean 'confusion'\? Known: "):
        plots.draw(subjects["texts"], "confusio")


def test_a_model_without_a_run_has_no_curves(subjects: dict[str, plots.Subject], tmp_path: Path) -> None:
    bare = plots.Subject(subjects["texts"].predictor, lambda: subjects["texts"].examples)
    with pytest.raises(
        OptionError, match=r"'curves' does not fit: it needs a run with a finished epoch, and this is a"
    ):
        plots.draw(bare, "curves")
    opened = plots.open_subject(untrained.write("texts", tmp_path))
    with pytest.raises(DataError, match=r"is a model without a run: name the files to draw, or give its run directory"):
        plots.draw(opened, "confusion")
    files = plots.open_subject(untrained.write("texts", tmp_path), [tmp_path / "train.csv"])
    assert titles(plots.draw(files, "confusion"))[0].endswith("of 18 are right")


@pytest.mark.parametrize(("cell", "reason"), [("rnn", "the layers are RNNs, which have no gates"), ("gru", None)])
def test_gates_of_other_cells(cell: str, reason: str | None, tmp_path: Path) -> None:
    path = untrained.write("texts", tmp_path, untrained.SMALL["texts"].replace("[model]", f'[model]\ncell = "{cell}"'))
    subject = plots.open_subject(path, [tmp_path / "train.csv"])
    assert plots.PLOTS["gates"].why_not(subject) == reason
    assert len(plots.draw(subject, "spectrum").axes) == {"rnn": 1, "gru": 4}[cell]
    if reason is None:
        lines = plots.draw(subject, "gates").axes[0].lines
        assert [line.get_label() for line in lines] == ["reset", "update"]


def test_all_figures_are_written_and_what_the_data_do_not_fit_is_said(
    subjects: dict[str, plots.Subject], tmp_path: Path
) -> None:
    found = list(plots.draw_all(subjects["sums"], tmp_path / "new", ".svg"))
    assert [name for name, _, _ in found] == list(plots.fitting(subjects["sums"]))
    for name, path, reason in found:
        if name == "lengths":
            assert path is None
            assert "Each example has 8 steps" in reason
        else:
            assert path is not None
            assert path.read_text("utf-8").count("<text") > 2
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match=r"^The folder .*file cannot be made: File exists. Choose another --out.$"):
        next(plots.draw_all(subjects["sums"], tmp_path / "file"))
