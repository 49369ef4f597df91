"""How a task calls its network on a batch, without a loss and without decoding: for what looks inside."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor, nn

from holdfast.data.vocabulary import Vocabulary


class NetworkCall:
    """The call of the network on a batch, and what its inputs and outputs are; a base of the tasks.

    These are for networks with ``model(inputs, lengths, state) -> (output, state)``; other tasks override them.
    """

    def forward(self, model: nn.Module, batch: Any, state: Any = None) -> Tensor:
        """Runs the network on a batch, with or without targets.

        Args:
            model: The model, on the device of the batch.
            batch: A batch of :meth:`batches`.
            state: The initial state; None for zeros.

        Returns:
            The output of the network before any decoding, [B, ...] or [B, T, ...], such as scores.
        """
        return cast(Tensor, model(batch.inputs, batch.lengths, state)[0])

    def with_answer(self, model: nn.Module, batch: Any) -> Any:
        """A batch with what the network reads besides the inputs: a translator reads an answer, by default its own."""
        return batch

    def output_lengths(self, batch: Any) -> Tensor | None:
        """Steps in each row of the result of :meth:`forward`, [B]; None where all rows have all steps."""
        return cast("Tensor | None", batch.lengths)

    @property
    def input_vocabulary(self) -> Vocabulary | None:
        """What the ids of the inputs stand for; None where the network reads numbers."""
        return None

    def embedded(self, model: nn.Module) -> dict[str, Vocabulary]:
        """The vocabulary of each embedding of the network, by the name of the embedding in it."""
        vocabulary = self.input_vocabulary
        if vocabulary is None:
            return {}
        tables = {name: module for name, module in model.named_modules() if isinstance(module, nn.Embedding)}
        return {name: vocabulary for name, table in tables.items() if table.num_embeddings == len(vocabulary)}
