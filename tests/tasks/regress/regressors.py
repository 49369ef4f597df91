"""Small tasks and models of regression that the tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from holdfast.data import Examples
from holdfast.settings import TrainSettings
from holdfast.tasks import RegressTask
from holdfast.tasks.regress.settings import RegressData, RegressModel, RegressRecipe


def examples(*, targets: int = 1, per_step: bool = False, unequal: bool = False) -> Examples:
    """Twelve sequences of two channels, and targets that are not scaled."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 9, 12) if unequal else np.full(12, 6)
    inputs = [rng.normal(3, 2, (int(n), 2)) for n in lengths]
    sums = [np.cumsum(x, 0).sum(1) for x in inputs]
    several = [np.stack([100 + total, *([-0.01 * total] * (targets - 1))], -1) for total in sums]
    rows: list[Any] = [each if targets > 1 else each[:, 0] for each in several]
    values = rows if per_step else [row[-1] for row in rows]
    return Examples(inputs, values, [f"row {k}" for k in range(12)], per_step=per_step)


def task(
    examples: Examples, *, scaling: str = "standard", data: Any = None, train: Any = None, **model: Any
) -> RegressTask:
    """A task fitted on examples."""
    recipe = RegressRecipe(
        name="x",
        data=RegressData(scaling=scaling, **(data or {})),
        model=RegressModel(**{"hidden_size": 8, "head": "last_state", "bidirectional": False, **model}),
        train=TrainSettings(**(train or {})),
    )
    return RegressTask.fit(recipe, examples)


def network(of: RegressTask) -> Any:
    """A model of random weights, in evaluation mode."""
    torch.manual_seed(0)
    model = of.build()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model.eval()


def answers(of: RegressTask, model: Any, given: Examples) -> list[dict[str, Any]]:
    """The answers for examples, five at a time."""
    with torch.inference_mode():
        return [
            answer for batch in of.batches(given.unlabelled(), size=5).epoch(0) for answer in of.answers(model, batch)
        ]
