"""How a person reads what a tagger reads and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from holdfast.data.disk.columns import sizes
from holdfast.tasks.presentation import (
    Case,
    MeasuredRow,
    Presentation,
    Table,
    Text,
    Word,
    Words,
    class_table,
    numbers,
)
from holdfast.tasks.tag.data import NO_TARGET, SentenceEncoder
from holdfast.tasks.tag.sums import SumEncoder

if TYPE_CHECKING:
    from holdfast.data import Batch
    from holdfast.tasks.tag.task import TagTask

_MOST_RUNS = 200
"""Runs of equal tags of a sequence of numbers that a case shows."""


class TagPresentation(Presentation):
    """A mistake is a sequence with a wrong tag; the worst one has the most wrong tags."""

    error_name = "wrong tags"

    def __init__(self, task: TagTask) -> None:
        self._task = task
        self.pipeline_tag = "token-classification" if isinstance(task.encoder, SentenceEncoder) else ""

    def sizes(self, examples: Any) -> dict[str, int]:
        """The number of sentences and words, of sums, or of sequences and steps."""
        if isinstance(self._task.encoder, SumEncoder):
            return {"sums": len(examples)}
        units = ("sentences", "words") if isinstance(self._task.encoder, SentenceEncoder) else ("sequences", "steps")
        return dict(zip(units, (len(examples), int(sizes(examples.inputs).sum())), strict=True))

    def errors(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The number of wrong tags of each row."""
        targets = batch.known_targets
        return ((outputs != targets) & (targets != NO_TARGET)).sum(1)

    def case(self, examples: Any, row: MeasuredRow) -> Case:
        """The words with their tags; for sums, the numbers; for numbers, curves and the tags of their steps."""
        origin, inputs, truth = (part[row.index] for part in (examples.origins, examples.inputs, examples.targets))
        classes, wrong = self._task.encoder.tags.classes, row.error > 0
        if isinstance(self._task.encoder, SumEncoder):
            answer = sum(int(bit) << place for place, bit in enumerate(row.outputs.tolist()))
            return Case(origin, row.error, wrong, str(truth), str(answer), Text(f"{inputs[0]} + {inputs[1]}"))
        answers = [classes[tag] for tag in row.outputs[: len(truth)].tolist()]
        if isinstance(self._task.encoder, SentenceEncoder):
            words = tuple(Word(*parts) for parts in zip(inputs, truth, answers, strict=True))
            return Case(origin, row.error, wrong, "", "", Words(words))
        return Case(origin, row.error, wrong, _runs(truth), _runs(answers), numbers(np.asarray(inputs)))

    def comparison(self, results: Mapping[str, float], figures: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        """The metrics, and where tags mark no spans the accuracy of the tag that is right most often."""
        rows = super().comparison(results, figures)
        counts = {name: int(values["count"]) for name, values in figures.get("tags", {}).items()}
        if sum(counts.values()):
            most = max(counts, key=lambda name: counts[name])
            rows[f"always {most}"] = {"accuracy": counts[most] / sum(counts.values())}
        return rows

    def tables(self, figures: Mapping[str, Any]) -> tuple[Table, ...]:
        """Precision, recall and F1 of each tag, or of each label of spans."""
        if "spans" in figures:
            return (class_table("Each label of spans", figures["spans"]),)
        return (class_table("Each tag", figures["tags"]),)


def _runs(tags: list[str]) -> str:
    """Tags in words, equal ones together: ``rest × 12, walk × 3``."""
    runs: list[tuple[str, int]] = []
    for tag in tags:
        same = bool(runs) and runs[-1][0] == tag
        runs[len(runs) - same :] = [(tag, 1 + (runs[-1][1] if same else 0))]
    more = f", and {len(runs) - _MOST_RUNS} more runs" if len(runs) > _MOST_RUNS else ""
    return ", ".join(f"{tag} × {count}" for tag, count in runs[:_MOST_RUNS]) + more
