"""The model of a worker: loaded once per process, from a path or from the bytes that were sent."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from holdfast.errors import ModelFileError
from holdfast.files import container
from holdfast.predictor import Predictor
from holdfast.recipes import changed
from holdfast.tasks import model_file

_lock = threading.Lock()
_predictors: dict[tuple[object, ...], Predictor] = {}


@dataclass(frozen=True)
class ModelSource:
    """Where a worker gets a model from, and how it predicts.

    Attributes:
        path: A run directory or a model file.
        options: As for :class:`holdfast.Predictor`.
        device: As for :class:`holdfast.Predictor`.
        threads: Threads of torch; 0 does not change their number.
        content: The bytes of the model file, where they are sent.
    """

    path: str
    options: tuple[str, ...]
    device: str
    threads: int
    content: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, run: Path | str, options: Sequence[str], device: str, threads: int, *, carry_model: bool
    ) -> ModelSource:
        """A source; with ``carry_model`` it has the bytes of the model.

        Raises:
            ModelFileError: There is no model to send.
        """
        content = None
        if carry_model:
            try:
                content = container.model_path(Path(run)).read_bytes()
            except OSError as error:
                raise ModelFileError(f"{run} has no model that can be read ({error.strerror}).") from error
        return cls(str(Path(run).absolute()), tuple(options), device, threads, content)


def loaded(source: ModelSource) -> Predictor:
    """The predictor of a source; the threads of a process load it once.

    A file that was replaced is loaded again.

    Raises:
        ModelFileError: There is no usable model.
    """
    with _lock:
        key = (source.path, source.options, source.device, _version(source))
        if key not in _predictors:
            if source.threads:
                torch.set_num_threads(source.threads)
            _predictors[key] = _load(source)
        return _predictors[key]


def _load(source: ModelSource) -> Predictor:
    if source.content is None:
        return Predictor(source.path, device=source.device, options=source.options)
    task, model = model_file.from_bytes(source.content)
    if source.options:
        task.answering = changed(task.answering, source.options)
    return Predictor.of(task, model, source.device)


def _version(source: ModelSource) -> tuple[object, ...]:
    """What tells the content of a model from what it was before."""
    if source.content is not None:
        return (hashlib.sha256(source.content).hexdigest(),)
    try:
        about = container.model_path(Path(source.path)).stat()
    except OSError:
        return ()  # loading it says what is wrong
    return about.st_size, about.st_mtime_ns
