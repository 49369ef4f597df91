"""How a person reads a task's examples, its mistakes and its metrics: the base of one class per task.

The report of a run (:mod:`holdfast.inspect.report`) and its model card are made of these plain values. So each task
says in its own folder how one of its examples looks, and what counts as a mistake; ``inspect`` knows no task's class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from holdfast.data import Examples

Array = npt.NDArray[Any]
Value = str | float | int | None

_MOST_CURVES = 8
"""Values per step that are drawn as one curve each; with more, the sequence is a picture."""


@dataclass(frozen=True, eq=False)
class Text:
    """An example that is a text."""

    text: str


@dataclass(frozen=True)
class Word:
    """A word or another step with its label.

    Attributes:
        text: The word.
        truth: Its label; empty if it is not known.
        answer: The label that the model gave it.
    """

    text: str
    truth: str
    answer: str

    @property
    def wrong(self) -> bool:
        """Whether the model's label is another one."""
        return self.truth != self.answer


@dataclass(frozen=True)
class Words:
    """An example that is a sequence of labelled words."""

    words: tuple[Word, ...]


@dataclass(frozen=True, eq=False)
class Picture:
    """An example that is an image: numbers as shades, the larger the darker.

    Attributes:
        values: [rows, columns].
        axes: What goes down, and what goes to the right.
    """

    values: Array
    axes: tuple[str, str]


@dataclass(frozen=True, eq=False)
class Line:
    """A curve.

    Attributes:
        name: What it shows.
        x: The steps or times, [N].
        y: The values, [N]; NaN for a missing one.
        kind: ``"input"``, ``"truth"`` or ``"answer"``.
    """

    name: str
    x: Array
    y: Array
    kind: str = "input"


@dataclass(frozen=True, eq=False)
class Curves:
    """An example that is a series of numbers.

    Attributes:
        lines: Its curves.
        axes: What goes to the right, and what goes up.
        band: The steps [N], and the lower and upper end [N] of the range in which the model expects the truth; None
            for a model that gives no range.
    """

    lines: tuple[Line, ...]
    axes: tuple[str, str] = ("step", "value")
    band: tuple[Array, Array, Array] | None = None


Shown = Text | Words | Picture | Curves


@dataclass(frozen=True, eq=False)
class MeasuredRow:
    """A row of a batch, with what the model computed for it.

    Attributes:
        index: The position of the example, in the order of the batches.
        error: How wrong the answer is, as :meth:`Presentation.errors` measures it.
        batch: The batch.
        place: The position of the row in the batch.
        outputs: The outputs of :class:`~holdfast.tasks.task.TaskStep` for this row, without the batch dimension.
    """

    index: int
    error: float
    batch: Any
    place: int
    outputs: Tensor


@dataclass(frozen=True, eq=False)
class Case:
    """One example with the model's answer, as a person reads it.

    Attributes:
        origin: Where the example is from.
        error: How wrong the answer is.
        wrong: Whether the answer counts as a mistake.
        truth: The right answer; empty where the example itself shows it.
        answer: The model's answer; empty as before.
        shown: The example.
        note: More about the answer, such as its probability.
    """

    origin: str
    error: float
    wrong: bool
    truth: str
    answer: str
    shown: Shown
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Numbers by name, such as those of each label.

    Attributes:
        title: What the table shows.
        head: The names of the columns.
        rows: One row per name, as wide as the head.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


