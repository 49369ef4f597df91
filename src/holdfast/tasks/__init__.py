"""The tasks: one folder each, with settings, data, network, task and metrics.

A new task needs its folder and one line in ``NAMES``. Its classes are imported at their first use, since reading a
recipe needs only the settings.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.tasks.classify.task import ClassifyTask
    from holdfast.tasks.forecast.task import ForecastTask
    from holdfast.tasks.generate.task import GenerateTask
    from holdfast.tasks.regress.task import RegressTask
    from holdfast.tasks.tag.task import TagTask
    from holdfast.tasks.task import RecipeTask
    from holdfast.tasks.transcribe.task import TranscribeTask
    from holdfast.tasks.translate.task import TranslateTask

NAMES = ("classify", "forecast", "generate", "regress", "tag", "transcribe", "translate")
"""Every task. The folder of a task has ``settings.RECIPE`` and ``task.TASK``."""


class _Tasks(Mapping[str, "type[RecipeTask[Any]]"]):
    """The tasks by name."""

    def __getitem__(self, name: str) -> "type[RecipeTask[Any]]":
        if name not in NAMES:
            raise KeyError(name)
        task: type[RecipeTask[Any]] = import_module(f"holdfast.tasks.{name}.task").TASK
        return task

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


TASKS = _Tasks()
"""The class of each task by its name; a class is imported when it is asked for."""

__all__ = [
    "NAMES",
    "TASKS",
    "ClassifyTask",
    "ForecastTask",
    "GenerateTask",
    "RecipeTask",
    "RegressTask",
    "TagTask",
    "TranscribeTask",
    "TranslateTask",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'holdfast.tasks' has no attribute {name!r}")
    if name == "RecipeTask":
        return import_module("holdfast.tasks.task").RecipeTask
    return TASKS[name.removesuffix("Task").lower()]
