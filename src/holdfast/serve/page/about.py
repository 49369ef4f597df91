"""What the page asks a person for, and how it shows the answer, for each kind of model."""

from __future__ import annotations

import warnings
from typing import Any

from holdfast.data.readers import audio, images
from holdfast.errors import HoldfastError, HoldfastWarning, OptionError
from holdfast.runtime.network import STREAM
from holdfast.runtime.scaling import Scaling
from holdfast.serve.models import NETWORK, ServedModel
from holdfast.tasks.inputs import made_sample
from holdfast.tasks.interface import Interface, NumbersInput, ValuesAnswer
from holdfast.training.finished_run import FinishedRun
from holdfast.training.run_directory import RECIPE_NAME

_TABLES = (".csv", ".tsv")
_TEXTS = (".txt", *_TABLES)
_FILES: dict[str, tuple[str, ...]] = {
    "image": images.SUFFIXES,
    "numbers": _TABLES,
    "table": _TABLES,
    "text": _TEXTS,
    "words": _TEXTS,
    "sound": audio.SUFFIXES,
}
"""The endings of the files that the page offers to send, by the kind of the input."""
_WITHOUT_FILES = ("generate",)
_TENSORS = {"input": {"kind": "tensors"}, "answer": {"kind": "tensors"}}


def run_of(model: ServedModel) -> FinishedRun | None:
    """The run that trained a model, if it is still in its folder."""
    if model.path is None or not (model.path.parent / RECIPE_NAME).exists():
        return None
    return FinishedRun.read(model.path.parent)


def about(model: ServedModel, *, examples: bool) -> dict[str, Any]:
    """What the page needs to know of a model, as JSON has it.

    Args:
        model: The model; that of a task is opened.
        examples: Whether examples of its run's test data are offered.

    Returns:
        ``name``, ``version`` and ``task``; ``door``: how examples are sent (``"predict"``, ``"generate"`` or
        ``"infer"``, as tensors); ``input`` and ``answer``, as :meth:`holdfast.tasks.interface.Interface.to_document`
        writes them, or of the kind ``"tensors"``; ``files``: endings of files that may be sent; ``tensors``, the
        metadata of Open Inference Protocol v2; ``stream``: the sizes of its steps, or None, and ``why_no_stream``;
        ``description`` of its run; and ``note``, a sentence where the examples could not be read.

    Raises:
        HoldfastError: The model cannot be opened.
    """
    document: dict[str, Any] = {
        "name": model.name,
        "version": model.version,
        "task": model.task,
        "door": "infer",
        "files": [],
        "tensors": model.document(),
        "stream": _stream(model),
        "why_no_stream": model.why_no_stream,
        "description": "",
        "note": "",
        **_TENSORS,
    }
    if model.task == STREAM:
        return document | _of_stream(model).to_document()
    if model.task == NETWORK:
        return document
    run = run_of(model)
    document["description"] = str(run.recipe.get("description", "")) if run else ""
    offered, document["note"] = _examples(run) if examples else (None, "")
    task = model.predictor().task
    try:
        interface = task.interface(offered, alone=False)
    except OptionError:  # a task of your own, which has tensors alone
        return document
    document |= interface.to_document()
    document["door"] = "generate" if task.name == "generate" else "predict"
    kind = document["input"]["kind"]
    document["files"] = [] if task.name in _WITHOUT_FILES else list(_FILES.get(kind, ()))
    return document


def _of_stream(model: ServedModel) -> Interface:
    """The input and the answer of an exported stream: numbers, and the outputs after each step."""
    assert model.network is not None  # it is a stream
    network = model.network
    names = network.labels or tuple(f"output {k + 1}" for k in range(network.output_size))
    samples = (made_sample(network.input_size, network.scaling or Scaling()),)
    return Interface(NumbersInput(network.input_size, samples=samples), ValuesAnswer(names, per_step=True))


def _stream(model: ServedModel) -> dict[str, Any] | None:
    """The sizes of a step and what its outputs are; None for a model that does not stream."""
    network = model.network
    if network is None:
        return None
    return {"inputs": network.input_size, "outputs": network.output_size, "labels": list(network.labels)}


def _examples(run: FinishedRun | None) -> tuple[Any, str]:
    """The test data of a run; or None, and why there are none."""
    if run is None:
        return None, "There are no examples: the model is a file without its run."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HoldfastWarning)
            return run.test_data(), ""
    except HoldfastError:  # its message names folders of the server
        return None, "There are no examples: the test data of the run cannot be read."
