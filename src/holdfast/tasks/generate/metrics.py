"""How well a language model predicts a text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from holdfast.data.vocabulary import PADDING

_MOST_NATS = 709  # e to the power of more would overflow a float


class LanguageMetrics:
    """How well a language model predicts a text: nats per token, perplexity, bits per character.

    Attributes:
        nats: The sum of the cross-entropy of all tokens.
        tokens: The number of tokens.
        characters: The number of characters of the text in these tokens.
    """

    def __init__(self) -> None:
        self.nats, self.tokens, self.characters = 0.0, 0, 0.0

    def update(self, nats: Tensor, batch: Any) -> None:
        """Adds a batch.

        Args:
            nats: The cross-entropy of each row, [B].
            batch: A :class:`~holdfast.tasks.generate.streams.TokenBatch`: targets [B, T], and the number of their
                characters.
        """
        self.nats += float(nats.double().sum())
        self.tokens += int((batch.known_targets != PADDING).sum())
        self.characters += batch.characters

    def compute(self) -> dict[str, float]:
        """``loss`` (nats per token, instead of the mean over batches), ``perplexity`` and ``bits_per_character``."""
        loss = self.nats / max(1, self.tokens)
        bits = self.nats / math.log(2) / max(1.0, self.characters)
        perplexity = math.exp(loss) if loss < _MOST_NATS else math.inf
        return {"loss": loss, "perplexity": perplexity, "bits_per_character": bits}

    def state_dict(self) -> dict[str, float]:
        """The sums and counts."""
        return {"nats": self.nats, "tokens": self.tokens, "characters": self.characters}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Continues from what ``state_dict`` gave."""
        self.nats, self.tokens, self.characters = state["nats"], int(state["tokens"]), state["characters"]

    def add_state(self, state: Mapping[str, float]) -> None:
        """Adds the sums and counts of other metrics."""
        self.nats, self.characters = self.nats + state["nats"], self.characters + state["characters"]
        self.tokens += int(state["tokens"])
