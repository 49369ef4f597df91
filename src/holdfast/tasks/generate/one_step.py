"""A language model for sampling: the layers read the prompts, and a stream computes the steps that follow."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from holdfast.decoding.sampling import Model
from holdfast.tasks.generate.network import LanguageModel
from holdfast.tasks.one_step import OneStep, one_step


def for_steps(model: nn.Module, rows: int, steps: int) -> Model:
    """The model, or :class:`Continued` in its place where a stream can compute its steps.

    Args:
        model: A language model in evaluation mode.
        rows: B, texts that are continued together.
        steps: The largest number of new tokens.
    """
    if type(model) is not LanguageModel:
        return model
    layers = one_step(model, "recurrent", rows=rows, steps=steps, embedding="embedding", output="output")
    return model if layers is None else Continued(model, layers)


class Continued:
    """As the model, for :func:`holdfast.decoding.sampling.generate`; its scores are the same up to rounding.

    Args:
        model: The model, which reads the prompts.
        layers: The steps of all of it.
    """

    def __init__(self, model: LanguageModel, layers: OneStep) -> None:
        self._model, self._layers = model, layers

    def __call__(self, tokens: Tensor, lengths: Tensor | None, state: Any) -> tuple[Tensor, Any]:
        """The scores [B, T, V], and the state for the next call."""
        if tokens.shape[1] != 1 or lengths is not None:
            return self._model(tokens, lengths, state)  # type: ignore[no-any-return]
        return self._layers(tokens, state)
