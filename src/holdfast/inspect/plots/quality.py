"""Figures of how good the answers of a model are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from holdfast.errors import DataError
from holdfast.inspect.figures.confusion import confusion_matrix
from holdfast.inspect.figures.forecasts import error_by_horizon
from holdfast.inspect.figures.lengths import accuracy_by_length
from holdfast.inspect.figures.probabilities import precision_recall_curves, reliability_diagram, roc_curves
from holdfast.inspect.figures.texts import text_by_values
from holdfast.inspect.measuring import measure
from holdfast.tasks.forecast import plot as forecast_plot
from holdfast.tasks.transcribe.metrics import edit_distance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from holdfast.inspect.plots.subject import Subject

PASSAGE = 480
"""Tokens of a text that is drawn as a whole."""
_WINDOWS, _LEAST_ROWS = 3, 24
"""Forecasts in a picture, and the rows before each of them."""
_MOST_DECODED = 1000
"""Examples of a task whose answers take a search."""
_NAMES = {"model": "model", "repeat_last": "last value", "seasonal_naive": "last season"}


def confusion(subject: Subject) -> Figure:
    """The confusion matrix of the labels."""
    from sklearn.metrics import confusion_matrix as count

    judged = subject.judged
    counts = count(judged.true, judged.predicted, labels=range(len(judged.labels)))
    return _figure(confusion_matrix(counts, judged.labels))


def reliability(subject: Subject) -> Figure:
    """How often the most probable label is right, by its probability."""
    judged = subject.judged
    return _figure(reliability_diagram(judged.predicted == judged.true, judged.probabilities.max(1)))


def roc(subject: Subject) -> Figure:
    """The receiver operating characteristic of each label."""
    judged = subject.judged
    return _figure(roc_curves(judged.true, judged.probabilities, judged.labels))


def precision_recall(subject: Subject) -> Figure:
    """Precision over recall of each label."""
    judged = subject.judged
    return _figure(precision_recall_curves(judged.true, judged.probabilities, judged.labels))


def predictions(subject: Subject) -> Figure:
    """Predicted numbers next to the true ones."""
    answers = list(subject.predictor.answer(subject.examples))
    figure: Figure = subject.task.plot(subject.examples, answers)
    return figure


def forecasts(subject: Subject) -> Figure:
    """Forecasts of a few windows of the data, with the true values: of the chosen window, and of later ones."""
    task, count, first = subject.task, len(subject.examples), subject.choice.example
    subject.excerpt(0)  # checks that there is such an example
    chosen = sorted({int(place) for place in np.linspace(first, count - 1, _WINDOWS + 1)[:_WINDOWS]})
    windows = subject.examples.subset(chosen)

    def outputs(model: torch.nn.Module, batch: Any) -> torch.Tensor:
        result: torch.Tensor = task.loss(model, batch).outputs
        return result

    values = torch.cat(list(subject.predictor.compute(windows, outputs))).double().cpu().numpy()
    rows = max(4 * windows.horizon, min(_LEAST_ROWS, task.encoder.settings.window))
    return forecast_plot.figure(forecast_plot.window_drawings(windows, values, task.quantiles, rows))


def horizon(subject: Subject) -> Figure:
    """The error of each row of the horizon, of the model and of naive forecasts."""
    figures = measure(subject.predictor, subject.examples).figures
    errors = {_NAMES[name]: np.array(values) for name, values in figures["mae_by_row"].items()}
    return _figure(error_by_horizon(errors))


def surprise(subject: Subject) -> Figure:
    """A passage of the text, each token shaded by how unexpected it was."""
    task, predictor = subject.task, subject.predictor
    example = subject.excerpt(PASSAGE)

    def losses(model: torch.nn.Module, batch: Any) -> torch.Tensor:
        scores = model(batch.inputs, batch.lengths)[0]
        return torch.nn.functional.cross_entropy(scores[0, :-1], batch.inputs[0, 1:], reduction="none")

    (nats,) = predictor.compute(example, losses)
    tokens, values = task.step_tokens(example), np.concatenate([[np.nan], nats.double().cpu().numpy()])
    mean = float(np.nanmean(values)) if len(values) > 1 else float("nan")
    title = f"How unexpected each token is; mean {mean:.2f} nats"
    return _figure(text_by_values(tokens, values, title=title, name="nats (-log probability)"))


def lengths(subject: Subject) -> Figure:
    """The quality of the answers by the length of the examples.

    Raises:
        DataError: All examples have the same length.
    """
    sizes, scores, name, unit = _LENGTHS[subject.task.name](subject)
    if len(np.unique(sizes)) < 2:
        raise DataError(
            f"Each example has {sizes[0]} {unit}; expected examples of different lengths, to draw how the quality "
            "depends on them."
        )
    return _figure(accuracy_by_length(sizes, scores, name=name, unit=unit))


def _classified(subject: Subject) -> tuple[Any, Any, str, str]:
    """Whether the label of each sequence is right; of several labels, whether all are."""
    judged = subject.judged
    if judged.true.ndim == 2:
        right = ((judged.probabilities >= 0.5) == judged.true.astype(bool)).all(1)
    else:
        right = judged.predicted == judged.true
    sizes = subject.task.encode(subject.examples).lengths
    return np.asarray(sizes), right, "accuracy", "steps"


def _tagged(subject: Subject) -> tuple[Any, Any, str, str]:
    """The share of right tags of each sequence that has steps."""
    task = subject.task

    def judge(model: torch.nn.Module, batch: Any) -> tuple[Any, Any]:
        return task.probabilities(model, batch), batch.known_targets

    sizes, scores = [], []
    for rows, targets in subject.predictor.compute(subject.examples, judge):
        for row, right in zip(rows, targets, strict=True):
            if len(row):
                sizes.append(len(row))
                scores.append(float((row.argmax(-1) == right[: len(row)]).double().mean()))
    return np.array(sizes), np.array(scores), "accuracy of the tags", "steps"


def _translated(subject: Subject) -> tuple[Any, Any, str, str]:
    """The chrF of each answer."""
    import sacrebleu

    some = _some(subject)
    if some.targets is None:
        raise DataError("The sources have no translations; expected one for each, to measure against.")
    scores = [
        sacrebleu.sentence_chrf(answer["translation"], list(references)).score
        for answer, references in zip(subject.predictor.answer(some), some.targets, strict=True)
    ]
    sizes = [len(ids) for ids in subject.task.source.encode(some.inputs)]
    return np.array(sizes), np.array(scores), "chrF (0 to 100)", "tokens of the source"


def _transcribed(subject: Subject) -> tuple[Any, Any, str, str]:
    """The character error rate of each answer."""
    some, task = _some(subject), subject.task
    if some.targets is None:
        raise DataError("The recordings have no transcripts; expected one for each, to measure against.")

    def judge(model: torch.nn.Module, batch: Any) -> list[tuple[int, float]]:
        pairs = zip(task.answers(model, batch), batch.texts, strict=True)
        return [
            (len(text), edit_distance(list(answer["text"]), list(text)) / max(1, len(text))) for answer, text in pairs
        ]

    found = [pair for pairs in subject.predictor.compute(some, judge) for pair in pairs]
    sizes, rates = zip(*found, strict=True)
    return np.array(sizes), np.array(rates), "character error rate", "characters"


_LENGTHS = {"classify": _classified, "tag": _tagged, "translate": _translated, "transcribe": _transcribed}


def _some(subject: Subject) -> Any:
    """The examples, or evenly spaced ones if there are many."""
    count = len(subject.examples)
    if count <= _MOST_DECODED:
        return subject.examples
    return subject.examples.subset(np.linspace(0, count - 1, _MOST_DECODED).astype(int).tolist())


def _figure(axes: Any) -> Figure:
    figure: Figure = axes.figure
    return figure
