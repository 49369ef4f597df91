"""What training asks of a task (:class:`Task`), and what the way from files to answers asks (:class:`RecipeTask`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import torch
from torch import nn

from holdfast.data import Batch, Batches, Dataset, Splits
from holdfast.data.sources import Collection
from holdfast.errors import DataError, OptionError
from holdfast.settings import Settings, TrainSettings

Examples = TypeVar("Examples", bound=Collection)


@dataclass(frozen=True)
class TaskStep:
    """What a task makes of one batch."""

    loss: torch.Tensor
    """The loss to minimise, a scalar: the mean over the batch's sequences."""
    outputs: torch.Tensor
    """What the metrics read, with the batch as its first dimension: ``[B, ...]``."""
    state: Any = None
    """The model's final state: any nest of tuples, lists and dicts of tensors, or None."""


class Metrics(Protocol):
    """Measures outputs against targets, batch by batch. A fresh object is made for each stretch of batches."""

    def update(self, outputs: torch.Tensor, batch: Batch) -> None:
        """Takes in one batch: ``outputs [B, ...]``, detached, on the device of the batch."""

    def compute(self) -> dict[str, float]:
        """The metrics of the batches so far, by name. It may be asked at any time and changes nothing."""

    def state_dict(self) -> Mapping[str, Any]:
        """All that ``update`` gathered, as a nest of dicts, lists, tuples, tensors, numbers and strings."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what ``state_dict`` gave; its tensors come back on the device they were on."""


class Task(Protocol):
    """What is learned."""

    @property
    def score(self) -> str:
        """The metric, or ``"loss"``, whose value on the validation sequences decides which epoch is best."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher score is a better one."""

    def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
        """Runs the model on a batch.

        Args:
            model: The model, on the device of the batch.
            batch: The sequences and their targets.
            state: The state to start from, as a ``TaskStep`` of the batch before gave it; None for zeros.
        """

    def metrics(self) -> Metrics:
        """Fresh metrics, which have seen nothing."""


class Epochs(Protocol):
    """The batches of every epoch, as :class:`holdfast.data.Batches` gives them."""

    def __len__(self) -> int:
        """Batches an epoch."""

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch ``number`` (from 0), the first ``start`` of them passed over."""


class RecipeTask(ABC, Generic[Examples]):
    """A task from files to answers; it is also a :class:`Task`.

    Attributes:
        name: As recipes have it.
        answer_key: The entry of an answer that says it in one string.
        score: As in :class:`Task`.
        higher_is_better: As in :class:`Task`.
        settings: The ``[model]`` table of the recipe.
        answering: How it answers: the ``[predict]`` table of the recipe; without fields where there is nothing to set.
    """

    name: ClassVar[str]
    answer_key: str
    score: str
    higher_is_better: ClassVar[bool]
    settings: Any  # of the class that the task takes
    answering: Settings = Settings()

    @classmethod
    @abstractmethod
    def load(cls, recipe: Any, data_dir: Path | None) -> Splits[Examples]:
        """Reads the data of a recipe of this task, in its splits.

        Args:
            recipe: Of the task's own class.
            data_dir: A folder with local files, as :func:`holdfast.data.sets.published.locate` takes it.

        Raises:
            MissingDataError: A file is nowhere to be found.
            DataError: A file cannot be read, or there is too little to split.
        """

    @classmethod
    @abstractmethod
    def fit(cls, recipe: Any, train: Examples) -> Self:
        """The task with all that is fitted on the training examples: vocabulary, labels, scaling.

        Raises:
            DataError: There is nothing to train on.
        """

    @abstractmethod
    def build(self) -> nn.Module:
        """A model with initial values drawn from torch's random state."""

    @abstractmethod
    def encode(self, examples: Examples) -> Dataset:
        """The examples as the network reads them.

        Raises:
            DataError: They do not fit those trained on.
        """

    def batches(self, examples: Examples, training: TrainSettings | None = None, *, size: int = 256) -> Epochs:
        """The batches of examples: shuffled and cut as the settings say to train on; else in order, ``size`` each."""
        if training is None:
            return Batches(self.encode(examples), size)
        return Batches(
            self.encode(examples),
            training.batch_size,
            shuffle=True,
            seed=training.seed,
            bucket=training.bucket,
            drop_last=training.carry_state,
        )

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any, state: Any = None) -> TaskStep:
        """As :meth:`Task.loss`."""

    @abstractmethod
    def metrics(self) -> Metrics:
        """As :meth:`Task.metrics`."""

    def details(self, metrics: Any) -> str:
        """What numbers alone do not show, as text, of metrics that have seen everything."""
        return ""

    def figures(self, metrics: Any) -> dict[str, Any]:
        """What :meth:`details` shows, as values that JSON has, by name; empty where it shows no figures."""
        return {}

    @abstractmethod
    def read(self, paths: Sequence[Path]) -> Examples:
        """Reads files in the way that the training files were read; targets may be missing.

        Raises:
            DataError: A file is not there or cannot be read.
        """

    def from_lines(self, lines: Sequence[str]) -> Examples:
        """Examples without targets from lines of text.

        Raises:
            DataError: The task reads no text.
        """
        raise DataError(f"A model for the task {self.name!r} reads files, not lines of text. Name the files.")

    @abstractmethod
    def answers(self, model: nn.Module, batch: Any) -> list[dict[str, Any]]:
        """What the model says of each example: what JSON can hold, by name; ``answer_key`` is among the names."""

    def text(self, answer: Mapping[str, Any]) -> str:
        """An answer in one string."""
        return str(answer[self.answer_key])

    def plot(self, examples: Examples, answers: Sequence[Mapping[str, Any]], path: Path) -> None:
        """Draws what was asked and answered.

        Args:
            examples: What :meth:`read` gave.
            answers: What :meth:`answers` gave, in order.
            path: The picture; its ending says the format.

        Raises:
            OptionError: The task draws nothing, or the picture cannot be written.
            MissingLibraryError: matplotlib is not installed.
        """
        raise OptionError(f"A model for the task {self.name!r} draws nothing; leave out --plot.")

    @abstractmethod
    def example_inputs(self, size: int) -> tuple[Any, ...]:
        """Arguments for the model, made up: ``size`` examples of ``size`` steps, for the summary table."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain JSON that :meth:`from_dict` reads."""

    @classmethod
    @abstractmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The task that :meth:`to_dict` wrote.

        Raises:
            ModelFileError: It is not what ``to_dict`` writes.
        """
