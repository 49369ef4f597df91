"""How many words and characters of transcripts are wrong, gathered batch by batch and kept with a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor


def edit_distance(words: Sequence[str], expected: Sequence[str]) -> int:
    """The fewest insertions, deletions and substitutions that turn one sequence into the other (Levenshtein 1966)."""
    above = list(range(len(expected) + 1))
    for row, word in enumerate(words, 1):
        current = [row]
        for column, other in enumerate(expected, 1):
            current.append(min(above[column] + 1, current[-1] + 1, above[column - 1] + (word != other)))
        above = current
    return above[-1]


class TranscriptionMetrics:
    """Error rates of words and of characters: the edit distance to the right transcripts, over their length.

    Args:
        decode: Gives the texts of scores [B, T, V], with the lengths [B] of the rows.
    """

    def __init__(self, decode: Callable[[Tensor, Tensor | None], list[str]]) -> None:
        self._decode = decode
        self._counts = dict.fromkeys(("words", "wrong_words", "characters", "wrong_characters"), 0)

    def update(self, scores: Tensor, batch: Any) -> None:
        """Takes in a batch.

        Args:
            scores: [B, T, V].
            batch: A ``TranscriptBatch`` whose texts are the right transcripts.
        """
        pairs = list(zip(self._decode(scores, batch.lengths), batch.texts, strict=True))
        units: dict[str, Callable[[str], list[str]]] = {"words": str.split, "characters": list}
        for unit, split in units.items():
            self._counts[unit] += sum(len(split(text)) for _, text in pairs)
            self._counts[f"wrong_{unit}"] += sum(edit_distance(split(answer), split(text)) for answer, text in pairs)

    def compute(self) -> dict[str, float]:
        """``word_error_rate`` and ``character_error_rate`` so far; without any word or character, the error count."""
        counts = self._counts
        return {
            "word_error_rate": counts["wrong_words"] / max(1, counts["words"]),
            "character_error_rate": counts["wrong_characters"] / max(1, counts["characters"]),
        }

    def state_dict(self) -> dict[str, int]:
        """A copy of the counts."""
        return dict(self._counts)

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continues from the counts that ``state_dict`` gave."""
        self._counts = dict(state)

    def add_state(self, state: Mapping[str, int]) -> None:
        """Adds the counts of other metrics."""
        self._counts = {name: count + state[name] for name, count in self._counts.items()}
