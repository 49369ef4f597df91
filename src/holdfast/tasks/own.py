"""Losses and metrics of your own (:mod:`holdfast.register`) in a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from holdfast import register
from holdfast.data.batch import weighted_mean
from holdfast.errors import OptionError

if TYPE_CHECKING:
    from holdfast.data import Batch
    from holdfast.tasks.task import Metrics

View = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def own_loss(name: str, outputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of a registered loss over a batch, a scalar.

    Args:
        name: The name of the loss.
        outputs: What it compares, [B, ...].
        targets: With what, [B, ...].
        weights: The weight of each row in the mean, [B]; None for equal weights.

    Raises:
        OptionError: There is no such loss, or it does not give a number per row.
    """
    losses = register.find("loss", name)(outputs, targets)
    if not isinstance(losses, Tensor) or losses.shape != (len(outputs),):
        got = f"shape {tuple(losses.shape)}" if isinstance(losses, Tensor) else type(losses).__name__
        raise OptionError(f"The loss {name!r} returned {got}; expected one number per sequence, [{len(outputs)}].")
    return weighted_mean(losses, weights)


def with_own(metrics: Any, names: Sequence[str], view: View | None = None) -> Any:
    """The metrics of a task, and registered ones beside them.

    Args:
        metrics: The task's.
        names: The names of registered metrics.
        view: What these see of the outputs and targets of a batch; None for both as they are.
    """
    return WithOwn(metrics, names, view or _as_they_are) if names else metrics


def _as_they_are(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    return outputs, targets


class WithOwn:
    """The metrics of a task, and your own. It has the other attributes of the task's metrics too.

    A metric of your own is computed from all outputs at once, so they are kept in memory until then.
    """

    def __init__(self, metrics: Metrics, names: Sequence[str], view: View) -> None:
        self._metrics, self._names, self._view = metrics, list(names), view
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []

    def update(self, outputs: Tensor, batch: Batch) -> None:
        """Adds one batch; of outputs per step, the steps within the lengths."""
        self._metrics.update(outputs, batch)
        outputs, targets = self._view(outputs, batch.known_targets)
        if targets.ndim > 1 and batch.lengths is not None and outputs.shape[:2] == targets.shape[:2]:
            within = torch.arange(targets.shape[1], device=targets.device) < batch.lengths[:, None]
            outputs, targets = outputs[within], targets[within]
        self._outputs.append(outputs.cpu())
        self._targets.append(targets.cpu())

    def compute(self) -> dict[str, float]:
        """The task's metrics, then your own; not a number where nothing was added."""
        values = dict(self._metrics.compute())
        for name in self._names:
            values[name] = float("nan")
            if self._outputs:
                function = register.find("metric", name)
                values[name] = float(function(torch.cat(self._outputs), torch.cat(self._targets)))
        return values

    def state_dict(self) -> dict[str, Any]:
        """Everything that was added."""
        return {"metrics": dict(self._metrics.state_dict()), "outputs": [*self._outputs], "targets": [*self._targets]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        self._metrics.load_state_dict(state["metrics"])
        self._outputs, self._targets = [*state["outputs"]], [*state["targets"]]

    def add_state(self, state: Mapping[str, Any]) -> None:
        """Adds what other metrics collected."""
        self._metrics.add_state(state["metrics"])
        self._outputs += state["outputs"]
        self._targets += state["targets"]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._metrics, name)
