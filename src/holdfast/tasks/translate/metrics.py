"""How close translations are to their references, gathered batch by batch and kept with a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from torch import Tensor

from holdfast.errors import MissingLibraryError


class TranslationMetrics:
    """The loss per token of the targets; and, where the model answered, the quality of the answers.

    Attributes:
        answers: The answer to each source; empty for training batches.
        references: All right answers to each source.
        texts: The sources.

    Args:
        decode: Gives the text of ids.

    Raises:
        MissingLibraryError: sacrebleu is not installed.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        if find_spec("sacrebleu") is None:  # checked here, before training, and not after it
            raise MissingLibraryError(
                "Translations are measured with the library sacrebleu, which is not installed: pip install "
                "'holdfast[text]'."
            )
        self._decode = decode
        self._loss, self._tokens = 0.0, 0
        self.answers: list[str] = []
        self.references: list[list[str]] = []
        self.texts: list[str] = []

    def update(self, outputs: Tensor, batch: Any) -> None:
        """Adds a batch.

        Args:
            outputs: [B, 1 + T]: the loss of each target, summed over its tokens; then the ids of each answer, if any.
            batch: Its ``target_lengths`` [B], ``texts`` and ``references``.
        """
        self._loss += float(outputs[:, 0].sum())
        self._tokens += int(batch.target_lengths.sum())
        if outputs.shape[1] > 1:
            self.answers += [self._decode(ids) for ids in outputs[:, 1:].long().tolist()]
            self.references += [list(texts) for texts in batch.references]
            self.texts += batch.texts

    def compute(self) -> dict[str, float]:
        """``token_loss`` (nats) so far; with answers also ``bleu`` and ``chrf`` (0 to 100) and ``exact_match``.

        sacrebleu (Post 2018) computes BLEU (Papineni et al. 2002) and chrF (Popović 2015) with its default settings and
        all references. A match is exact if the answer equals one of the references, letter for letter.
        """
        results = {"token_loss": self._loss / max(1, self._tokens)}
        if self.answers:
            # Imported here because the import is slow, and only measuring needs it.
            import sacrebleu

            most = max(len(texts) for texts in self.references)
            # sacrebleu expects the same number of references for each answer, and ignores empty ones.
            columns = [[texts[k] if k < len(texts) else "" for texts in self.references] for k in range(most)]
            results["bleu"] = sacrebleu.corpus_bleu(self.answers, columns).score
            results["chrf"] = sacrebleu.corpus_chrf(self.answers, columns).score
            right = [answer in texts for answer, texts in zip(self.answers, self.references, strict=True)]
            results["exact_match"] = sum(right) / len(right)
        return results

    def samples(self, count: int) -> str:
        """A few evenly spaced answers as text: the source, the answer, and the references."""
        chosen = range(0, len(self.answers), max(1, len(self.answers) // max(1, count)))[:count]
        blocks = [
            f"source:    {self.texts[index]}\nanswer:    {self.answers[index]}\n"
            f"reference: {' | '.join(self.references[index])}"
            for index in chosen
        ]
        return "\n\n".join(blocks)

    def state_dict(self) -> dict[str, Any]:
        """A copy of what was collected."""
        return {
            "loss": self._loss,
            "tokens": self._tokens,
            "answers": list(self.answers),
            "references": [list(texts) for texts in self.references],
            "texts": list(self.texts),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues from what ``state_dict`` gave."""
        self._loss, self._tokens = state["loss"], state["tokens"]
        self.answers, self.texts = list(state["answers"]), list(state["texts"])
        self.references = [list(texts) for texts in state["references"]]

    def add_state(self, state: Mapping[str, Any]) -> None:
        """Adds what other metrics collected."""
        self._loss, self._tokens = self._loss + state["loss"], self._tokens + state["tokens"]
        self.answers += state["answers"]
        self.texts += state["texts"]
        self.references += [list(texts) for texts in state["references"]]
