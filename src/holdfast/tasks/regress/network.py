"""The networks of a regressor: recurrent layers, and a linear layer on one vector per sequence or on every step."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Head
from holdfast.layers.chain.special import Repeated
from holdfast.tasks.embedding import TokenEmbedding
from holdfast.tasks.head_network import HeadNetwork
from holdfast.tasks.network import recurrent_layers
from holdfast.tasks.regress.settings import RegressModel


class Regressor(HeadNetwork):
    """A network that gives scaled values of each target: see :class:`~holdfast.tasks.head_network.HeadNetwork`."""

    def __init__(
        self,
        channels: int,
        targets: int,
        settings: RegressModel,
        per: Literal["", "sequence", "step"],
        embedding: TokenEmbedding | None = None,
    ) -> None:
        """Builds the network.

        Args:
            channels: C, values per step; for texts, per token vector.
            targets: K, the number of targets. The output has K Q values; the Q quantiles of a target are neighbours.
            settings: The ``[model]`` table of the recipe.
            per: What has a target; with ``"step"``, the output layer is applied to every step.
            embedding: The layer that reads ids; None where a step consists of numbers.

        Raises:
            OptionError: An option of the cell is unknown or does not fit.
        """
        outputs = targets * (len(settings.quantiles) if settings.loss == "quantile" else 1)
        super().__init__(channels, outputs, settings, embedding, head=None if per == "step" else settings.head)


class EncoderDecoder(Regressor):
    """An encoder that reads a sequence, and a decoder that gives the values of each step from its final hidden state.

    The decoder reads the same vector at every step. With the sequence itself as target it is the autoencoder of
    Srivastava et al. 2015, "Unsupervised learning of video representations using LSTMs" (unconditional decoder).
    """

    def __init__(self, channels: int, targets: int, settings: RegressModel) -> None:
        """Builds the network.

        Args:
            channels: C, values per step.
            targets: K, the number of targets per step.
            settings: The ``[model]`` table of the recipe.

        Raises:
            OptionError: An option of the cell is unknown or does not fit.
        """
        super().__init__(channels, targets, settings, "step")
        self.decoder = recurrent_layers(self.recurrent.output_size, settings)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, state: Any = None) -> tuple[Tensor, Any]:
        """Computes the values of each step.

        Args:
            inputs: [B, T, C].
            lengths: [B], or None when all rows have T steps.
            state: The encoder's initial state; None for zeros.

        Returns:
            The values [B, T, K Q], and the encoder's final state.
        """
        x = inputs if self.input is None else self.input(inputs)
        _, state = self.recurrent(x, state, lengths=lengths)
        vector = self.dropout(self.recurrent.last_hidden(state))
        repeated = vector[:, None].expand(-1, inputs.shape[1], -1)
        outputs, _ = self.decoder(repeated, lengths=lengths)
        return self.output(self.dropout(outputs)), state

    def chain(self) -> Chain:
        """The parts of the network."""
        *first, output = super().chain().parts
        return Chain((*first, Head("last_state"), Repeated(), self.decoder.part("decoder"), output))
