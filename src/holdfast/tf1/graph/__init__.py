"""Graphs and sessions: TensorFlow 1's programs as they were written.

``from holdfast.tf1 import graph as tf`` gives a program the vocabulary of TensorFlow 1 with placeholders, sessions and
optimisers; ``python -m holdfast.tf1 PROGRAM.py`` runs a program whose first line is still ``import tensorflow as tf``.
Everything runs on torch, and recurrent loops on the engines. See docs/tf1.md.

Example:
    >>> from holdfast.tf1 import graph as tf
    >>> with tf.Graph().as_default(), tf.Session() as session:
    ...     x = tf.placeholder(tf.float32, [None, 3])
    ...     outputs, state = tf.nn.dynamic_rnn(tf.nn.rnn_cell.GRUCell(4), x[None], dtype=tf.float32)
    ...     session.run(tf.global_variables_initializer())
    ...     session.run(outputs, {x: [[1, 2, 3]] * 7}).shape
    (1, 7, 4)
"""

from __future__ import annotations

from typing import Any

from holdfast.tf1.graph import (  # noqa: F401  (each registers its names)
    alignments,
    arithmetic,
    arrays,
    bidirectional,
    cells,
    clipping,
    command_flags,
    conditional_fields,
    conditions,
    convolution_layers,
    convolutions,
    decoding_helpers,
    decoding_loops,
    dense_layers,
    differentiation,
    engine_cells,
    file_access,
    filling,
    free_loops,
    indexing,
    initial_values,
    input_pipelines,
    layer_functions,
    legacy_decoders,
    loops,
    loops_over_rows,
    loss_functions,
    maths,
    matrices,
    measures,
    messages,
    meta_files,
    mnist,
    networks,
    newer_names,
    normalizing,
    older_arguments,
    oldest_cells,
    optimizer_rules,
    optimizers,
    ordering,
    picking,
    products,
    randoms,
    rearranging,
    reductions,
    refusals,
    regularised_optimizers,
    regularizers,
    repeated_runs,
    rnn,
    row_updates,
    saving,
    schedules,
    scopes,
    sequence_losses,
    session,
    sparse_tensors,
    summaries,
    summary_messages,
    surroundings,
    tensor_arrays,
    texts,
    variables,
    wrapping_cells,
)
from holdfast.tf1.graph.names import find


def __getattr__(name: str) -> Any:
    if name.startswith("__") and name.endswith("__") and name != "__version__":
        raise AttributeError(name)
    return find(name)
