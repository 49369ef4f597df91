"""What can watch training: :class:`Listener`. The history and the progress that a person sees are listeners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.tasks.task import RecipeTask
    from holdfast.training.state import Training


@dataclass(frozen=True)
class Plan:
    """The size of a run, known when training begins."""

    epochs: int
    """Epochs of the whole run; the last one may be cut short."""
    batches: int
    """Batches per epoch."""
    updates: int
    """Updates of the whole run."""
    done: int
    """Updates that were done before the run was stopped and resumed."""
    score: str
    """The metric that decides which epoch is best."""


class Listener:
    """Watches training. Subclass it, and override the methods that you need; these do nothing.

    A listener must not change the model or draw random numbers, or a resumed run would differ from an uninterrupted
    one. An exception in a listener stops training; the last checkpoint stays.

    Example:
        >>> class Losses(Listener):
        ...     def epoch(self, row):
        ...         print(row["epoch"], row["train"]["loss"])
        >>> fit(model, task, batches, None, settings, listeners=[Losses()])
    """

    def data(self, task: RecipeTask[Any], train: Any, validation: Any) -> None:
        """The data of a run, before training begins; only where the task of a recipe or an estimator is learned.

        Args:
            task: The task, fitted on the training examples.
            train: The training examples, as they were read.
            validation: The validation examples; None if there are none.
        """

    def begin(self, plan: Plan) -> None:
        """Training begins, or resumes."""

    def note(self, text: str) -> None:
        """A sentence for the person, before training begins: what was chosen where the recipe says ``auto``."""

    def update(self, training: Training, sequences: int) -> None:
        """An update on a batch of ``sequences`` is done. It is called often: return fast."""

    def log(self, row: dict[str, Any]) -> None:
        """A row of the history for the updates since the last such row; only with ``log_every``."""

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch is done; ``row`` is its row of the history (:mod:`holdfast.training.history`), with NaN as it is."""

    def end(self) -> None:
        """Training has ended, also after an error or Ctrl-C. Otherwise the model has the weights that are kept."""
