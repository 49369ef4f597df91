"""The interface of a task for training (:class:`Task`), and from files to answers (:class:`RecipeTask`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar, cast

import torch
from torch import nn

from holdfast.data import Batch, Batches, Dataset, Splits, Weighted
from holdfast.data.defaults import batch_size
from holdfast.data.sources import Collection
from holdfast.errors import DataError, OptionError
from holdfast.layers.chain import Chain, HasChain
from holdfast.layers.forms import Form, of_chain
from holdfast.settings import Settings, TrainSettings
from holdfast.tasks.epochs import SizedEpochs
from holdfast.tasks.excerpts import Excerpts
from holdfast.tasks.interface import Interface
from holdfast.tasks.network_call import NetworkCall
from holdfast.tasks.presentation import Presentation
from holdfast.tasks.saved import SavedTask
from holdfast.tasks.scored import Scored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Examples = TypeVar("Examples", bound=Collection)


@dataclass(frozen=True)
class TaskStep:
    """The result of a task for one batch."""

    loss: torch.Tensor
    """The loss to minimise, a scalar: the mean over the batch's sequences or targets, each times its weight."""
    outputs: torch.Tensor
    """The input of the metrics, with the batch as its first dimension: ``[B, ...]``."""
    state: Any = None
    """The model's final state: a tensor, nested tuples, lists and dicts of tensors, or None."""
    amount: int | None = None
    """The number of values that the loss is the mean of, such as known targets; None for the batch's sequences."""


class Metrics(Protocol):
    """Measures outputs against targets, batch by batch. Each epoch and each evaluation has a new object."""

    def update(self, outputs: torch.Tensor, batch: Batch) -> None:
        """Adds one batch: ``outputs [B, ...]``, detached, on the device of the batch."""

    def compute(self) -> dict[str, float]:
        """The metrics of the batches so far, by name. May be called at any time; changes nothing."""

    def state_dict(self) -> Mapping[str, Any]:
        """Everything that ``update`` collected, as nested dicts, lists, tuples, tensors, numbers and strings."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned; its tensors are on the device they were on."""

    def add_state(self, state: Mapping[str, Any]) -> None:
        """Adds what the ``state_dict`` of other metrics of the same kind returned, as if their batches came next."""


class Task(Protocol):
    """What training needs of a task."""

    @property
    def score(self) -> str:
        """The metric, or ``"loss"``, whose value on the validation sequences decides which epoch is best."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher score is better."""

    def loss(self, model: nn.Module, batch: Batch, state: Any = None) -> TaskStep:
        """Runs the model on a batch.

        Args:
            model: The model, on the device of the batch.
            batch: The sequences and their targets.
            state: The initial state, from the ``TaskStep`` of the previous batch; None for zeros.
        """

    def metrics(self) -> Metrics:
        """New metrics, without any batch."""


