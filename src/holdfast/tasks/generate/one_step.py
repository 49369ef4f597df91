"""A language model that computes single steps by a stream, whose weights are packed once and not at every token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from holdfast.decoding.sampling import Model
from holdfast.layers.chain import Chain
from holdfast.layers.stream import Stream, chain_network
from holdfast.runtime.network import StreamNetwork
from holdfast.runtime.steps import MISSING
from holdfast.tasks.generate.network import LanguageModel

MOST_ROWS = 64
"""The most rows for which a stream computes the steps: with more, they take longer than packing the weights."""


def for_steps(model: nn.Module, rows: int) -> Model:
    """The model, or :class:`OneStep` in its place where the kernels of streams can compute it.

    Args:
        model: A language model in evaluation mode.
        rows: B, texts that are continued together.
    """
    if rows > MOST_ROWS or not isinstance(model, LanguageModel) or model.training:
        return model
    layers, parameters = model.recurrent, list(model.parameters())
    one_way = not layers.bidirectional and not layers.reverse and layers.engine in ("auto", "native")
    plain = all(p.device.type == "cpu" and p.dtype in (torch.float32, torch.float64) for p in parameters)
    if MISSING or not one_way or not plain or len({p.dtype for p in parameters}) > 1:
        return model
    network = chain_network(Chain(model.chain().parts[1:]), model)
    return model if network.why_not_native() else OneStep(model, network, rows)


class OneStep:
    """As the model, for :func:`holdfast.decoding.sampling.generate`; its scores are the same up to rounding.

    Args:
        model: The model, which reads the prompts.
        network: The model after the embedding.
        rows: B.
    """

    def __init__(self, model: LanguageModel, network: StreamNetwork, rows: int) -> None:
        self._model, self._vectors = model, model.embedding.weight.detach().numpy()
        self._stream = Stream(network, rows)

    def __call__(self, tokens: Tensor, lengths: Tensor | None, state: Any) -> tuple[Tensor, Any]:
        """The scores [B, T, V], and the state for the next call."""
        if tokens.shape[1] != 1 or lengths is not None:
            return self._model(tokens, lengths, state)  # type: ignore[no-any-return]
        if state is not self._stream:
            self._stream.state = state
        scores = self._stream.step(self._vectors[tokens[:, 0].numpy()])
        return torch.from_numpy(scores)[:, None], self._stream
