"""From examples to a trained model: what the command line and the estimators share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from holdfast.data import defaults
from holdfast.data.disk.files import store_of
from holdfast.settings import Recipe
from holdfast.tasks import TASKS, RecipeTask
from holdfast.training.determinism import reproducible, seed_everything
from holdfast.training.history import History
from holdfast.training.listener import Listener
from holdfast.training.loop import fit
from holdfast.training.processes import joined
from holdfast.training.run_directory import RunDirectory


@dataclass(frozen=True)
class Learned:
    """The result of :func:`learn`.

    Attributes:
        task: The task, fitted on the training examples.
        model: The model with the weights of the best epoch, on the device of the settings.
        history: The rows of the history.
        recipe: The recipe, with what was chosen where it said ``auto``.
    """

    task: RecipeTask[Any]
    model: nn.Module
    history: History
    recipe: Recipe


def learn(
    recipe: Recipe,
    train: Any,
    validation: Any = None,
    *,
    start: tuple[RecipeTask[Any], nn.Module] | None = None,
    run: RunDirectory | None = None,
    listeners: Sequence[Listener] = (),
) -> Learned:
    """Fits the task of a recipe to examples, builds its model and trains it.

    The same recipe, examples, thread count and engine give the same bits. The global random generators are seeded.

    Args:
        recipe: The task, the model and how to train; its sources of data are not read.
        train: The training examples, as the task takes them.
        validation: The examples that decide which epoch is best; None to keep the latest weights.
        start: A fitted task and its model, which is trained further and changed; None for new ones.
        run: The folder for history and checkpoints, as :func:`holdfast.training.fit` takes it.
        listeners: They watch training.

    Raises:
        HoldfastError: The examples or the recipe cannot be used; the message says why.
        TrainingInterrupted: Ctrl-C was pressed.
    """
    settings = recipe.train
    with joined() as processes, reproducible(settings.threads):
        store = store_of(train)
        if run is not None and store is not None:
            processes.in_turn(lambda: run.settle_content(store.digest, write=processes.first))
        if start is None:
            task = TASKS[recipe.task].fit(_without_storage(recipe), train)
            seed_everything(settings.seed)
            model = task.build()
        else:
            task, model = start
        measured = None if validation is None else task.batches(validation)
        batches = task.batches(train, settings)
        resolved = defaults.resolve_recipe(
            recipe,
            batches=len(batches),
            batch_size=batches.batch_size,
            validated=measured is not None,
            data={**task.choices, "storage": "memory" if store is None else "disk"},
            model=task.settings,
            processes=processes.size,
        )
        if run is not None and processes.first:
            run.store_recipe(resolved.model_dump(mode="json"))
        note = defaults.explain_choices(recipe, resolved, examples=len(train), batches=len(batches))
        for listener in listeners if processes.first else ():
            if note:
                listener.note(note)
            listener.data(task, train, validation)
        history = fit(model, task, batches, measured, resolved.train, run=run, listeners=listeners)
    return Learned(task, model, history, resolved)


def _without_storage(recipe: Recipe) -> Recipe:
    """The recipe without the place of its data, which no model file remembers."""
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"storage": "auto"})})
