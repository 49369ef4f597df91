"""From a model file to a fitted estimator."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from holdfast.engines.devices import choose_device
from holdfast.errors import ModelFileError
from holdfast.estimators import parameters
from holdfast.estimators.base import Estimator
from holdfast.predictor import Predictor
from holdfast.recipes import RECIPES
from holdfast.tasks import model_file

CLASSES = {
    "classify": ("holdfast.estimators.classify", ("SequenceClassifier", "TextClassifier")),
    "forecast": ("holdfast.estimators", ("Forecaster", "AnomalyDetector")),
    "regress": ("holdfast.estimators", ("SequenceRegressor", "TextRegressor", "AnomalyDetector")),
    "generate": ("holdfast.estimators.generate", ("LanguageModel",)),
    "tag": ("holdfast.estimators.tag", ("SequenceTagger", "TextTagger")),
    "transcribe": ("holdfast.estimators.transcribe", ("Transcriber",)),
    "translate": ("holdfast.estimators.translate", ("Translator",)),
}
"""The module and the classes for each task. Of several, the one that wrote a file, or else the first that opens it."""


def load(path: Path | str, device: str = "auto") -> Estimator:
    """The fitted estimator of a model file, whichever way it was trained: by ``fit`` or by ``holdfast train``.

    Args:
        path: A model file or a run directory.
        device: Where to compute: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...; ``"auto"`` takes a GPU if there is one.

    Returns:
        An estimator of the class for the model's task. Its arguments are those of the model; of training, those that
        the file of an estimator remembers. ``history_`` is empty.

    Raises:
        ModelFileError: There is no usable model, or no estimator for its task.
        OptionError: There is no such device.

    Example:
        >>> import numpy as np
        >>> import holdfast
        >>> X = np.random.default_rng(0).normal(size=(20, 5, 2))
        >>> classifier = holdfast.SequenceClassifier(hidden_size=4, epochs=1).fit(X, X[:, 0, 0] > 0)
        >>> classifier.save("rising.safetensors")
        >>> opened = holdfast.load("rising.safetensors")
        >>> type(opened).__name__, bool((opened.predict(X) == classifier.predict(X)).all())
        ('SequenceClassifier', True)
    """
    choose_device(device)
    task, model, document = model_file.load_with_document(Path(path))
    notes = document.get("estimator")
    notes = notes if isinstance(notes, dict) else {}
    home, names = CLASSES.get(task.name, ("", ()))
    kinds = [getattr(import_module(home), name) for name in names]
    kinds.sort(key=lambda kind: kind.__name__ != notes.get("class"))
    kind: Any = next((kind for kind in kinds if kind._opens(task)), None)
    if kind is None:
        raise ModelFileError(f"{path} is a model for the task {task.name!r}, which no estimator has. Use Predictor.")
    tables = {"model": task.settings, "data": getattr(task, "data", None), "predict": task.answering}
    encoder = getattr(task, "encoder", None)
    if tables["data"] is None and encoder is not None:
        tables["data"] = getattr(encoder, "settings", None)
    defaults = RECIPES[task.name].model_fields["train"].get_default()
    try:
        train = notes.get("train", {})
        tables["train"] = type(defaults)(**{**train, "device": device})
        arguments = parameters.arguments_of(kind.parameters, tables)
        estimator: Estimator = kind(**arguments)
        estimator._predictor = Predictor.of(task, model, device)
        estimator.history_ = []
        estimator._restore(notes)
        estimator._recipe = estimator._described()
    except (LookupError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} is damaged: its notes on the estimator cannot be used ({error}).") from error
    return estimator
