"""``tf.contrib.learn.run_n``: the values of tensors in several runs of a session of their own."""

from __future__ import annotations

from typing import Any

from holdfast.tf1.graph.names import find, public
from holdfast.tf1.graph.nested import flatten
from holdfast.tf1.graph.session import Session
from holdfast.tf1.graph.variables import global_variables_initializer, local_variables_initializer


@public("contrib.learn.run_n")
def run_n(
    output_dict: dict[str, Any], feed_dict: Any = None, restore_checkpoint_path: str | None = None, n: int = 1
) -> list[dict[str, Any]]:
    """The values of a dict of tensors, in each of ``n`` runs.

    Args:
        output_dict: The tensors.
        feed_dict: As of ``Session.run``.
        restore_checkpoint_path: A checkpoint with the values of the variables; None for their initial values.
        n: The number of runs.
    """
    graph = flatten(output_dict)[0].graph
    with graph.as_default(), Session(graph=graph) as session:
        session.run([global_variables_initializer(), local_variables_initializer()])
        if restore_checkpoint_path is not None:
            find("train.Saver")().restore(session, restore_checkpoint_path)
        return [session.run(output_dict, feed_dict) for _ in range(n)]
