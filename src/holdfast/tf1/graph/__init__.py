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
    arrays,
    cells,
    command_flags,
    differentiation,
    engine_cells,
    file_access,
    indexing,
    initializers,
    maths,
    messages,
    mnist,
    networks,
    operators,
    optimizers,
    randoms,
    refusals,
    rnn,
    scopes,
    session,
    surroundings,
    texts,
    variables,
)
from holdfast.tf1.graph.names import find, is_place

for _name in [name for name in globals() if is_place(name)]:
    del globals()[_name]  # a file of this package would hide the names of TensorFlow in that place


def __getattr__(name: str) -> Any:
    if name.startswith("__") and name.endswith("__") and name != "__version__":
        raise AttributeError(name)
    return find(name)
