"""Estimators: the tasks for programs. Arrays, lists and texts in memory go in; ``fit``, ``predict``, ``score``.

They follow the conventions of scikit-learn. Each trains, predicts and saves with the same code as the command line, so
the same data and seed give the same bits. Each name is imported when it is first used.
"""

from typing import TYPE_CHECKING

from holdfast.lazy import on_demand

if TYPE_CHECKING:
    from holdfast.estimators.anomalies import AnomalyDetector
    from holdfast.estimators.base import Estimator
    from holdfast.estimators.classify import SequenceClassifier, TextClassifier
    from holdfast.estimators.forecast import Forecaster
    from holdfast.estimators.generate import LanguageModel
    from holdfast.estimators.loading import load
    from holdfast.estimators.regress import SequenceRegressor, TextRegressor
    from holdfast.estimators.tag import SequenceTagger, TextTagger
    from holdfast.estimators.transcribe import Transcriber
    from holdfast.estimators.translate import Translator

__all__ = [
    "AnomalyDetector",
    "Estimator",
    "Forecaster",
    "LanguageModel",
    "SequenceClassifier",
    "SequenceRegressor",
    "SequenceTagger",
    "TextClassifier",
    "TextRegressor",
    "TextTagger",
    "Transcriber",
    "Translator",
    "load",
]

_HOMES = {
    "AnomalyDetector": "holdfast.estimators.anomalies",
    "Estimator": "holdfast.estimators.base",
    "Forecaster": "holdfast.estimators.forecast",
    "LanguageModel": "holdfast.estimators.generate",
    "SequenceClassifier": "holdfast.estimators.classify",
    "SequenceRegressor": "holdfast.estimators.regress",
    "TextClassifier": "holdfast.estimators.classify",
    "TextRegressor": "holdfast.estimators.regress",
    "SequenceTagger": "holdfast.estimators.tag",
    "TextTagger": "holdfast.estimators.tag",
    "Transcriber": "holdfast.estimators.transcribe",
    "Translator": "holdfast.estimators.translate",
    "load": "holdfast.estimators.loading",
}

__getattr__ = on_demand(__name__, _HOMES)