class Presentation(ABC):
    """How a person reads the examples, mistakes and metrics of a fitted task.

    Attributes:
        error_name: What :meth:`errors` measures, with its unit.
        pipeline_tag: The name of the task on the Hugging Face Hub; empty where none fits.
    """

    error_name: ClassVar[str]
    pipeline_tag: str = ""

    @abstractmethod
    def errors(self, outputs: Tensor, batch: Any) -> Tensor:
        """How wrong the model's answer for each row is: the larger, the worse.

        Args:
            outputs: The outputs of :class:`~holdfast.tasks.task.TaskStep`, [B, ...].
            batch: The batch, with targets.

        Returns:
            [B]; NaN for a row without a known target.
        """

    def alike(self, examples: Any, first: int, second: int) -> bool:
        """Whether two examples show nearly the same, so that a report needs only the worse one.

        Args:
            examples: The examples that were measured, as they were read.
            first: The position of one example.
            second: The position of another one.
        """
        return False

    @abstractmethod
    def case(self, examples: Any, row: MeasuredRow) -> Case:
        """An example with the model's answer.

        Args:
            examples: The examples that were measured, as they were read.
            row: The row of the example.
        """

    def comparison(self, results: Mapping[str, float], figures: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        """The metrics of the model, and those of answers that need no model, by name.

        Args:
            results: The metrics of the model and of baselines, as the task's metrics compute them.
            figures: The result of :meth:`holdfast.tasks.RecipeTask.figures`.
        """
        return {"model": dict(results)}

    def sizes(self, examples: Any) -> dict[str, int]:
        """How many examples there are, and of what size, by unit.

        Args:
            examples: The examples of a split, as they were read.
        """
        return {"examples": len(examples)}

    def tables(self, figures: Mapping[str, Any]) -> tuple[Table, ...]:
        """The figures of each label, target or row, as tables.

        Args:
            figures: The result of :meth:`holdfast.tasks.RecipeTask.figures`.
        """
        return ()

    def token_values(self, output: Tensor, inputs: Tensor) -> tuple[str, Tensor] | None:
        """A number for each token that the network read, such as how unexpected it was; None where there is none.

        Args:
            output: The output of the network for one example, [T, ...].
            inputs: The ids that it read, [T].

        Returns:
            What the numbers are, with their unit; and the numbers [T], 0 or more, NaN for none.
        """
        return None

    def sample(self, model: nn.Module) -> str:
        """A text that the model writes, for a task whose models write texts; else empty."""
        return ""


def sizes(examples: Any) -> dict[str, int]:
    """The number of texts, or of sequences of numbers and their steps."""
    if isinstance(examples, Examples):
        return {"sequences": len(examples), "steps": int(examples.lengths.sum())}
    return {"texts": len(examples), "characters": sum(map(len, examples.inputs))}


def by_prefix(results: Mapping[str, float], names: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Metrics of a model and of baselines, which have prefixes, as one table.

    Args:
        results: The metrics, such as ``mae`` and ``mean_mae``.
        names: The name of each baseline, by its prefix.
    """
    rows: dict[str, dict[str, float]] = {"model": {}}
    for name, value in results.items():
        prefix = next((prefix for prefix in names if name.startswith(prefix)), "")
        rows.setdefault(names.get(prefix, "model"), {})[name.removeprefix(prefix)] = value
    return rows


def class_table(title: str, figures: Mapping[str, Mapping[str, Value]]) -> Table:
    """Precision, recall and F1 of each label, from :func:`holdfast.tasks.figures.class_figures` by label."""
    columns = ("precision", "recall", "f1", "count")
    rows = tuple((name, *(values[column] for column in columns)) for name, values in figures.items())
    return Table(title, ("label", *columns), rows)


def numbers(values: Array, layout: str = "rows", names: Sequence[str] = ()) -> Picture | Curves:
    """A sequence of numbers [T, C] as a person reads it: an image, a picture of many channels, or curves.

    Args:
        values: The sequence as it was read; pixels are of type uint8.
        layout: How an image became a sequence, as in ``data.layout``.
        names: The names of the channels, C; empty where they have none.
    """
    steps, channels = values.shape
    if values.dtype == np.uint8 and channels == 1:
        side = round(steps**0.5)
        if side * side == steps:
            return Picture(values.reshape(side, side), ("row", "column"))
    elif values.dtype == np.uint8:
        return Picture(values.T if layout == "columns" else values, ("row", "column"))
    if channels > _MOST_CURVES:
        return Picture(values.T[::-1], ("channel, from the last", "step"))
    labels = names or ["value"] if channels == 1 else names or [f"value {k}" for k in range(channels)]
    x = np.arange(steps)
    return Curves(tuple(Line(name, x, values[:, k].astype(np.float64)) for k, name in enumerate(labels)))
