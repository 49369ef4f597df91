"""How a person reads what a transcriber reads and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn import functional as F

from holdfast.data.disk.columns import sizes
from holdfast.data.vocabulary import PADDING
from holdfast.tasks.presentation import Case, MeasuredRow, Picture, Presentation
from holdfast.tasks.transcribe.data import step_counts

if TYPE_CHECKING:
    from holdfast.tasks.transcribe.data import TranscriptBatch
    from holdfast.tasks.transcribe.task import TranscribeTask


class TranscribePresentation(Presentation):
    """A mistake is another transcript; the worst one has the least likely right transcript."""

    error_name = "nats per label of the transcript"
    pipeline_tag = "automatic-speech-recognition"

    def __init__(self, task: TranscribeTask) -> None:
        self._task = task

    def sizes(self, examples: Any) -> dict[str, int]:
        """The number of recordings and of their steps."""
        return {"recordings": len(examples), "steps": int(sizes(examples.inputs).sum())}

    def errors(self, outputs: Tensor, batch: TranscriptBatch) -> Tensor:
        """The negative log probability of each transcript, divided by its labels."""
        sizes = batch.known_target_lengths
        losses = F.ctc_loss(
            outputs.transpose(0, 1),
            batch.known_targets,
            step_counts(outputs, batch.lengths),
            sizes,
            blank=PADDING,
            reduction="none",
        )
        return losses / sizes.clamp(min=1)

    def case(self, examples: Any, row: MeasuredRow) -> Case:
        """The energies of the recording over time, the right transcript and the answer."""
        lengths = None if row.batch.lengths is None else row.batch.lengths[row.place : row.place + 1]
        (answer,) = self._task.transcripts(row.outputs[None], lengths)
        truth = row.batch.texts[row.place]
        shown = Picture(examples.inputs[row.index].T[::-1], ("band, from the highest", "step"))
        return Case(examples.origins[row.index], row.error, answer != truth, truth, answer, shown)
