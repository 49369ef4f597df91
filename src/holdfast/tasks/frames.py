"""Sequences and texts from tables in memory, for the tasks that read both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.data.encoders import SequenceEncoder
from holdfast.data.examples import Examples
from holdfast.data.pieces import sequences, texts
from holdfast.data.readers.table import IN_MEMORY, Table
from holdfast.data.targets import Targets
from holdfast.tasks.scored import Scored
from holdfast.tasks.values import sequences_in_memory

if TYPE_CHECKING:
    import polars


class FromFrames(Scored):
    """A task that reads sequences of numbers or texts; its ``encoder`` says which.

    Attributes:
        encoder: What was fitted on the training split, with the settings for reading files.
    """

    encoder: Any

    @property
    def reads(self) -> Targets:
        """What the readers take targets for."""
        return "labels"

    @property
    def grouped(self) -> bool:
        """Whether a sequence is several rows of a table."""
        return isinstance(self.encoder, SequenceEncoder) and bool(self.encoder.settings.id_column)

    def from_frame(self, frame: polars.DataFrame, aside: Sequence[str] = ()) -> Any:
        """As :meth:`Scored.from_frame`: ``Examples`` of numbers, or ``Records`` of texts."""
        if not isinstance(self.encoder, SequenceEncoder):
            return texts.of_table(Table(IN_MEMORY, frame), self.encoder.settings)
        return sequences.of_frame(frame, self.encoder.settings, self.reads, aside)

    def specimen(self) -> Any:
        """A sequence of one step, or a text."""
        return one_step(self.encoder) if isinstance(self.encoder, SequenceEncoder) else super().specimen()

    def as_rows(self, answers: polars.DataFrame, examples: Any) -> polars.DataFrame:
        """Answers as a table; those for sequences of several rows after their ids, which their origins have."""
        if not self.grouped:
            return answers
        import polars

        before = f"{IN_MEMORY}[id="
        ids = [origin.removeprefix(before)[:-1] for origin in examples.origins]
        return answers.select(
            polars.Series(self.encoder.settings.id_column, ids, dtype=polars.String), *answers.columns
        )


def one_step(encoder: SequenceEncoder) -> Examples:
    """A sequence of one step of zeros."""
    return sequences_in_memory([np.zeros((1, encoder.channels - len(encoder.filling.masked)))], encoder)
