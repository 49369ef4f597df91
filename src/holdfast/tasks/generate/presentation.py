"""How a person reads what a language model reads and writes."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from holdfast.data.disk.documents import characters_of
from holdfast.data.vocabulary import PADDING, SPECIAL
from holdfast.tasks.presentation import Case, MeasuredRow, Presentation, Text

if TYPE_CHECKING:
    from holdfast.tasks.generate.streams import TokenBatch
    from holdfast.tasks.generate.task import GenerateTask

_SAMPLE = 400
"""Tokens of a sample at most."""


class GeneratePresentation(Presentation):
    """The worst mistake is the part of the text that surprises the model most."""

    error_name = "nats per token"
    pipeline_tag = "text-generation"

    def __init__(self, task: GenerateTask) -> None:
        self._task = task

    def sizes(self, examples: Any) -> dict[str, int]:
        """The number of texts or lines, and of their characters."""
        unit = "lines" if self._task.data.sequences == "lines" else "texts"
        return {unit: len(examples), "characters": characters_of(examples.inputs)}

    def errors(self, outputs: Tensor, batch: TokenBatch) -> Tensor:
        """The cross-entropy of each row, divided by its tokens; of a text in streams, by the steps of a window.

        The last window of the streams may be short: it does not count more for that.
        """
        if self._task.data.sequences == "lines":
            return outputs / (batch.known_targets != PADDING).sum(1).clamp(min=1)
        return outputs / self._task.data.window

    def case(self, examples: Any, row: MeasuredRow) -> Case:
        """The text of the row: a line, or a window of the test text."""
        lines = self._task.data.sequences == "lines"
        targets = row.batch.known_targets[row.place].tolist()
        origin = (
            examples.origins[row.index] if lines else f"window {row.index // len(row.batch) + 1}, stream {row.place}"
        )
        tokens = sum(target != PADDING for target in targets)
        note = f"{tokens} tokens, {row.error / math.log(2):.2f} bits per token"
        return Case(origin, row.error, True, "", "", Text(self._task.vocabulary.decode(targets)), note)

    def comparison(self, results: Mapping[str, float], figures: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        """The metrics, and those of a model that gives each token the same probability."""
        rows = super().comparison(results, figures)
        tokens = len(self._task.vocabulary) - len(SPECIAL)
        loss = math.log(max(tokens, 1))
        uniform = {"loss": loss, "perplexity": float(tokens)}
        if results.get("loss") and "bits_per_character" in results:
            uniform["bits_per_character"] = results["bits_per_character"] * loss / results["loss"]
        rows["each token with the same probability"] = uniform
        return rows

    def token_values(self, output: Tensor, inputs: Tensor) -> tuple[str, Tensor]:
        """How unexpected each token was after those before it, in nats."""
        nats = F.cross_entropy(output[:-1].double(), inputs[1:], reduction="none")
        return "how unexpected each token was (nats)", torch.cat([nats.new_full((1,), math.nan), nats])

    def sample(self, model: nn.Module) -> str:
        """What the model writes after the prompt of the recipe, with the seed of the recipe."""
        task, settings = copy.copy(self._task), self._task.answering
        task.answering = settings.model_copy(update={"length": min(settings.length, _SAMPLE), "samples": 1})
        (batch,) = task.batches(task.read([])).epoch(0)
        device = next(model.parameters()).device
        with torch.inference_mode():
            (answer,) = task.answers(model, batch.to(device))
        return str(answer["text"])
