"""Figures: one function each, with ``ax=`` in and the Axes out, drawn with matplotlib.

They take arrays, or tensors on any device, and know no task and no model. :mod:`holdfast.inspect.plots` draws them for
a trained model.
"""

from holdfast.inspect.figures.attention import attention_map
from holdfast.inspect.figures.canvas import PALETTE, svg_text, write_figure
from holdfast.inspect.figures.confusion import confusion_matrix
from holdfast.inspect.figures.forecasts import error_by_horizon, forecast
from holdfast.inspect.figures.gates import gates_over_time, state_heat_map
from holdfast.inspect.figures.gradients import gradient_through_time
from holdfast.inspect.figures.learning_curves import gradient_norm, learning_curves, learning_rate
from holdfast.inspect.figures.lengths import accuracy_by_length
from holdfast.inspect.figures.predictions import predicted_against_true, predicted_over_steps
from holdfast.inspect.figures.probabilities import precision_recall_curves, reliability_diagram, roc_curves
from holdfast.inspect.figures.spectrum import spectrum
from holdfast.inspect.figures.texts import connectivity_on_text, text_by_values

__all__ = [
    "PALETTE",
    "accuracy_by_length",
    "attention_map",
    "confusion_matrix",
    "connectivity_on_text",
    "error_by_horizon",
    "forecast",
    "gates_over_time",
    "gradient_norm",
    "gradient_through_time",
    "learning_curves",
    "learning_rate",
    "precision_recall_curves",
    "predicted_against_true",
    "predicted_over_steps",
    "reliability_diagram",
    "roc_curves",
    "spectrum",
    "state_heat_map",
    "svg_text",
    "text_by_values",
    "write_figure",
]
