"""``tf.contrib.legacy_seq2seq``: decoders over lists of steps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from holdfast.tf1.graph.arrays import stack, unstack
from holdfast.tf1.graph.cells import EngineCell, RNNCell
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.differentiation import stop_gradient
from holdfast.tf1.graph.indexing import embedding_lookup
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.networks import xw_plus_b
from holdfast.tf1.graph.reductions import argmax
from holdfast.tf1.graph.rnn import run_cell, static_rnn
from holdfast.tf1.graph.scopes import get_variable, get_variable_scope, variable_scope
from holdfast.tf1.graph.tensors import Tensor

Decoded = tuple[list[Tensor], Any]


@public("contrib.legacy_seq2seq.rnn_decoder")
def rnn_decoder(
    decoder_inputs: Any, initial_state: Any, cell: RNNCell, loop_function: Callable[..., Any] | None = None,
    scope: Any = None,
) -> Decoded:  # fmt: skip
    """A cell over a list of steps, each of which may depend on the output before it.

    Args:
        decoder_inputs: A list of inputs [B, I].
        initial_state: The state before the first step.
        cell: The cell.
        loop_function: A function of the last output and the number of the step that makes the step's input; None for
            ``decoder_inputs`` as they are. The first step's input is always the first of ``decoder_inputs``.
        scope: The scope of the variables; ``rnn_decoder`` by default.

    Returns:
        The list of outputs, and the final state.
    """
    steps = [convert_to_tensor(each) for each in decoder_inputs]
    with variable_scope(scope or "rnn_decoder"):
        if loop_function is None and isinstance(cell, EngineCell) and steps:
            whole, state = run_cell(cell, stack(steps, 1), None, initial_state, None)
            return unstack(whole, len(steps), 1), state
        outputs: list[Tensor] = []
        state = initial_state
        for number, step in enumerate(steps):
            if loop_function is not None and outputs:
                with variable_scope("loop_function", reuse=True):
                    step = loop_function(outputs[-1], number)
            if number:
                get_variable_scope().reuse_variables()
            output, state = cell(step, state)
            outputs.append(output)
        return outputs, state


@public("contrib.legacy_seq2seq.basic_rnn_seq2seq")
def basic_rnn_seq2seq(
    encoder_inputs: Any, decoder_inputs: Any, cell: RNNCell, dtype: Any = "float32", scope: Any = None
) -> Decoded:
    """A cell over the encoder's inputs, and another of the same kind from its final state over the decoder's."""
    with variable_scope(scope or "basic_rnn_seq2seq"):
        encoder = cell.again() if isinstance(cell, EngineCell) else copy.deepcopy(cell)
        _, state = static_rnn(encoder, encoder_inputs, dtype=dtype)
        return rnn_decoder(decoder_inputs, state, cell)


@public("contrib.legacy_seq2seq.tied_rnn_seq2seq")
def tied_rnn_seq2seq(
    encoder_inputs: Any, decoder_inputs: Any, cell: RNNCell, loop_function: Callable[..., Any] | None = None,
    dtype: Any = "float32", scope: Any = None,
) -> Decoded:  # fmt: skip
    """:func:`basic_rnn_seq2seq` with one cell, whose weights the encoder and the decoder share."""
    with variable_scope("combined_tied_rnn_seq2seq"):
        scope = scope or "tied_rnn_seq2seq"
        _, state = static_rnn(cell, encoder_inputs, dtype=dtype, scope=scope)
        get_variable_scope().reuse_variables()
        return rnn_decoder(decoder_inputs, state, cell, loop_function, scope)


def _fed_back(embedding: Any, output_projection: Any, update_embedding: bool) -> Callable[..., Tensor]:
    """A loop function that looks up the most probable symbol of the last output."""

    def loop_function(previous: Any, _: int) -> Tensor:
        if output_projection is not None:
            previous = xw_plus_b(previous, output_projection[0], output_projection[1])
        embedded = embedding_lookup(embedding, argmax(previous, 1))
        return embedded if update_embedding else stop_gradient(embedded)

    return loop_function


@public("contrib.legacy_seq2seq.embedding_rnn_decoder")
def embedding_rnn_decoder(
    decoder_inputs: Any, initial_state: Any, cell: RNNCell, num_symbols: int, embedding_size: int,
    output_projection: Any = None, feed_previous: bool = False, update_embedding_for_previous: bool = True,
    scope: Any = None,
) -> Decoded:  # fmt: skip
    """:func:`rnn_decoder` over a list of symbols [B], with a table of their vectors.

    With ``feed_previous``, each step but the first gets the most probable symbol of the last output, by
    ``output_projection`` (a matrix and a bias) if it is given.
    """
    with variable_scope(scope or "embedding_rnn_decoder"):
        embedding = get_variable("embedding", [num_symbols, embedding_size])
        feedback = None
        if feed_previous:
            feedback = _fed_back(embedding, output_projection, update_embedding_for_previous)
        return rnn_decoder(
            [embedding_lookup(embedding, each) for each in decoder_inputs], initial_state, cell, feedback
        )
