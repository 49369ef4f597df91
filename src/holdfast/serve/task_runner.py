"""The tensors of a model of a task that cannot stream, computed as its predictions are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.data.encoders import SequenceEncoder
from holdfast.errors import DataError
from holdfast.files.json_values import finite
from holdfast.serve import bodies
from holdfast.serve.answering import check_tokens
from holdfast.serve.limits import Limits
from holdfast.serve.tensors import Array, TensorInfo, of_bytes

if TYPE_CHECKING:
    from holdfast.predictor import Predictor


class TaskRunner:
    """A task as tensors.

    The input is ``input`` [B, T, C], float32, with ``lengths`` [B] where the sequences differ in length; for recordings
    ``input`` [B, N], samples from -1 to 1; for all other models ``input`` [B], texts, as lines for ``holdfast
    predict``; for series, JSON objects of their columns. The output is ``answer`` [B], the JSON objects of ``holdfast
    predict``; a classifier also has ``label`` [B] and ``probabilities`` [B, labels].

    Args:
        predictor: The model.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        task = predictor.task
        encoder: Any = getattr(task, "encoder", None)
        encoder = getattr(encoder, "sequences", encoder)
        lengths = TensorInfo("lengths", "INT64", (-1,), optional=True)
        self._numbers = True
        if isinstance(encoder, SequenceEncoder):
            channels = encoder.channels - len(encoder.filling.masked)
            self.inputs: tuple[TensorInfo, ...] = (TensorInfo("input", "FP32", (-1, -1, channels)), lengths)
        elif task.name == "transcribe":
            self.inputs = (TensorInfo("input", "FP32", (-1, -1)), lengths)
        else:
            self._numbers, self.inputs = False, (TensorInfo("input", "BYTES", (-1,)),)
        self.outputs: tuple[TensorInfo, ...] = (TensorInfo("answer", "BYTES", (-1,)),)
        self._labels: tuple[str, ...] = ()
        if task.name == "classify":
            self._labels = tuple(task.encoder.labels.classes)  # type: ignore[attr-defined]
            of_labels = TensorInfo("probabilities", "FP64", (-1, len(self._labels)), labels=self._labels)
            self.outputs = (TensorInfo("label", "BYTES", (-1,)), of_labels, *self.outputs)

    def run(self, inputs: Mapping[str, Array], limits: Limits) -> dict[str, Array]:
        """As :meth:`holdfast.serve.runners.Runner.run`."""
        rows = self._rows(inputs["input"], inputs.get("lengths"))
        limits.check_examples(len(rows))
        check_tokens(self._predictor, len(rows), limits)
        answers = [{k: v for k, v in answer.items() if k != "origin"} for answer in self._answers(rows, limits)]
        texts = [json.dumps(finite(answer), ensure_ascii=False).encode("utf-8", "replace") for answer in answers]
        outputs = {"answer": of_bytes(texts, (len(texts),))}
        if not self._labels:
            return outputs
        table = [[answer["probabilities"][label] for label in self._labels] for answer in answers]
        probabilities = np.array(table, np.float64).reshape(len(answers), len(self._labels))
        labels = of_bytes([answer["label"].encode() for answer in answers], (len(answers),))
        return {"label": labels, "probabilities": probabilities, **outputs}

    def _rows(self, values: Array, lengths: Array | None) -> list[Any]:
        if not self._numbers:
            return [_decoded(value, index) for index, value in enumerate(values.tolist())]
        if lengths is None:
            return list(values)
        if len(lengths) != len(values) or ((lengths < 1) | (lengths > values.shape[1])).any():
            raise DataError(
                f"lengths is {str(lengths.tolist())[:60]}; expected {len(values)} from 1 to {values.shape[1]}."
            )
        return [row[:length] for row, length in zip(values, lengths.tolist(), strict=True)]

    def _answers(self, rows: list[Any], limits: Limits) -> Iterator[dict[str, Any]]:
        task = self._predictor.task
        if not rows:
            return
        if task.name == "forecast":
            groups = (task.from_values(_columns(row, limits)) for row in rows)
        else:
            groups = (task.from_values(rows) if self._numbers else task.from_lines(rows) for _ in range(1))
        for examples in groups:
            yield from self._predictor.answer(examples, most_steps=limits.batch_steps)


def _decoded(value: bytes, index: int) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"input[{index}] is not text in UTF-8 ({error.reason} at byte {error.start}).") from error


def _columns(text: str, limits: Limits) -> Any:
    columns = bodies.parsed(text.encode(), limits, "series")
    if not isinstance(columns, dict):
        raise DataError("A series is no JSON object; expected an object of columns.")
    return columns
