"""From what a client sent to the answers of ``holdfast predict``: the same reading, the same model, the same bits."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.data.readers import audio, images
from holdfast.errors import HoldfastError
from holdfast.recipes import validated
from holdfast.serve.guard import UNFIT
from holdfast.serve.limits import Limits
from holdfast.serve.models import ServedModel
from holdfast.serve.refusals import Refusal
from holdfast.serve.uploads import Upload

if TYPE_CHECKING:
    from holdfast.predictor import Predictor

_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "a zip archive", b"PAR1": "Parquet"}
"""The starts of files that may unpack to two hundred times their size."""
_CAPS = {
    "length": "generated_tokens",
    "longest": "generated_tokens",
    "samples": "examples",
    "beam": "beam",
    "horizon": "horizon",
}
"""The limit of each value of a table ``[predict]`` on which the work of a request depends."""


def predictor_for(model: ServedModel, upload: Upload, limits: Limits, task: str = "") -> Predictor:
    """The predictor of a model, with the options of a request.

    Args:
        model: The model.
        upload: Its ``options`` are used.
        limits: The caps of the options.
        task: The task that the model must have; empty for any.

    Raises:
        Refusal: 413 where an option is beyond its limit, 422 where the model has no task or another one.
        RecipeError: The task has no such option, or the value is not allowed.
    """
    predictor = model.predictor()
    if task and predictor.task.name != task:
        raise Refusal(422, f"The model {model.name!r} is for the task {predictor.task.name!r}; expected {task!r}.")
    if upload.options:
        settings = predictor.task.answering
        table = {**settings.model_dump(mode="json"), **upload.options}
        predictor = predictor.answering(validated(type(settings), table, ""))
    for name, limit in _CAPS.items():
        value = getattr(predictor.task.answering, name, 0)
        if name in upload.options and value > getattr(limits, limit):
            raise Refusal(413, f"{name} is {value:,}; at most {getattr(limits, limit):,} is taken ({limit}).")
    return predictor


def answers(model: ServedModel, upload: Upload, limits: Limits, task: str = "") -> list[dict[str, Any]]:
    """The answers to what a client sent, in order.

    Args:
        model: The model.
        upload: The examples.
        limits: What is accepted.
        task: The task that the model must have; empty for any.

    Raises:
        Refusal: Something is beyond a limit, or does not go with the task.
        HoldfastError: The examples do not fit the model.
    """
    predictor = predictor_for(model, upload, limits, task)
    end = time.monotonic() + limits.request_seconds
    if upload.files:
        return _of_files(predictor, upload.files, limits, end)
    if upload.lines is not None:
        limits.check_examples(len(upload.lines))
        if predictor.task.name == "transcribe":  # whose lines are paths
            raise Refusal(422, f"The model {model.name!r} reads recordings, not texts: send files.")
        if not upload.lines:
            return []
        check_tokens(predictor, len(upload.lines), limits)
        return [
            {**answer, "origin": f"line {number}"}
            for number, answer in enumerate(
                _computed(predictor, predictor.task.from_lines(upload.lines), limits, end), 1
            )
        ]
    if upload.values is not None:
        values = checked_values(upload.values, limits)
        check_tokens(predictor, len(values), limits)
        return list(_computed(predictor, predictor.task.from_values(values), limits, end))
    check_tokens(predictor, getattr(predictor.task.answering, "samples", 1), limits)
    return list(_computed(predictor, predictor.read([]), limits, end))


def _computed(predictor: Predictor, examples: Any, limits: Limits, end: float) -> Iterator[dict[str, Any]]:
    """The answers to some examples; it stops between two batches when the time is over."""
    limits.check_examples(len(examples))
    for answer in predictor.answer(examples, most_steps=limits.batch_steps):
        yield answer
        if time.monotonic() > end:
            raise limits.late()


def check_tokens(predictor: Predictor, texts: int, limits: Limits) -> None:
    """Refuses to generate more tokens than one request may."""
    length = int(getattr(predictor.task.answering, "length", 0))
    if texts * length > limits.generated_tokens:
        raise Refusal(
            413,
            f"{texts} texts of up to {length} tokens are {texts * length:,} tokens; at most "
            f"{limits.generated_tokens:,} are generated (generated_tokens). Set the option length.",
        )


def _of_files(predictor: Predictor, files: Sequence[tuple[str, bytes]], limits: Limits, end: float) -> list[Any]:
    """The answers to files, which are written to a folder of their own for as long as they are read."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        paths = [_written(Path(folder) / str(place), *file) for place, file in enumerate(files)]
        inside = re.compile(rf"{re.escape(folder)}/\d+/")
        try:
            for path in paths:
                _check_file(path, predictor.task.name, limits)
            examples = predictor.read(paths)
            check_tokens(predictor, len(examples), limits)
            found = list(_computed(predictor, examples, limits, end))
        except Refusal:
            raise
        except HoldfastError as error:
            raise (Refusal(422, inside.sub("", str(error))) if isinstance(error, UNFIT) else error) from error
    return [{**answer, "origin": inside.sub("", answer["origin"])} for answer in found]


