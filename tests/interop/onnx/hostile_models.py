"""Builders of damaged ONNX models: a good LSTM with one thing changed, or a graph of one wrong node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from tests.interop.onnx.models import arrays, model, recurrent, value


def good() -> Any:
    """An LSTM whose weights are in the file."""
    given = arrays("LSTM")
    return recurrent("LSTM", {name: given[name] for name in ("X", "W", "R", "B")}, ("Y",), hidden_size=4)


def changed(change: Callable[[Any], Any]) -> bytes:
    """The good model with something done to it."""
    found = good()
    change(found)
    return bytes(found.SerializeToString())


def node_of(kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> bytes:
    """A model of one node, with x [2, 3] and n, two whole numbers, to take."""
    tensors = [numpy_helper.from_array(np.array([1, 2], np.int64), "n")]
    domain = attributes.pop("domain", "")
    node = helper.make_node(kind, inputs, outputs, name="one", domain=domain)
    node.attribute.extend(helper.make_attribute(name, given) for name, given in attributes.items())
    return bytes(model([node], [value("x")], [value(outputs[0])], tensors).SerializeToString())


def tensor_with(**fields: Any) -> bytes:
    """The good model with fields of its first tensor, W, changed."""

    def change(found: Any) -> None:
        tensor = found.graph.initializer[0]
        for name, given in fields.items():
            if isinstance(given, list):
                del getattr(tensor, name)[:]
                getattr(tensor, name).extend(given)
            elif given is None:
                tensor.ClearField(name)
            else:
                setattr(tensor, name, given)

    return changed(change)


def outside(**entries: str) -> bytes:
    """The good model with its first tensor kept in another file."""

    def change(found: Any) -> None:
        tensor = found.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, text in entries.items():
            tensor.external_data.add(key=key, value=text)

    return changed(change)


def attribute(name: str, given: Any) -> bytes:
    """The good model with an attribute of its node set, or taken away."""

    def change(found: Any) -> None:
        node = found.graph.node[0]
        kept = [one for one in node.attribute if one.name != name]
        del node.attribute[:]
        node.attribute.extend(kept)
        if given is not None:
            node.attribute.append(helper.make_attribute(name, given))

    return changed(change)


def weights(name: str, array: np.ndarray) -> bytes:
    """The good model with other weights under a name."""

    def change(found: Any) -> None:
        for tensor in found.graph.initializer:
            if tensor.name == name:
                tensor.CopyFrom(numpy_helper.from_array(array, name))

    return changed(change)


WHOLE = good().SerializeToString()
