"""ONNX files in: every node becomes a part of a :class:`~holdfast.interop.network.Network`.

Nodes LSTM, GRU and RNN become recurrent layers of Holdfast; the operators around them, torch's functions that do the
same (:mod:`~holdfast.interop.onnx.operators`).
"""

from __future__ import annotations

from pathlib import Path

from holdfast.interop.network import Network, with_tensors
from holdfast.interop.onnx import building as onnx_building
from holdfast.interop.onnx.folding import fold
from holdfast.interop.onnx.graph import read_graph
from holdfast.interop.time_first import of_layers_alone


def read(path: Path | str) -> Network:
    """The network of an ONNX file, in evaluation mode.

    It is called with the graph's inputs in their order; those that the file has a value for are no inputs. They must
    have the sizes that the file states; a network of layers alone takes any number of rows and steps.

    Raises:
        ModelFileError: The file is not there, no ONNX model, damaged, or holds absurdly much.
        ConversionError: A node has no counterpart here, or takes values that do not go together; the message names the
            node, its operator and what stops it.
        MissingLibraryError: The library ``onnx`` is not installed.
    """
    path = Path(path)
    graph, relied = fold(read_graph(path))
    network, tensors = onnx_building.built(graph, {})
    stated = relied if of_layers_alone(network) else graph.shapes
    network.shapes = {name: tuple(sizes) for name, sizes in stated.items() if name in network.inputs}
    return with_tensors(network, tensors, path)
