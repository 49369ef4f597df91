"""The network of a classifier: recurrent layers, and a linear layer on their final state or pooled outputs."""

from __future__ import annotations

from holdfast.tasks.classify.settings import ClassifyModel
from holdfast.tasks.embedding import TokenEmbedding
from holdfast.tasks.head_network import HeadNetwork


class Classifier(HeadNetwork):
    """A network that gives a score for each label: see :class:`~holdfast.tasks.head_network.HeadNetwork`.

    ``settings.head`` says which vector of a sequence the scores are computed from.
    """

    def __init__(
        self, channels: int, classes: int, settings: ClassifyModel, embedding: TokenEmbedding | None = None
    ) -> None:
        """Builds the network.

        Args:
            channels: C, values per step; for texts, per token vector.
            classes: The number of labels.
            settings: The ``[model]`` table of the recipe.
            embedding: The layer that reads ids; None where a step consists of numbers.

        Raises:
            OptionError: An option of the cell is unknown or does not fit.
        """
        if settings.input_noise == "auto":  # in files of versions without it
            settings = settings.model_copy(update={"input_noise": 0.0})
        super().__init__(channels, classes, settings, embedding, head=settings.head)
