"""How well a language model foresees a text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from holdfast.data.vocabulary import PADDING

_MOST_NATS = 709  # e to more than that is beyond what a float can hold


class LanguageMetrics:
    """How well a language model foresees a text: nats a token, perplexity, bits a character.

    Attributes:
        nats: The cross-entropy of all tokens together.
        tokens: How many there were.
        characters: How many characters of the text they stand for.
    """

    def __init__(self) -> None:
        self.nats, self.tokens, self.characters = 0.0, 0, 0.0

    def update(self, nats: Tensor, batch: Any) -> None:
        """Takes in a batch.

        Args:
            nats: The cross-entropy of each row, [B].
            batch: A :class:`~holdfast.tasks.generate.streams.TokenBatch`: targets [B, T], and their characters.
        """
        self.nats += float(nats.double().sum())
        self.tokens += int((batch.known_targets != PADDING).sum())
        self.characters += batch.characters

    def compute(self) -> dict[str, float]:
        """``loss`` (nats a token, in place of the mean over batches), ``perplexity`` and ``bits_per_character``."""
        loss = self.nats / max(1, self.tokens)
        bits = self.nats / math.log(2) / max(1.0, self.characters)
        perplexity = math.exp(loss) if loss < _MOST_NATS else math.inf
        return {"loss": loss, "perplexity": perplexity, "bits_per_character": bits}

    def state_dict(self) -> dict[str, float]:
        """What was gathered."""
        return {"nats": self.nats, "tokens": self.tokens, "characters": self.characters}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Goes on from what ``state_dict`` gave."""
        self.nats, self.tokens, self.characters = state["nats"], int(state["tokens"]), state["characters"]