class RecipeTask(NetworkCall, Excerpts, Scored, ABC, Generic[Examples]):
    """A task from files to answers. It is also a :class:`Task`.

    Attributes:
        name: The name in recipes.
        answer_key: The entry of an answer that holds the answer itself.
        score: As in :class:`Task`.
        higher_is_better: As in :class:`Task`.
        settings: The ``[model]`` table of the recipe.
        answering: The ``[predict]`` table of the recipe; without fields if there is nothing to set.
        saved: The description in a model file; its fields are the arguments of the constructor.
    """

    name: ClassVar[str]
    saved: ClassVar[type[SavedTask]]
    answer_key: str
    score: str
    higher_is_better: ClassVar[bool]
    settings: Any
    answering: Settings = Settings()

    @classmethod
    @abstractmethod
    def load(cls, recipe: Any, data_dir: Path | None) -> Splits[Examples]:
        """Reads the data of a recipe of this task, in its splits.

        Args:
            recipe: A recipe of the task's own class.
            data_dir: A folder with local files; see :func:`holdfast.data.sets.published.locate`.

        Raises:
            MissingDataError: A file does not exist.
            DataError: A file cannot be read, or there are too few examples to split.
        """

    @classmethod
    @abstractmethod
    def fit(cls, recipe: Any, train: Examples) -> Self:
        """The task with everything that is fitted on the training examples: vocabulary, labels, scaling.

        Args:
            recipe: The recipe of this task.
            train: The training examples.

        Raises:
            DataError: There are no training examples.
        """

    @property
    def choices(self) -> dict[str, Any]:
        """The values that were chosen for fields of ``[data]`` that say ``auto``, by field; ``validation`` apart."""
        return {}

    @abstractmethod
    def build(self) -> nn.Module:
        """A new model with random initial values from torch's random state."""

    def chain(self, model: nn.Module) -> Chain:
        """The description of a model, from the numbers or ids of a file to its scores; part of every model file."""
        return cast(HasChain, model).chain()

    def exports(self, model: nn.Module, *, streaming: bool = False) -> dict[str, Form]:
        """The forms of a model for other software, by name; the name is ``""`` if there is only one.

        Args:
            model: The model.
            streaming: Give the form that takes a few steps and a state, and returns the state after them.

        Raises:
            ConversionError: The model has no such form, or cannot stream.
        """
        return {"": of_chain(model, self.chain(model), streaming=streaming)}

    def interface(self, examples: Examples | None = None, *, alone: bool = True) -> Interface:
        """What a person gives a model of this task and gets from it, for a page.

        Args:
            examples: Some to begin with; None for none.
            alone: Whether the page runs the model itself; otherwise it asks a server.

        Raises:
            OptionError: No page can ask for such an input, or show such an answer.
        """
        raise OptionError(
            f"No page runs a model of the task {self.name!r}; it runs models that classify, regress, tag, forecast or "
            "generate."
        )

    @abstractmethod
    def encode(self, examples: Examples) -> Dataset:
        """The examples as the network reads them.

        Raises:
            DataError: The examples do not fit the training examples.
        """

    def weighted(self, examples: Examples) -> Dataset:
        """The examples as the network reads them, with their weights in the loss."""
        dataset = self.encode(examples)
        return dataset if examples.weights is None else Weighted(dataset, examples.weights)

    def batches(self, examples: Examples, training: TrainSettings | None = None, *, size: int = 256) -> SizedEpochs:
        """The batches of examples: to train on, shuffled and cut by the settings; else in order, ``size`` each.

        Where ``batch_size`` of the settings is ``auto``, it depends on the number of examples
        (:func:`holdfast.data.defaults.batch_size`).

        Args:
            examples: Examples of :meth:`load`, :meth:`read`, :meth:`from_lines` or :meth:`from_values`.
            training: The table ``[train]`` to train by; None for batches in order.
            size: Examples per batch, without ``training``.
        """
        dataset = self.weighted(examples)
        if training is None:
            return Batches(dataset, size)
        return Batches(
            dataset,
            batch_size(training.batch_size, len(examples)),
            shuffle=True,
            seed=training.seed,
            bucket=training.bucket,
            drop_last=training.carry_state,
        )

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any, state: Any = None) -> TaskStep:
        """As :meth:`Task.loss`.

        Args:
            model: The network, on the device of the batch.
            batch: A batch of :meth:`batches`.
            state: The initial state, from the batch before it; None for zeros.
        """

    @abstractmethod
    def metrics(self) -> Metrics:
        """As :meth:`Task.metrics`."""

    def details(self, metrics: Any) -> str:
        """Details for a person to read, as text, from metrics of all batches."""
        return ""

    def figures(self, metrics: Any) -> dict[str, Any]:
        """The numbers of :meth:`details` as JSON values, by name; empty if it shows none.

        Args:
            metrics: The metrics of this task after all batches.
        """
        return {}

    @property
    @abstractmethod
    def presentation(self) -> Presentation:
        """How a person reads the task's examples, mistakes and metrics: for reports and model cards."""

    @abstractmethod
    def read(self, paths: Sequence[Path]) -> Examples:
        """Reads files with the settings of the training files; targets may be missing.

        Args:
            paths: Files or folders.

        Raises:
            DataError: A file does not exist or cannot be read.
        """

    def from_lines(self, lines: Sequence[str]) -> Examples:
        """Examples without targets from lines of text.

        Raises:
            DataError: The task reads no text.
        """
        raise DataError(f"A model for the task {self.name!r} reads files, not lines of text. Name the files.")

    @abstractmethod
    def from_values(self, values: Any) -> Examples:
        """Examples without targets from values in memory: numbers, texts, lists, arrays. Each task says what it takes.

        Raises:
            DataError: A value does not fit.
        """

    @abstractmethod
    def answers(self, model: nn.Module, batch: Any) -> list[dict[str, Any]]:
        """The answer for each example: JSON values by name, with ``answer_key`` among the names.

        Args:
            model: The trained network, in evaluation mode.
            batch: A batch of :meth:`batches`.
        """

    def text(self, answer: Mapping[str, Any]) -> str:
        """An answer as one string."""
        return str(answer[self.answer_key])

    def texts(self, answers: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        """Answers as strings, in order.

        Args:
            answers: Answers of :meth:`answers`.
        """
        return map(self.text, answers)

    def plot(self, examples: Examples, answers: Sequence[Mapping[str, Any]]) -> Figure:
        """Draws examples and answers.

        Args:
            examples: The result of :meth:`read`.
            answers: The results of :meth:`answers`, in order.

        Raises:
            OptionError: The task has no picture of its answers.
        """
        raise OptionError(
            f"The answers of a model for the task {self.name!r} are not drawn; leave out --plot. `holdfast plot RUN` "
            "lists its figures."
        )

    @abstractmethod
    def example_inputs(self, size: int) -> tuple[Any, ...]:
        """Example arguments for the model: ``size`` examples of ``size`` steps, for the summary table."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON document that :meth:`from_dict` reads."""
        fields = {name: getattr(self, name) for name in self.saved.model_fields}
        return self.saved(**fields).model_dump(mode="json", by_alias=True)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The task that :meth:`to_dict` described.

        Raises:
            ValueError: The document is damaged; :func:`holdfast.tasks.model_file.load` turns this into one message.
        """
        saved = cls.saved.model_validate(document)
        return cls(**{name: getattr(saved, name) for name in cls.saved.model_fields})
