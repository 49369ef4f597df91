"""What can watch training: :class:`Listener`. The history and the progress that a person sees are listeners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.tasks.task import RecipeTask
    from holdfast.training.state import Training


@dataclass(frozen=True)
class Plan:
    """The size of a run, known when training begins.

    Attributes:
        epochs: Epochs of the whole run; the last one may be cut short.
        batches: Batches per epoch.
        updates: Updates of the whole run.
        done: Updates that were done before the run was stopped and resumed.
        score: The metric that decides which epoch is best.
    """

    epochs: int
    batches: int
    updates: int
    done: int
    score: str


class Listener:
    """Watches training. Subclass it, and override the methods that you need; these do nothing.

    A listener must not change the model or draw random numbers, or a resumed run would differ from an uninterrupted
    one. An exception in a listener stops training; the last checkpoint stays.

    Example:
        >>> class Epochs(Listener):
        ...     def epoch(self, row):
        ...         print("epoch", row["epoch"])
        >>> import numpy as np
        >>> from holdfast import SequenceClassifier
        >>> X = np.random.default_rng(0).normal(size=(20, 5, 2))
        >>> classifier = SequenceClassifier(epochs=2, callbacks=[Epochs()]).fit(X, X[:, 0, 0] > 0)
        epoch 1
        epoch 2
    """

    def data(self, task: RecipeTask[Any], train: Any, validation: Any) -> None:
        """The data of a run, before training begins; only where the task of a recipe or an estimator is learned.

        Args:
            task: The task, fitted on the training examples.
            train: The training examples, as they were read.
            validation: The validation examples; None if there are none.
        """

    def begin(self, plan: Plan) -> None:
        """Training begins, or resumes.

        Args:
            plan: The size of the run.
        """

    def note(self, text: str) -> None:
        """A sentence for the person, before training begins: what was chosen where the recipe says ``auto``.

        Args:
            text: The sentence.
        """

    def update(self, training: Training, sequences: int) -> None:
        """An update on a batch of ``sequences`` is done. It is called often: return fast.

        Args:
            training: The state of the training: model, optimiser, number of updates.
            sequences: Rows of the batch.
        """

    def log(self, row: dict[str, Any]) -> None:
        """A row of the history for the updates since the last such row; only with ``log_every``."""

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch is done; ``row`` is its row of the history (:mod:`holdfast.training.history`), with NaN as it is."""

    def end(self) -> None:
        """Training has ended, also after an error or Ctrl-C. Otherwise the model has the weights that are kept."""
