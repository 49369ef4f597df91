"""``tf.contrib.seq2seq``: where a decoder's inputs come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from holdfast.tf1.graph.arithmetic import equal, greater_equal
from holdfast.tf1.graph.arrays import shape, transpose
from holdfast.tf1.graph.conditions import cond
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.dtypes import int32
from holdfast.tf1.graph.filling import fill, zeros_like
from holdfast.tf1.graph.graph import node
from holdfast.tf1.graph.indexing import embedding_lookup
from holdfast.tf1.graph.maths import cast
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.randoms import multinomial
from holdfast.tf1.graph.recorded_names import extended, method
from holdfast.tf1.graph.reductions import argmax, reduce_all
from holdfast.tf1.graph.tensors import Tensor


@public("contrib.seq2seq.Helper")
@extended
class Helper:
    """The base of all helpers. A program's own has ``initialize``, ``sample`` and ``next_inputs``."""

    batch_size: Any = None

    def initialize(self, name: str | None = None) -> tuple[Any, Any]:
        """Which rows are finished from the start [B], and the first inputs."""
        raise NotImplementedError(f"{type(self).__name__} has no initialize(); a subclass of Helper defines it.")

    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """The symbols [B] of a step's outputs."""
        raise NotImplementedError(f"{type(self).__name__} has no sample(); a subclass of Helper defines it.")

    def next_inputs(self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None) -> Any:
        """Which rows are finished after this step [B], the next inputs and the next state."""
        raise NotImplementedError(f"{type(self).__name__} has no next_inputs(); a subclass of Helper defines it.")


@public("contrib.seq2seq.TrainingHelper")
class TrainingHelper(Helper):
    """The inputs of a decoder are given.

    Args:
        inputs: [B, T, I], or [T, B, I] with ``time_major``.
        sequence_length: Steps in each row [B].
        time_major: Whether time comes before the batch.
        name: Accepted.
    """

    def __init__(self, inputs: Any, sequence_length: Any, time_major: bool = False, name: str | None = None) -> None:
        x = convert_to_tensor(inputs)
        order = [1, 0, *range(2, len(x.sizes or (0, 0)))]
        self.inputs = x if not time_major else transpose(x, order)
        self.sequence_length = convert_to_tensor(sequence_length)
        if self.sequence_length.sizes is not None and len(self.sequence_length.sizes) != 1:
            raise ValueError(f"TrainingHelper got sequence_length of shape {self.sequence_length.shape}; expected [B].")
        self.batch_size = shape(self.sequence_length)[0]

    def _step(self, time: Any) -> Tensor:
        x = self.inputs
        sizes = None if x.sizes is None else (x.sizes[0], *x.sizes[2:])
        return node(
            "Step", lambda v, t: v[:, min(int(t), v.shape[1] - 1)], [x, convert_to_tensor(time)], x.dtype, sizes
        )

    @method
    def initialize(self, name: str | None = None) -> tuple[Any, Any]:
        """The first step of the inputs."""
        return equal(0, self.sequence_length), self._step(0)

    @method
    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """The most probable symbols."""
        return cast(argmax(outputs, -1), int32)

    @method
    def next_inputs(self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None) -> Any:
        """The next step of the inputs."""
        following = convert_to_tensor(time) + 1
        finished = greater_equal(cast(following, self.sequence_length.dtype), self.sequence_length)
        step = self._step(following)
        return finished, cond(reduce_all(finished), lambda: zeros_like(step), lambda: step), state


@public("contrib.seq2seq.GreedyEmbeddingHelper")
class GreedyEmbeddingHelper(Helper):
    """Each input is the vector of the most probable symbol of the last step.

    Args:
        embedding: A table of vectors [K, I], or a function of symbols [B].
        start_tokens: The first symbols [B].
        end_token: The symbol after which a row is finished.
    """

    def __init__(self, embedding: Any, start_tokens: Any, end_token: Any) -> None:
        self._look_up: Callable[[Any], Tensor] = (
            embedding if callable(embedding) and not isinstance(embedding, Tensor)
            else lambda ids: embedding_lookup(embedding, ids)
        )  # fmt: skip
        self.start_tokens = convert_to_tensor(start_tokens)
        if self.start_tokens.sizes is not None and len(self.start_tokens.sizes) != 1:
            raise ValueError(
                f"start_tokens has shape {self.start_tokens.shape}; expected [B]: tf.fill([batch], token)."
            )
        self.end_token = convert_to_tensor(end_token, int32)
        self.batch_size = shape(self.start_tokens)[0]

    @method
    def initialize(self, name: str | None = None) -> tuple[Any, Any]:
        """The vectors of the first symbols."""
        return fill([self.batch_size], False), self._look_up(self.start_tokens)

    @method
    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """The most probable symbols."""
        return cast(argmax(outputs, -1), int32)

    @method
    def next_inputs(self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None) -> Any:
        """The vectors of the symbols."""
        finished = equal(sample_ids, self.end_token)
        return finished, self._look_up(sample_ids), state


@public("contrib.seq2seq.SampleEmbeddingHelper")
class SampleEmbeddingHelper(GreedyEmbeddingHelper):
    """:class:`GreedyEmbeddingHelper` with symbols that are drawn by their probabilities."""

    def __init__(
        self,
        embedding: Any,
        start_tokens: Any,
        end_token: Any,
        softmax_temperature: Any = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(embedding, start_tokens, end_token)
        self._temperature, self._seed = softmax_temperature, seed

    @method
    def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
        """Drawn symbols."""
        logits = outputs if self._temperature is None else outputs / self._temperature
        drawn = multinomial(logits, 1, self._seed, output_dtype=int32)
        return node("Squeeze", lambda x: torch.squeeze(x, 1), [drawn], int32, (drawn.sizes or (None,))[:1])
