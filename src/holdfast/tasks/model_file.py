"""A trained model as one file: its weights, and all that is needed to build it and to read further data for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from holdfast.errors import ModelFileError, did_you_mean
from holdfast.files import container, storage
from holdfast.tasks import TASKS, RecipeTask

# What reading a description of the wrong form ends in; torch raises the last two for sizes that it cannot have.
_MISFITS = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError)


def save(path: Path, task: RecipeTask[Any], model: nn.Module) -> None:
    """Writes a model, atomically; one that is there is replaced.

    Raises:
        ModelFileError: The file cannot be written.
    """
    storage.write(path, model.state_dict(), {"task": task.name, **task.to_dict()}, "model")


def load(path: Path) -> tuple[RecipeTask[Any], nn.Module]:
    """Opens a model, in evaluation mode, on the CPU. Opening a file never runs code from it.

    Args:
        path: A model file, or a directory (such as that of a run) that holds a ``model.safetensors``.

    Raises:
        ModelFileError: There is no model, or the file is truncated, damaged, too new, or of another kind.
    """
    path = container.model_path(path)
    tensors, document = storage.read(path, "model")
    name = document.get("task")
    if not isinstance(name, str) or name not in TASKS:
        raise ModelFileError(f"{path} is a model for the task {name!r:.60}: {did_you_mean(str(name), TASKS)}")
    try:
        task = TASKS[name].from_dict(document)
        if task.settings.layers > len(tensors):
            raise ModelFileError(f"it describes {task.settings.layers:,} layers and holds {len(tensors)} tensors")
        with torch.device("meta"):
            described = task.build()
        storage.check_fit(described, tensors, path)  # before memory is taken for what may be described wrongly
        model = task.build()
    except _MISFITS as error:
        if isinstance(error, ModelFileError) and str(error).startswith(str(path)):
            raise
        raise ModelFileError(f"{path} is damaged: {_first_line(error)}. Take another copy of it.") from error
    storage.fit_tensors(model, tensors, path)
    return task, model.eval()


def _first_line(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"its {'.'.join(map(str, first['loc']))} cannot be: {first['msg'][0].lower()}{first['msg'][1:]}"
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
