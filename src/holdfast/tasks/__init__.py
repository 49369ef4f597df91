"""Tasks: one file each, with the model, the loss, the metrics and the answers."""

from __future__ import annotations

from typing import Any

from holdfast.tasks.classify import ClassifyTask
from holdfast.tasks.forecast import ForecastTask
from holdfast.tasks.generate import GenerateTask
from holdfast.tasks.tag import TagTask
from holdfast.tasks.task import RecipeTask
from holdfast.tasks.transcribe import TranscribeTask
from holdfast.tasks.translate import TranslateTask

TASKS: dict[str, type[RecipeTask[Any]]] = {
    task.name: task for task in (ClassifyTask, ForecastTask, GenerateTask, TagTask, TranscribeTask, TranslateTask)
}

__all__ = [
    "TASKS",
    "ClassifyTask",
    "ForecastTask",
    "GenerateTask",
    "RecipeTask",
    "TagTask",
    "TranscribeTask",
    "TranslateTask",
]
