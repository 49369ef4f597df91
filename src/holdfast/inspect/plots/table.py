"""The table of figures: what each shows, which models it fits, and what draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.data.labels import Labels
from holdfast.inspect.plots import inside, quality, training
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.tasks import NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from holdfast.inspect.plots.subject import Subject


@dataclass(frozen=True)
class Plot:
    """A figure of a trained model.

    Attributes:
        shows: What it shows, for the list.
        draw: Draws it.
        functions: The functions of :mod:`holdfast.inspect.figures` that it calls.
        tasks: The tasks whose models it fits.
        needs: What else a model needs: says what it lacks, or returns None.
    """

    shows: str
    draw: Callable[[Subject], Figure]
    functions: tuple[str, ...]
    tasks: tuple[str, ...] = NAMES
    needs: Callable[[Subject], str | None] = lambda subject: None

    def why_not(self, subject: Subject) -> str | None:
        """Why the figure does not fit a model; None if it does.

        Args:
            subject: The model.
        """
        if subject.task.name not in self.tasks:
            return f"it is for the task {' or '.join(self.tasks)}, and the model is for {subject.task.name}"
        return self.needs(subject)


def _run(subject: Subject) -> str | None:
    epochs = [row for row in subject.rows or [] if row["event"] == "epoch"]
    return None if epochs else "it needs a run with a finished epoch, and this is a model without one"


def _one_label(subject: Subject) -> str | None:
    labels = getattr(subject.task.encoder, "labels", None)
    several = isinstance(labels, Labels) and bool(labels.separator)
    return "the model gives several labels to a sequence, and it needs one" if several else None


def _tokens(subject: Subject) -> str | None:
    return None if subject.task.reads_tokens else "the model reads numbers, and it needs tokens of a text"


def _layers(subject: Subject) -> list[RecurrentLayer]:
    return [module for module in subject.predictor.model.modules() if isinstance(module, RecurrentLayer)]


def _matrices(subject: Subject) -> str | None:
    return None if _layers(subject) else "the model has a cell of your own, and it needs an RNN, a GRU or an LSTM"


def _gated(subject: Subject) -> str | None:
    kinds = {layer.kind for layer in _layers(subject)}
    return "the layers are RNNs, which have no gates" if kinds == {"rnn"} else None


def _attention(subject: Subject) -> str | None:
    return None if getattr(subject.predictor.model, "attention", None) else "the model has no attention"


_LABELS = ("classify", "tag")
_TEXTS = ("classify", "generate", "regress", "tag", "translate")

PLOTS: dict[str, Plot] = {
    "confusion": Plot(
        "how often each label was predicted for each true label",
        quality.confusion,
        ("confusion_matrix",),
        _LABELS,
        _one_label,
    ),
    "predictions": Plot(
        "predicted numbers next to the true ones",
        quality.predictions,
        ("predicted_against_true", "predicted_over_steps"),
        ("regress",),
    ),
    "forecast": Plot(
        "forecasts of a few windows, their bands, and the true values", quality.forecasts, ("forecast",), ("forecast",)
    ),
    "surprise": Plot(
        "a passage of text, each token shaded by how unexpected it was",
        quality.surprise,
        ("text_by_values",),
        ("generate",),
    ),
    "lengths": Plot(
        "the quality of the answers by the length of the examples",
        quality.lengths,
        ("accuracy_by_length",),
        ("translate", "transcribe", "classify", "tag"),
    ),
    "reliability": Plot(
        "how often the predicted label is right, by its probability",
        quality.reliability,
        ("reliability_diagram",),
        _LABELS,
        _one_label,
    ),
    "roc": Plot("true over false positives, of each label", quality.roc, ("roc_curves",), _LABELS),
    "precision-recall": Plot(
        "precision over recall, of each label", quality.precision_recall, ("precision_recall_curves",), _LABELS
    ),
    "horizon": Plot(
        "the error by rows ahead, next to naive forecasts", quality.horizon, ("error_by_horizon",), ("forecast",)
    ),
    "curves": Plot("loss and score over training", training.curves, ("learning_curves",), needs=_run),
    "learning-rate": Plot(
        "learning rate and norms of the gradients over training",
        training.rates,
        ("learning_rate", "gradient_norm"),
        needs=_run,
    ),
    "gates": Plot(
        "how open the gates are at each step of an example", inside.gates, ("gates_over_time",), needs=_gated
    ),
    "states": Plot("the state of every unit at each step of an example", inside.states, ("state_heat_map",)),
    "gradient": Plot(
        "the gradient by steps back, and the effective memory length",
        inside.gradient,
        ("gradient_through_time",),
    ),
    "spectrum": Plot("the eigenvalues of the recurrent matrices", inside.spectrum, ("spectrum",), needs=_matrices),
    "unit": Plot("a text, each token shaded by a unit", inside.unit, ("text_by_values",), _TEXTS, _tokens),
    "connectivity": Plot(
        "how much outputs depend on each token of a text",
        inside.connectivity,
        ("connectivity_on_text", "text_by_values", "attention_map"),
        _TEXTS,
        _tokens,
    ),
    "attention": Plot(
        "which tokens of the source the decoder looked at",
        inside.attention,
        ("attention_map",),
        ("translate",),
        _attention,
    ),
}
"""Every figure by its name for ``holdfast plot``. The first one that fits a model is its main figure."""
