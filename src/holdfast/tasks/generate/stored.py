"""The tokens of long texts, computed once and kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from holdfast.data.disk.build import Piece
from holdfast.data.disk.cache import prepared
from holdfast.data.disk.documents import Documents
from holdfast.data.disk.store import Store
from holdfast.data.vocabulary import BEGIN, END, Vocabulary
from holdfast.tasks.generate.streams import StoredTokens, Tokens


class _Source:
    """The inputs and the targets of all steps of some texts: ``BEGIN`` before each text, ``END`` after it."""

    def __init__(self, texts: Documents, tokens: Callable[[str], Tokens], vocabulary: Vocabulary) -> None:
        self._texts, self._tokens, self._vocabulary = texts, tokens, vocabulary
        self.about = f"the tokens of {texts.characters:,} characters"

    @property
    def total(self) -> int:
        """The characters."""
        return self._texts.characters

    def identity(self) -> Any:
        """The texts and the vocabulary."""
        saved = self._vocabulary.model_dump(mode="json")
        return ["tokens", self._texts.store.key, self._texts.span, saved]

    def verify(self, store: Store) -> None:
        """Accepts every set."""

    def pieces(self, position: Any, facts: dict[str, Any]) -> Iterator[Piece]:
        """A piece for each piece of the texts; a position is the number of the next one and of the text before it."""
        row, before, done = position or (0, -1, 0)
        for number, following, text in self._texts.pieces(row):
            tokens = self._tokens(text) if text else np.zeros(0, np.int32)
            inputs = np.concatenate([[BEGIN] * (number != before), tokens]).astype(np.int32)
            targets = np.concatenate([tokens, [END] * (number != following)]).astype(np.int32)
            row, before, done = row + 1, number, done + len(text)
            columns = {"inputs": [inputs], "targets": [targets]}
            yield Piece(columns, {"inputs": "array", "targets": "array"}, {}, [row, before, done], done)


def stored_tokens(texts: Documents, tokens: Callable[[str], Tokens], vocabulary: Vocabulary) -> StoredTokens:
    """The tokens of texts on disk.

    Args:
        texts: The texts.
        tokens: Gives the tokens of a piece.
        vocabulary: What the tokens stand for.
    """
    return StoredTokens(prepared(_Source(texts, tokens, vocabulary)), len(texts))
