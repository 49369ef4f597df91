"""What scoring many files needs of a task; a base of the tasks, which override what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from holdfast.data.pieces import Source
from holdfast.data.pieces.whole import WholeSource
from holdfast.data.readers import tables
from holdfast.data.readers.table import IN_MEMORY, Table

if TYPE_CHECKING:
    import polars


class Scored:
    """Inputs in pieces, and answers as the columns of a table.

    Attributes:
        part_rows: The number of answers that scoring writes at once, a multiple of 256; fewer for slow answers.
        several_rows: Whether an answer is several rows of a table; its columns then hold lists, one value per row.
    """

    part_rows: ClassVar[int] = 2**16
    several_rows: ClassVar[bool] = False

    def sources(self, paths: Sequence[Path], aside: Sequence[str] = ()) -> list[Source]:
        """The examples in files, in the order of :meth:`RecipeTask.read`, in pieces where the kind of file allows it.

        Args:
            paths: Files and folders.
            aside: Columns of tables that are no inputs, unless the recipe names them.

        Raises:
            MissingDataError: A path does not exist.
            DataError: A file cannot be read.
        """
        task: Any = self
        return [WholeSource(", ".join(map(str, paths)), lambda: task.read(paths))]

    @property
    def grouped(self) -> bool:
        """Whether an example is several rows of a table, such as a series."""
        return False

    def from_frame(self, frame: polars.DataFrame, aside: Sequence[str] = ()) -> Any:
        """Examples without targets from a table in memory, with the columns of the task's files; here its ``text``.

        Args:
            frame: The table.
            aside: Columns that are no inputs, unless the recipe names them.

        Raises:
            DataError: A column is missing, or has other values than the task reads.
        """
        task: Any = self
        return task.from_lines(tables.texts(Table(IN_MEMORY, frame), "text"))

    def specimen(self) -> Any:
        """An example, for the names and types of its answer.

        Raises:
            DataError: The task has none.
        """
        task: Any = self
        return task.from_lines(["a"])

    def as_rows(self, answers: polars.DataFrame, examples: Any) -> polars.DataFrame:
        """Answers as the rows of a table; where an example is several rows of a table, with its id.

        Args:
            answers: The columns of :meth:`answer_columns`, one row per example.
            examples: The result of :meth:`from_frame`.
        """
        return self.exploded(answers)

    def exploded(self, answers: polars.DataFrame) -> polars.DataFrame:
        """Answers with the rows of a table, where ``several_rows`` says that an answer is several."""
        if not self.several_rows:
            return answers
        import polars

        return answers.explode([each.name for each in answers if isinstance(each.dtype, polars.List)])

    def answer_columns(self, model: nn.Module, batch: Any) -> Mapping[str, Sequence[Any]]:
        """The answers for a batch as columns of a table, with the values of :meth:`RecipeTask.answers`.

        Returns:
            By name the value of each example, B. The names are the same for every batch.
        """
        task: Any = self
        answers = task.answers(model, batch)
        return {name: [answer[name] for answer in answers] for name in answers[0]}


def quantile_column(name: str, quantile: float) -> str:
    """The column of a quantile: ``NAME-lo-80`` and ``NAME-hi-80`` for 0.1 and 0.9, the ends of the 80 % interval.

    Args:
        name: The target.
        quantile: Above 0 and below 1; 0.5 is the prediction itself, the column ``NAME``.
    """
    level = round(100 * abs(2 * quantile - 1), 6)
    return name if not level else f"{name}-{'lo' if quantile < 0.5 else 'hi'}-{level:g}"


def by_target(answers: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Answers with ``values`` and perhaps ``quantiles`` by target, as one column per target and quantile."""
    columns: dict[str, list[Any]] = {}
    for name in answers[0]["values"]:
        columns[name] = [answer["values"][name] for answer in answers]
        for level in answers[0].get("quantiles", {}).get(name, {}):
            if float(level) != 0.5:
                column = quantile_column(name, float(level))
                columns[column] = [answer["quantiles"][name][level] for answer in answers]
    return columns
