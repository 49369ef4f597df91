"""How near translations come to what is right, gathered batch by batch and kept with a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor


class TranslationMetrics:
    """The loss a token of known targets; and how near answers come to what is right, where there are answers.

    Attributes:
        answers: What the model answered, a text a source; none from batches that were trained on.
        references: All that is right for each source.
        texts: The sources.

    Args:
        decode: The text of ids.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._loss, self._tokens = 0.0, 0
        self.answers: list[str] = []
        self.references: list[list[str]] = []
        self.texts: list[str] = []

    def update(self, outputs: Tensor, batch: Any) -> None:
        """Takes in a batch.

        Args:
            outputs: [B, 1 + T]: the loss of each target, summed over its tokens; then the ids of each answer, if any.
            batch: Its ``target_lengths`` [B], ``texts`` and ``references``.
        """
        self._loss += float(outputs[:, 0].sum())
        self._tokens += int(batch.target_lengths.sum())
        if outputs.shape[1] > 1:
            self.answers += [self._decode(ids) for ids in outputs[:, 1:].long().tolist()]
            self.references += [list(some) for some in batch.references]
            self.texts += batch.texts

    def compute(self) -> dict[str, float]:
        """``token_loss`` (nats) so far; of answers also ``bleu`` and ``chrf`` (0 to 100) and ``exact_match``.

        BLEU (Papineni et al. 2002) and chrF (Popović 2015) are those of sacrebleu (Post 2018) in its default settings,
        with all references. A match is exact when the answer is one of the references, letter for letter.
        """
        results = {"token_loss": self._loss / max(1, self._tokens)}
        if self.answers:
            # Imported here because it takes a while, and only who measures needs it.
            import sacrebleu

            most = max(len(some) for some in self.references)
            # sacrebleu wants as many references for each, and passes over those that are empty.
            columns = [[some[k] if k < len(some) else "" for some in self.references] for k in range(most)]
            results["bleu"] = sacrebleu.corpus_bleu(self.answers, columns).score
            results["chrf"] = sacrebleu.corpus_chrf(self.answers, columns).score
            right = [answer in some for answer, some in zip(self.answers, self.references, strict=True)]
            results["exact_match"] = sum(right) / len(right)
        return results

    def samples(self, count: int) -> str:
        """A few answers as text, evenly spaced: the source, what was answered, and what was right."""
        chosen = range(0, len(self.answers), max(1, len(self.answers) // max(1, count)))[:count]
        blocks = [
            f"source:    {self.texts[index]}\nanswer:    {self.answers[index]}\n"
            f"reference: {' | '.join(self.references[index])}"
            for index in chosen
        ]
        return "\n\n".join(blocks)

    def state_dict(self) -> dict[str, Any]:
        """What was gathered, in memory of its own."""
        return {
            "loss": self._loss,
            "tokens": self._tokens,
            "answers": list(self.answers),
            "references": [list(some) for some in self.references],
            "texts": list(self.texts),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what ``state_dict`` gave."""
        self._loss, self._tokens = state["loss"], state["tokens"]
        self.answers, self.texts = list(state["answers"]), list(state["texts"])
        self.references = [list(some) for some in state["references"]]
