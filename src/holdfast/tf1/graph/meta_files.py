"""``tf.train.import_meta_graph`` and ``export_meta_graph``."""

from __future__ import annotations

from typing import Any

from holdfast.errors import ConversionError
from holdfast.tf1.graph.graph import Graph, get_default_graph
from holdfast.tf1.graph.meta_graphs import MetaGraph, make_again, read
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.saving import Saver
from holdfast.tf1.graph.variables import GLOBAL


@public("train.export_meta_graph")
def export_meta_graph(
    filename: str | None = None, meta_info_def: Any = None, graph_def: Any = None, saver_def: Any = None,
    collection_list: Any = None, as_text: bool = False, graph: Graph | None = None, export_scope: str | None = None,
    clear_devices: bool = False, clear_extraneous_savers: bool = False, strip_default_attrs: bool = False,
    save_debug_info: bool = False,
) -> MetaGraph:  # fmt: skip
    """A graph as ``import_meta_graph`` takes it.

    Args:
        filename: A file to write; None for none.
        graph: The graph; None for the default one.
        export_scope: None: the whole graph.
        saver_def, clear_devices, as_text, ...: Accepted.

    Raises:
        ConversionError: An ``export_scope`` or a ``graph_def`` is given.
        ModelFileError: The file cannot be written.
    """
    if export_scope is not None or graph_def is not None:
        raise ConversionError(
            "export_meta_graph got export_scope or graph_def; expected None: Holdfast stores whole graphs."
        )
    chosen = graph or get_default_graph()
    with chosen.as_default():
        saver = Saver() if chosen.get_collection(GLOBAL) else Saver(allow_empty=True)
    return saver.export_meta_graph(filename)


@public("train.import_meta_graph")
def import_meta_graph(
    meta_graph_or_file: Any, clear_devices: bool = False, import_scope: str | None = None, **options: Any
) -> Saver | None:
    """Makes the graph of a ``.meta`` file in the default graph: operations, variables and collections, by their names.

    No code of the file runs: it lists calls of Holdfast's own functions, and they must give the operations that it
    lists. The values of the variables are in the checkpoint; the saver that is returned restores them.

    Args:
        meta_graph_or_file: The path of a file that ``Saver.save`` wrote, such as ``"model.ckpt-100.meta"``, or what
            ``export_meta_graph`` returned.
        clear_devices: Accepted.
        import_scope: None: the names stay as they are.
        options: None: parts of the graph cannot be replaced.

    Returns:
        A saver of the variables that were saved; None if there were none.

    Raises:
        NotFoundError: There is no such file.
        ConversionError: The file is TensorFlow's, or says why its graph could not be stored; or a name is taken; or
            an ``import_scope`` is given.
        ModelFileError: The file is damaged.

    Example:
        >>> from holdfast.tf1 import graph as tf
        >>> with tf.Graph().as_default():
        ...     x = tf.placeholder(tf.float32, name="x")
        ...     y = tf.multiply(x, 2, name="y")
        ...     meta = tf.train.export_meta_graph()
        >>> with tf.Graph().as_default() as graph, tf.Session() as session:
        ...     tf.train.import_meta_graph(meta)
        ...     session.run("y:0", {"x:0": 4})
        np.float32(8.0)
    """
    if import_scope:
        raise ConversionError(
            f"import_meta_graph got import_scope={import_scope!r}; expected None: the names of the graph stay as they "
            "were. Import it into a graph of its own: `with tf.Graph().as_default():`."
        )
    if options:
        raise ConversionError(f"import_meta_graph got {', '.join(options)}; expected only clear_devices.")
    in_memory = isinstance(meta_graph_or_file, MetaGraph)
    name = "The graph" if in_memory else str(meta_graph_or_file)
    meta = meta_graph_or_file if in_memory else read(meta_graph_or_file)
    saved = make_again(meta, name)
    return None if saved is None else Saver(saved[0], **saved[1])
