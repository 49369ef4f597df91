"""Reads ONNX files: every node becomes a part of a :class:`~holdfast.interop.network.Network`.

Nodes LSTM, GRU and RNN become recurrent layers of Holdfast. Other operators become torch functions
(:mod:`~holdfast.interop.onnx.operators`).
"""

from __future__ import annotations

from pathlib import Path

from holdfast.interop.network import Network, with_tensors
from holdfast.interop.onnx.building import build
from holdfast.interop.onnx.folding import fold
from holdfast.interop.onnx.graph import read_graph
from holdfast.interop.time_first import of_layers_alone


def read(path: Path | str) -> Network:
    """Reads an ONNX file as a network, in evaluation mode.

    The network takes the inputs of the graph in order, without those for which the file has a value. Inputs must have
    the sizes that the file states; a network of layers alone takes any number of rows and steps.

    Args:
        path: The file.

    Raises:
        ModelFileError: The file does not exist, is not an ONNX model, is damaged, or is far too large.
        ConversionError: A node has no counterpart here, or takes values that do not fit together; the message names
            the node, its operator and the reason.
        MissingLibraryError: The library ``onnx`` is not installed.
    """
    path = Path(path)
    graph, expected = fold(read_graph(path))
    network, tensors = build(graph, {})
    shapes = expected if of_layers_alone(network) else graph.shapes
    network.shapes = {name: tuple(sizes) for name, sizes in shapes.items() if name in network.inputs}
    return with_tensors(network, tensors, path)
