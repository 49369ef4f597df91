"""What is drawn: a trained model with its run, labelled examples, and what was computed from them, each only once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from holdfast.errors import OptionError, did_you_mean
from holdfast.inspect.layer_recording import LayerRecording
from holdfast.inspect.recording import Recording, record
from holdfast.predictor import Predictor

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Choice:
    """What to look at inside a model.

    Attributes:
        example: The number of the example, from 0; of a text that is one long sequence, the number of the part.
        layer: The name of the layer, such as ``"recurrent.l0"``; empty for the last one that reads forwards.
        unit: The number of a unit, from 0; None for all units, or for the unit that changes most.
    """

    example: int = 0
    layer: str = ""
    unit: int | None = None


@dataclass(frozen=True, eq=False)
class Judged:
    """Labels with the probabilities that a model gave them.

    Attributes:
        labels: The K labels.
        true: The number of the right label, [N]; with several labels per example [N, K], 0 or 1.
        probabilities: [N, K].
    """

    labels: list[str]
    true: Array
    probabilities: Array

    @property
    def predicted(self) -> Array:
        """The number of the most probable label, [N]."""
        return np.asarray(self.probabilities.argmax(1))


class Subject:
    """A trained model and its labelled examples.

    Args:
        predictor: The model.
        examples: Reads the examples; it is called when a figure needs them.
        rows: The rows of the history of its run; None for a model without a run.
        choice: What to look at inside.
    """

    def __init__(
        self,
        predictor: Predictor,
        examples: Callable[[], Any],
        rows: list[dict[str, Any]] | None = None,
        choice: Choice | None = None,
    ) -> None:
        self.predictor, self.rows, self.choice = predictor, rows, choice or Choice()
        self._read = examples
        self._recordings: dict[int, tuple[Any, Recording]] = {}

    @property
    def task(self) -> Any:
        """The task of the model."""
        return self.predictor.task

    @cached_property
    def examples(self) -> Any:
        """The labelled examples."""
        return self._read()

    def excerpt(self, steps: int) -> Any:
        """The example to look at; of a text that is one long sequence, a part with this number of steps."""
        return self.task.excerpt(self.examples, self.choice.example, steps)

    def recording(self, steps: int) -> tuple[Any, Recording]:
        """The example to look at, and what the layers computed for it.

        Args:
            steps: The most steps of the example to run.
        """
        if steps not in self._recordings:
            example = self.excerpt(steps)
            self._recordings[steps] = example, record(self.predictor, example)
        return self._recordings[steps]

    def layer(self, steps: int) -> tuple[str, LayerRecording, list[str] | None]:
        """The layer to look at: its name, its recording, and the token of each of its steps if there are any.

        Raises:
            OptionError: There is no layer of the chosen name.
        """
        example, recording = self.recording(steps)
        tokens = self.task.step_tokens(example)
        layers = recording.layers
        name = self.choice.layer
        if name and name not in layers:
            raise OptionError(f"The model has no layer {name!r}: {did_you_mean(name, layers)}")
        if not name:
            forwards = [each for each, layer in layers.items() if not layer.reverse] or list(layers)
            # A translator's decoder and a tagger's spelling have steps other than those of the example.
            reading = [each for each in forwards if tokens is None or layers[each].output.shape[1] == len(tokens)]
            name = (reading or forwards)[-1]
        layer = layers[name]
        fits = tokens is not None and len(tokens) == layer.output.shape[1]
        return name, layer, tokens if fits else None

    def unit_of(self, values: Array) -> int:
        """The chosen unit of values [T, H], or the one that changes most.

        Raises:
            OptionError: There is no such unit.
        """
        unit, count = self.choice.unit, values.shape[1]
        if unit is None:
            return int(values.std(0).argmax())
        if not 0 <= unit < count:
            raise OptionError(f"There is no unit {unit}; the layer has the units 0 to {count - 1}.")
        return unit

    @cached_property
    def judged(self) -> Judged:
        """The probabilities of the labels of all examples, or of all their steps with a known label.

        Raises:
            DataError: The examples have no labels.
        """
        task = self.task
        labels = list((task.encoder.tags if task.name == "tag" else task.encoder.labels).classes)
        per_step = task.name == "tag"
        true, probabilities = [], []

        def judge(model: torch.nn.Module, batch: Any) -> tuple[Any, Any]:
            return task.probabilities(model, batch), batch.known_targets

        for rows, targets in self.predictor.compute(self.examples, judge):
            if not per_step:
                true.append(targets.cpu().numpy())
                probabilities.append(rows.cpu().numpy())
                continue
            for row, right in zip(rows, targets, strict=True):
                known = right[: len(row)] >= 0
                true.append(right[: len(row)][known].cpu().numpy())
                probabilities.append(row[known].cpu().numpy())
        return Judged(labels, np.concatenate(true), np.concatenate(probabilities))
