"""A trained model as one file: its weights, and what is needed to build it and to read data for it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import torch
from pydantic import ValidationError
from torch import nn

from holdfast import register
from holdfast.errors import ModelFileError, did_you_mean
from holdfast.files import container, storage
from holdfast.layers.chain import Chain
from holdfast.tasks import TASKS, RecipeTask

# The errors of reading a damaged description; torch raises the last two for impossible sizes.
_DAMAGE_ERRORS = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError)


def save(path: Path, task: RecipeTask[Any], model: nn.Module, notes: Mapping[str, Any] | None = None) -> None:
    """Writes a model atomically; replaces an existing file.

    Args:
        path: The file.
        task: The fitted task.
        model: Its model.
        notes: Further entries of the document, by names that the task does not use; JSON values.

    Raises:
        ModelFileError: The file cannot be written.
    """
    document = {**(notes or {}), "task": task.name, "chain": task.chain(model).to_document(), **task.to_dict()}
    if own := task.settings.own_parts:
        document["own_parts"] = [list(part) for part in own]
    storage.write(path, model.state_dict(), document, "model")


def load(path: Path) -> tuple[RecipeTask[Any], nn.Module]:
    """Opens a model on the CPU, in evaluation mode. Opening a file never runs code from it.

    Args:
        path: A model file, or a directory (such as a run directory) with a ``model.safetensors``.

    Raises:
        ModelFileError: There is no model, or the file is truncated, damaged, too new, or of another kind.
    """
    return load_with_document(path)[:2]


def to_bytes(task: RecipeTask[Any], model: nn.Module) -> bytes:
    """The content of the file that :func:`save` writes."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        path = Path(folder) / container.MODEL_NAME
        save(path, task, model)
        return path.read_bytes()


def from_bytes(content: bytes) -> tuple[RecipeTask[Any], nn.Module]:
    """As :func:`load`, from the content of a file."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        path = Path(folder) / container.MODEL_NAME
        path.write_bytes(content)
        return load(path)


def load_with_document(path: Path) -> tuple[RecipeTask[Any], nn.Module, dict[str, Any]]:
    """As :func:`load`; also gives the document of the file, with the ``notes`` of :func:`save`."""
    path = container.model_path(path)
    tensors, document = storage.read(path, "model")
    name = document.get("task")
    if not isinstance(name, str) or name not in TASKS:
        raise ModelFileError(f"{path} is a model for the task {name!r:.60}: {did_you_mean(str(name), TASKS)}")
    _check_own_parts(document.get("own_parts", []), path)
    try:
        task = TASKS[name].from_dict(document)
        if task.settings.layers > len(tensors):
            raise ModelFileError(f"it describes {task.settings.layers:,} layers and holds {len(tensors)} tensors")
        with torch.device("meta"):
            described = task.build()
        storage.check_fit(described, tensors, path)  # before memory is allocated for wrong sizes
        if "chain" in document and Chain.from_document(document["chain"]) != task.chain(described):
            raise ModelFileError("its chain is not the chain of its task")
        model = task.build()
    except _DAMAGE_ERRORS as error:
        if isinstance(error, ModelFileError) and str(error).startswith(str(path)):
            raise
        raise ModelFileError(f"{path} is damaged: {_first_line(error)}. Take another copy of it.") from error
    storage.fit_tensors(model, tensors, path)
    return task, model.eval(), document


def _check_own_parts(parts: Any, path: Path) -> None:
    """Refuses a file that needs parts of your own that are not registered.

    Raises:
        ModelFileError: It does, or the list is damaged.
    """
    pairs: list[Any] = parts if isinstance(parts, list) else [None]
    if not all(isinstance(p, list) and len(p) == 2 and isinstance(p[0], str) and isinstance(p[1], str) for p in pairs):
        raise ModelFileError(f"{path} is damaged: its list of own parts does not fit. Take another copy of it.")
    missing = [f"the {kind} {name!r:.60}" for kind, name in pairs if not _is_registered(kind, name)]
    if missing:
        raise ModelFileError(
            f"{path} needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} no part of Holdfast. "
            "Import the file that registers it first: --import FILE, or `import` in a program."
        )


def _is_registered(kind: str, name: str) -> bool:
    return any(kind == known and register.is_registered(known, name) for known in get_args(register.Kind))


def _first_line(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error}"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place, reason = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        if first["type"] == "missing":
            return f"it has no {place!r}"
        return f"its {place} cannot be used: {reason[0].lower()}{reason[1:].rstrip('.')}"
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
