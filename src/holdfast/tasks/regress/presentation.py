"""How a person reads what a regressor reads and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from holdfast.data import Examples
from holdfast.tasks.presentation import (
    Case,
    Curves,
    Line,
    MeasuredRow,
    Presentation,
    Shown,
    Table,
    Text,
    by_prefix,
    numbers,
    sizes,
)

if TYPE_CHECKING:
    from holdfast.data import Batch
    from holdfast.tasks.regress.task import RegressTask

BASELINES = {"mean_": "training mean", "repeat_last_": "repeat last"}
"""The predictions without a model, by the prefix of their metrics."""


class RegressPresentation(Presentation):
    """The worst mistake has the largest absolute error, in standard deviations of the training targets."""

    error_name = "absolute error (standard deviations of the target)"

    def __init__(self, task: RegressTask) -> None:
        self._task = task
        self._middle = task.quantiles.index(0.5)

    def sizes(self, examples: Any) -> dict[str, int]:
        """The number of texts, or of sequences and their steps."""
        return sizes(examples)

    def errors(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The mean absolute error of the known targets of each row."""
        targets = self._task.encoder.targets
        actual = targets.restored(batch.known_targets[..., None])[..., 0]
        std = torch.tensor(targets.scaling.std, dtype=torch.float64, device=actual.device)
        errors = (outputs[..., self._middle].to(actual) - actual).abs() / std
        return errors.flatten(1).nanmean(1)

    def case(self, examples: Any, row: MeasuredRow) -> Case:
        """The sequence or text with its targets and the predictions; with targets per step, both as curves."""
        origin, names = examples.origins[row.index], self._task.encoder.targets.names
        actual = np.asarray(examples.targets[row.index], dtype=np.float64)
        predicted = row.outputs[..., self._middle].double().cpu().numpy()
        if self._task.per_step:
            return Case(origin, row.error, True, "", "", self._curves(actual, row))
        truth, answer = (
            ", ".join(_value(name, value, len(names)) for name, value in zip(names, np.ravel(values), strict=True))
            for values in (actual, predicted)
        )
        return Case(origin, row.error, truth != answer, truth, answer, _shown(examples, row.index, self._layout))

    @property
    def _layout(self) -> str:
        return self._task.encoder.settings.layout

    def _curves(self, actual: Any, row: MeasuredRow) -> Curves:
        """The first target over the steps."""
        steps = np.arange(len(actual))
        outputs = row.outputs[: len(actual), 0].double().cpu().numpy()
        truth = actual.reshape(len(actual), -1)[:, 0]
        several = outputs.shape[-1] > 1
        return Curves(
            (Line("truth", steps, truth, "truth"), Line("prediction", steps, outputs[:, self._middle], "answer")),
            ("step", self._task.encoder.targets.names[0]),
            (steps, outputs[:, 0], outputs[:, -1]) if several else None,
        )

    def comparison(self, results: Mapping[str, float], figures: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        """The errors of the model and of predictions without a model."""
        return by_prefix(results, BASELINES)

    def tables(self, figures: Mapping[str, Any]) -> tuple[Table, ...]:
        """The errors of each target."""
        kinds = ("mae", "rmse", "r2")
        labels = {"model": "model", **{prefix.rstrip("_"): name for prefix, name in BASELINES.items()}}
        rows = [
            (name, label, *(values[key][kind] for kind in kinds))
            for name, values in figures["targets"].items()
            for key, label in labels.items()
            if key in values
        ]
        return (Table("Each target", ("target", "prediction", *kinds), tuple(rows)),)


def _value(name: str, value: float, count: int) -> str:
    return f"{value:.4g}" if count == 1 else f"{name} {value:.4g}"


def _shown(examples: Any, index: int, layout: str) -> Shown:
    if isinstance(examples, Examples):
        return numbers(examples.inputs[index], layout, examples.columns)
    return Text(examples.inputs[index])
