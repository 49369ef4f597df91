"""Measures of how good answers are, gathered batch by batch and kept with a checkpoint; a file a task."""

from __future__ import annotations

from holdfast.metrics.classification import ClassificationMetrics, MultilabelMetrics
from holdfast.metrics.forecasting import ForecastMetrics
from holdfast.metrics.language import LanguageMetrics
from holdfast.metrics.tagging import TaggingMetrics
from holdfast.metrics.transcription import TranscriptionMetrics
from holdfast.metrics.translation import TranslationMetrics

__all__ = [
    "ClassificationMetrics",
    "ForecastMetrics",
    "LanguageMetrics",
    "MultilabelMetrics",
    "TaggingMetrics",
    "TranscriptionMetrics",
    "TranslationMetrics",
]
