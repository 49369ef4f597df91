"""``.meta`` files: ``tf.train.export_meta_graph`` and ``import_meta_graph``.

A file holds the calls that made a graph (:mod:`meta_writer`); reading it makes them again (:mod:`meta_reader`).
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from holdfast.errors import ConversionError, HoldfastError, HoldfastWarning, ModelFileError
from holdfast.files import container
from holdfast.tf1.graph.failures import NotFoundError
from holdfast.tf1.graph.graph import Graph, get_default_graph
from holdfast.tf1.graph.meta_reader import NotTheSameError, Reader, check, described
from holdfast.tf1.graph.meta_values_written import CannotStoreError
from holdfast.tf1.graph.meta_writer import Writer
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.variables import Variable

_KIND, _VERSION = "tf1 graph", 1
_MOST_TEXT = 2**27
"""The largest JSON object in bytes that is written or read."""
_MOST_ARRAYS = 2**30
"""The largest arrays in bytes, all together, that are written."""
_INSTEAD = "Make the graph by the program's own code, and restore the checkpoint by tf.train.Saver().restore."


@public("MetaGraphDef")
class MetaGraph:
    """A graph, ready to be written to a ``.meta`` file.

    Attributes:
        content: The JSON object of the format; see :mod:`meta_writer`.
        arrays: The arrays that it refers to.
    """

    def __init__(self, content: dict[str, Any], arrays: list[np.ndarray[Any, Any]]) -> None:
        self.content, self.arrays = content, arrays
        self._text: bytes | None = None

    def write(self, path: str | Path) -> None:
        """Writes the file.

        Raises:
            ModelFileError: It cannot be written.
        """
        if self._text is None:
            self._text = json.dumps(self.content, allow_nan=False, separators=(",", ":")).encode()
        text = self._text
        arrays, size = self.arrays, len(text) + sum(array.nbytes for array in self.arrays)
        if len(text) > _MOST_TEXT or size > _MOST_ARRAYS:
            arrays, reason = [], f"its calls and arrays have {size:,} bytes; at most {_MOST_ARRAYS:,} are stored"
            text = json.dumps(_nothing(reason)).encode()
        tensors = {str(number): np.ascontiguousarray(array) for number, array in enumerate(arrays)}
        tensors["graph"] = np.frombuffer(text, np.uint8)
        container.write(Path(path), save, tensors, {"version": _VERSION}, _KIND)


def _nothing(reason: str) -> dict[str, Any]:
    return {"refused": reason, "calls": [], "states": [], "classes": [], "operations": [], "lines": [], "left_out": [],
            "saver": None}  # fmt: skip


def meta_graph(graph: Graph, saver: dict[str, Any] | None) -> MetaGraph:
    """A graph as the content of a file; a graph that cannot be made again gives a file that says why."""
    writer = Writer(graph)
    covered = 0
    lines: dict[str, int] = {}
    try:
        for entry in graph.tape:
            if entry.first > covered:
                break
            covered = max(covered, entry.last)
        if covered < len(graph.operations):
            op = graph.operations[covered]
            who = f"operation {op.name} ({op.type}, {op.line})"
            raise CannotStoreError(f"{who} was made by a function that files do not hold, such as tf.data")
        calls = writer.calls(graph.tape)
    except CannotStoreError as error:
        return MetaGraph(_nothing(str(error)), [])
    operations = [[*described(op), lines.setdefault(op.line, len(lines))] for op in graph.operations]
    content = {
        "refused": None, "calls": calls, "states": writer.states, "classes": writer.classes, "operations": operations,
        "lines": list(lines), "left_out": writer.left_out, "saver": saver,
    }  # fmt: skip
    return MetaGraph(content, writer.arrays)


def read(path: str | Path) -> MetaGraph:
    """Reads a ``.meta`` file.

    Raises:
        NotFoundError: There is no such file.
        ConversionError: It is TensorFlow's.
        ModelFileError: It is damaged, or not of this format.
    """
    file = Path(path)
    if not file.is_file():
        raise NotFoundError(None, None, f"There is no file {file}; expected one that Saver.save wrote: PATH.meta.")
    with file.open("rb") as handle:
        start = handle.read(9)
    if start[8:] != b"{" and (start[:1] == b"\n" or start.startswith(b"meta_info")):
        raise ConversionError(
            f"{file} is a graph of TensorFlow itself (a protobuf); expected one that Holdfast wrote. {_INSTEAD}"
        )
    tensors, document = container.read(file, _KIND, "np")
    if document.get("version") != _VERSION:
        raise ModelFileError(
            f"{file} has version {document.get('version')!r} of the graph; expected {_VERSION}. {_INSTEAD}"
        )
    text = tensors.pop("graph", None)
    if text is None or text.dtype != np.uint8 or text.nbytes > _MOST_TEXT:
        raise ModelFileError(f"{file} holds no graph. Take another copy of it.")
    try:
        content = json.loads(text.tobytes())
        arrays = [tensors[str(number)] for number in range(len(tensors))]
    except (ValueError, RecursionError, KeyError) as error:
        raise ModelFileError(f"{file} is damaged ({error}). Take another copy of it.") from None
    if not isinstance(content, dict):
        raise ModelFileError(f"{file} holds no graph. Take another copy of it.")
    return MetaGraph(content, arrays)


def make_again(meta: MetaGraph, name: str) -> tuple[dict[str, Variable], dict[str, Any]] | None:
    """Makes a graph again, in the default graph. If that fails, the default graph is as it was.

    Args:
        meta: The graph.
        name: Its file, for messages.

    Returns:
        The saved variables by their names in the checkpoint, and the options of their ``Saver``; None without any.

    Raises:
        ConversionError: The graph could not be stored, or its names are taken.
        ModelFileError: The content is damaged, or makes another graph.
    """
    graph, content = get_default_graph(), meta.content
    if content.get("refused"):
        raise ConversionError(f"{name} does not hold its graph: {content['refused']}. {_INSTEAD}")
    before, first = _contents(graph), len(graph.operations)
    try:
        _check_free(graph, content, name)
        Reader(graph, content, meta.arrays).calls(content["calls"])
        check(graph, first, content)
        saver = _saver(graph, content["saver"])
        left_out = [f"{name} does not hold {str(what)[:300]}." for what in content["left_out"]]
    except NotTheSameError as error:
        _reset(graph, before)
        raise ModelFileError(f"{name} does not give the graph that was saved: {error}. {_INSTEAD}") from None
    except ConversionError:
        _reset(graph, before)
        raise
    except (HoldfastError, ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError,
            TypeError, ValueError) as error:  # fmt: skip
        _reset(graph, before)
        reason = str(error).split("\n")[0][:300]
        raise ModelFileError(f"{name} is damaged, or of another version ({reason}). {_INSTEAD}") from error
    finally:
        graph.most_operations = graph.most_values = None
    graph.scope, graph.controls, graph.seed, graph.variable_scope = before["open"]
    for what in left_out:
        warnings.warn(what, HoldfastWarning, stacklevel=3)
    return saver


def _check_free(graph: Graph, content: dict[str, Any], name: str) -> None:
    taken = next((op[0] for op in content["operations"] if graph.has_name(op[0])), None)
    if taken is not None:
        raise ConversionError(
            f"{name} has an operation {taken}, and so has the default graph; expected other names. Call "
            "tf.reset_default_graph() first, or open `with tf.Graph().as_default():`."
        )


def _saver(graph: Graph, stored: Any) -> tuple[dict[str, Variable], dict[str, Any]] | None:
    if stored is None:
        return None
    variables = {str(key): graph.get_operation_by_name(op).outputs[0] for key, op in stored["variables"].items()}
    numbers = [stored["max_to_keep"], stored["keep_checkpoint_every_n_hours"]]
    if not all(isinstance(variable, Variable) for variable in variables.values()) or not all(
        isinstance(number, int | float) for number in numbers
    ):
        raise ModelFileError("its saver names what is not a variable, or does not have numbers")
    options = {"max_to_keep": int(numbers[0]), "keep_checkpoint_every_n_hours": float(numbers[1])} | {
        key: bool(stored[key]) for key in ("pad_step_number", "save_relative_paths")
    }  # fmt: skip
    return variables, options  # type: ignore[return-value]


def _contents(graph: Graph) -> dict[str, Any]:
    """What a graph holds, to have it back."""
    parts = {key: value.copy() for key, value in vars(graph).items() if isinstance(value, list | dict)}
    store = graph.store
    inside = None if store is None else {key: value.copy() for key, value in vars(store).items() if key != "graph"}
    return {
        "parts": parts, "collections": {key: list(values) for key, values in graph.collections.items()},
        "store": (store, inside), "open": (graph.scope, graph.controls, graph.seed, graph.variable_scope),
    }  # fmt: skip


def _reset(graph: Graph, before: dict[str, Any]) -> None:
    vars(graph).update(before["parts"])
    graph.collections = before["collections"]
    graph.store, inside = before["store"]
    if inside is not None:
        vars(graph.store).update(inside)
    graph.scope, graph.controls, graph.seed, graph.variable_scope = before["open"]
