"""``tf.contrib.legacy_seq2seq``: decoders over lists of steps."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from holdfast.tf1.graph.arrays import stack, unstack
from holdfast.tf1.graph.cells import EngineCell, RNNCell
from holdfast.tf1.graph.conditions import cond
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.differentiation import stop_gradient
from holdfast.tf1.graph.indexing import embedding_lookup
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.networks import xw_plus_b
from holdfast.tf1.graph.reductions import argmax
from holdfast.tf1.graph.rnn import run_cell, static_rnn
from holdfast.tf1.graph.scopes import get_variable, get_variable_scope, variable_scope
from holdfast.tf1.graph.tensors import Tensor
from holdfast.tf1.graph.wrapping_cells import OutputProjectionWrapper, embedding_table

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


@public("contrib.legacy_seq2seq.embedding_rnn_seq2seq")
def embedding_rnn_seq2seq(
    encoder_inputs: Any, decoder_inputs: Any, cell: RNNCell, num_encoder_symbols: int, num_decoder_symbols: int,
    embedding_size: int, output_projection: Any = None, feed_previous: Any = False, dtype: Any = None,
    scope: Any = None,
) -> Decoded:  # fmt: skip
    """A cell over a list of symbols [B], and another of the same kind from its final state over a second list.

    Args:
        encoder_inputs: A list of symbols [B].
        decoder_inputs: A list of symbols [B].
        cell: The cell; the encoder has another with the same settings.
        num_encoder_symbols: The number of symbols of the encoder.
        num_decoder_symbols: The number K of symbols of the decoder.
        embedding_size: The size of a symbol's vector.
        output_projection: A matrix and a bias, by which a symbol that is fed back is found; None for outputs [B, K].
        feed_previous: Whether each step of the decoder but the first gets the most probable symbol of the last output;
            a tensor decides in each run.
        dtype: The dtype of the state; float32 by default.
        scope: The scope of the variables; ``embedding_rnn_seq2seq`` by default.

    Returns:
        The list of outputs of the decoder, and its final state.
    """
    with variable_scope(scope or "embedding_rnn_seq2seq"):
        encoder = cell.again() if isinstance(cell, EngineCell) else copy.deepcopy(cell)
        with variable_scope("rnn"), variable_scope("embedding_wrapper"):
            table = embedding_table(num_encoder_symbols, embedding_size)
            symbols = stack([convert_to_tensor(each) for each in encoder_inputs], 1)
            _, state = run_cell(encoder, embedding_lookup(table, symbols), None, None, dtype or "float32")
        decoder = cell if output_projection is not None else OutputProjectionWrapper(cell, num_decoder_symbols)

        def decode(fed_back: bool) -> Decoded:
            return embedding_rnn_decoder(
                decoder_inputs, state, decoder, num_decoder_symbols, embedding_size, output_projection, fed_back
            )

        return _as_asked(feed_previous, decode)


@public("contrib.legacy_seq2seq.embedding_tied_rnn_seq2seq")
def embedding_tied_rnn_seq2seq(
    encoder_inputs: Any, decoder_inputs: Any, cell: RNNCell, num_symbols: int, embedding_size: int,
    num_decoder_symbols: int | None = None, output_projection: Any = None, feed_previous: Any = False,
    dtype: Any = None, scope: Any = None,
) -> Decoded:  # fmt: skip
    """:func:`embedding_rnn_seq2seq` in which encoder and decoder share the cell and the table of vectors."""
    with variable_scope(scope or "embedding_tied_rnn_seq2seq"):
        table = get_variable("embedding", [num_symbols, embedding_size])
        inputs, outputs = (
            [embedding_lookup(table, each) for each in part] for part in (encoder_inputs, decoder_inputs)
        )
        if output_projection is None:
            cell = OutputProjectionWrapper(cell, num_decoder_symbols or num_symbols)

        def decode(fed_back: bool) -> Decoded:
            feedback = _fed_back(table, output_projection, True) if fed_back else None
            return tied_rnn_seq2seq(inputs, outputs, cell, feedback, dtype or "float32")

        return _as_asked(feed_previous, decode)


def _as_asked(feed_previous: Any, decode: Callable[[bool], Decoded]) -> Decoded:
    """What ``feed_previous`` asks for; if it is a tensor, both are in the graph and each run takes one."""
    if isinstance(feed_previous, bool | int):
        return decode(bool(feed_previous))
    with variable_scope(get_variable_scope()):
        fed_back = decode(True)
    with variable_scope(get_variable_scope(), reuse=True):
        given = decode(False)
    return cond(feed_previous, lambda: fed_back, lambda: given)  # type: ignore[no-any-return]
