"""How many words and characters of transcripts are wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor


class TranscriptionMetrics:
    """Error rates of words and of characters: insertions, deletions and substitutions, by what should have been said.

    Args:
        decode: The texts that scores [B, T, V] of steps, with the lengths [B] of the rows, stand for.
    """

    def __init__(self, decode: Callable[[Tensor, Tensor | None], list[str]]) -> None:
        self._decode = decode
        self._counts = dict.fromkeys(("words", "wrong_words", "characters", "wrong_characters"), 0)

    def update(self, scores: Tensor, batch: Any) -> None:
        """Takes in a batch.

        Args:
            scores: [B, T, V].
            batch: A ``TranscriptBatch``; its texts are what should have been said.
        """
        # Imported here because it takes a second, and only who measures needs it.
        from torchmetrics.functional.text import char_error_rate, word_error_rate

        said, texts = self._decode(scores, batch.lengths), list(batch.texts)
        measures: list[tuple[str, Any, Any]] = [
            ("words", word_error_rate, str.split),
            ("characters", char_error_rate, list),
        ]
        for what, rate, units in measures:
            wanted, got = (sum(len(units(text)) for text in some) for some in (texts, said))
            # A rate is the number of errors, which adds up, over that of what should be there.
            self._counts[f"wrong_{what}"] += round(float(rate(said, texts)) * wanted) if wanted else got
            self._counts[what] += wanted

    def compute(self) -> dict[str, float]:
        """``word_error_rate`` and ``character_error_rate`` so far; 0 where nothing should have been said."""
        counts = self._counts
        return {
            "word_error_rate": counts["wrong_words"] / max(1, counts["words"]),
            "character_error_rate": counts["wrong_characters"] / max(1, counts["characters"]),
        }

    def state_dict(self) -> dict[str, int]:
        """What was counted."""
        return dict(self._counts)

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Goes on from what ``state_dict`` gave."""
        self._counts = dict(state)
