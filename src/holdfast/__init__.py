"""Holdfast: recurrent neural networks with readable maths, for every variant of a cell.

``LSTM``, ``GRU`` and ``RNN`` (and their ``...Cell``) stand in for torch.nn's; :func:`unroll` runs any cell over time;
:func:`explain` says which engine computes a call. Everything that Holdfast raises on purpose is a ``HoldfastError``.
"""

from typing import TYPE_CHECKING

from holdfast.lazy import on_demand

if TYPE_CHECKING:
    from holdfast import register
    from holdfast.conversion import convert
    from holdfast.engines.unrolling import unroll
    from holdfast.errors import HoldfastError
    from holdfast.estimators.anomalies import AnomalyDetector
    from holdfast.estimators.classify import SequenceClassifier, TextClassifier
    from holdfast.estimators.forecast import Forecaster
    from holdfast.estimators.generate import LanguageModel
    from holdfast.estimators.loading import load
    from holdfast.estimators.regress import SequenceRegressor, TextRegressor
    from holdfast.estimators.tag import SequenceTagger, TextTagger
    from holdfast.estimators.transcribe import Transcriber
    from holdfast.estimators.translate import Translator
    from holdfast.inspect import summarise
    from holdfast.interop.pytorch.classes import safe_globals
    from holdfast.interop.pytorch.replacement import replace_recurrent
    from holdfast.layers import GRU, LSTM, RNN
    from holdfast.layers.cell_modules import GRUCell, LSTMCell, RNNCell
    from holdfast.layers.explanation import explain
    from holdfast.layers.stream import Stream
    from holdfast.predictor import Predictor
    from holdfast.tasks.transcribe.stream import TranscriptStream

__version__ = "0.2.0"

# Each public name is imported when it is first asked for, so that a part that needs no torch loads none.
_HOMES = {
    "GRU": "holdfast.layers",
    "LSTM": "holdfast.layers",
    "RNN": "holdfast.layers",
    "AnomalyDetector": "holdfast.estimators.anomalies",
    "Forecaster": "holdfast.estimators.forecast",
    "GRUCell": "holdfast.layers.cell_modules",
    "HoldfastError": "holdfast.errors",
    "LSTMCell": "holdfast.layers.cell_modules",
    "LanguageModel": "holdfast.estimators.generate",
    "Predictor": "holdfast.predictor",
    "RNNCell": "holdfast.layers.cell_modules",
    "SequenceClassifier": "holdfast.estimators.classify",
    "SequenceRegressor": "holdfast.estimators.regress",
    "Stream": "holdfast.layers.stream",
    "TextClassifier": "holdfast.estimators.classify",
    "TextRegressor": "holdfast.estimators.regress",
    "SequenceTagger": "holdfast.estimators.tag",
    "TextTagger": "holdfast.estimators.tag",
    "Transcriber": "holdfast.estimators.transcribe",
    "TranscriptStream": "holdfast.tasks.transcribe.stream",
    "Translator": "holdfast.estimators.translate",
    "convert": "holdfast.conversion",
    "explain": "holdfast.layers.explanation",
    "load": "holdfast.estimators.loading",
    "register": "holdfast.register",
    "replace_recurrent": "holdfast.interop.pytorch.replacement",
    "safe_globals": "holdfast.interop.pytorch.classes",
    "summarise": "holdfast.inspect",
    "unroll": "holdfast.engines.unrolling",
}

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AnomalyDetector",
    "Forecaster",
    "GRUCell",
    "HoldfastError",
    "LSTMCell",
    "LanguageModel",
    "Predictor",
    "RNNCell",
    "SequenceClassifier",
    "SequenceRegressor",
    "SequenceTagger",
    "Stream",
    "TextClassifier",
    "TextRegressor",
    "TextTagger",
    "Transcriber",
    "TranscriptStream",
    "Translator",
    "__version__",
    "convert",
    "explain",
    "load",
    "register",
    "replace_recurrent",
    "safe_globals",
    "summarise",
    "unroll",
]


__getattr__ = on_demand(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