def _written(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir()
    path = folder / name
    path.write_bytes(content)
    return path


def _check_file(path: Path, task: str, limits: Limits) -> None:
    """Refuses a file that would take much more memory than it has bytes, or that names other files."""
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        start = file.read(4)
    for magic, kind in _PACKED.items():
        if start.startswith(magic):
            raise Refusal(422, f"{path.name} is {kind}, which may unpack to much; send the file unpacked.")
    if task == "transcribe" and suffix not in audio.SUFFIXES:  # a table would name files of the server
        raise Refusal(422, f"{path.name} is not a recording; expected one of {', '.join(audio.SUFFIXES)}.")
    if suffix in images.SUFFIXES:
        _check_image(path, limits)
    elif suffix in audio.SUFFIXES:
        _check_sound(path, limits)


def _check_image(path: Path, limits: Limits) -> None:
    """Refuses an image of many pixels before they are decoded; what is damaged is left to the reader."""
    pixels = images.claimed_pixels(path)
    if pixels > limits.tensor_values:
        raise Refusal(
            413, f"{path.name} has {pixels:,} pixels; at most {limits.tensor_values:,} are taken (tensor_values)."
        )


def _check_sound(path: Path, limits: Limits) -> None:
    """The same for the samples of a recording."""
    values = audio.claimed_values(path)
    if values > limits.sound_values:
        raise Refusal(
            413, f"{path.name} has {values:,} samples; at most {limits.sound_values:,} are taken (sound_values)."
        )


def checked_values(values: Any, limits: Limits) -> Any:
    """Examples from JSON as a task takes them: null is a missing number.

    Raises:
        Refusal: 413 for too many examples, or for texts that would take much memory in an array.
    """
    if isinstance(values, dict):
        return values
    limits.check_examples(len(values))
    return [_checked(value, limits) if isinstance(value, list) else value for value in values]


def _checked(value: list[Any], limits: Limits) -> Any:
    flat = value
    while flat and all(type(part) is list for part in flat):
        flat = list(chain.from_iterable(flat))
    kinds = set(map(type, flat))
    if str in kinds:
        longest = max(len(part) for part in flat if isinstance(part, str))
        if longest * len(flat) > limits.tensor_values:
            raise Refusal(
                413, f"An example has {len(flat):,} texts of up to {longest:,} characters, which is too much."
            )
    if type(None) in kinds and kinds <= {int, float, type(None)}:
        return _with_missing(value)
    return value


def _with_missing(value: Any) -> Any:
    """Nested lists with NaN for null."""
    if isinstance(value, list):
        return [_with_missing(part) for part in value]
    return np.nan if value is None else value
