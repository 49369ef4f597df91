"""The network of a regressor: recurrent layers, and a linear layer on one vector per sequence or on every step."""

from __future__ import annotations

from typing import Literal

from holdfast.tasks.embedding import TokenEmbedding
from holdfast.tasks.head_network import HeadNetwork
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
