"""How a person reads what a translator reads and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from holdfast.tasks.presentation import Case, MeasuredRow, Presentation, Text

if TYPE_CHECKING:
    from holdfast.tasks.translate.data import PairBatch
    from holdfast.tasks.translate.task import TranslateTask


class TranslatePresentation(Presentation):
    """A mistake is an answer that equals no reference; the worst one has the least likely reference."""

    error_name = "nats per token of the reference"
    pipeline_tag = "translation"

    def __init__(self, task: TranslateTask) -> None:
        self._task = task

    def sizes(self, examples: Any) -> dict[str, int]:
        """The number of pairs."""
        return {"pairs": len(examples)}

    def errors(self, outputs: Tensor, batch: PairBatch) -> Tensor:
        """The cross-entropy of each first reference, divided by its tokens."""
        return outputs[:, 0] / batch.target_lengths.clamp(min=1)

    def case(self, examples: Any, row: MeasuredRow) -> Case:
        """The source, the references and the answer."""
        references = list(examples.targets[row.index])
        answer = self._task.target.decode(row.outputs[1:].long().tolist())
        origin, source = examples.origins[row.index], examples.inputs[row.index]
        return Case(origin, row.error, answer not in references, " | ".join(references), answer, Text(source))
