"""The network of a transcriber: recurrent layers, and the probabilities of the labels at every step."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Linear, LogSoftmax
from holdfast.tasks.network import recurrent_layers
from holdfast.tasks.transcribe.settings import TranscribeModel
from holdfast.tasks.transcribe.spec_augment import SpecAugment


class Transcriber(nn.Module):
    """Recurrent layers, and a linear layer that scores each label at every step."""

    def __init__(self, inputs: int, bands: int, labels: int, settings: TranscribeModel) -> None:
        """Builds the network.

        Args:
            inputs: C, values per step.
            bands: Mel bands per frame; a step has one frame or several.
            labels: V, the number of labels with the blank.
            settings: The ``[model]`` table of the recipe.

        Raises:
            OptionError: An option of the cell is unknown or does not fit.
        """
        super().__init__()
        self.augment = SpecAugment(settings.masking, bands)
        self.recurrent = recurrent_layers(inputs, settings)
        self.dropout = nn.Dropout(settings.dropout)
        self.output = nn.Linear(self.recurrent.output_size, labels)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, state: Any = None) -> tuple[Tensor, Any]:
        """Computes the probability of each label at each step.

        Args:
            inputs: [B, T, C].
            lengths: [B], or None when all rows have T steps.
            state: The recurrent layers' initial state; None for zeros.

        Returns:
            The logarithms of the probabilities [B, T, V], and the recurrent layers' final state.
        """
        outputs, state = self.recurrent(self.augment(inputs, lengths), state, lengths=lengths)
        return self.output(self.dropout(outputs)).log_softmax(-1), state

    def chain(self) -> Chain:
        """The parts of the network."""
        return Chain((self.recurrent.part("recurrent"), Linear.of("output", self.output), LogSoftmax()))
