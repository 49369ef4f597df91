"""Tasks: one file each, with the model, the loss, the metrics and the answers."""

from __future__ import annotations

from holdfast.tasks.classify import ClassifyTask

TASKS = {task.name: task for task in (ClassifyTask,)}

__all__ = ["TASKS", "ClassifyTask"]
