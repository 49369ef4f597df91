"""Model files of the format versions 1 and 2, which hold no chain: the chain of a classifier, and of a stream.

Every other model of such a file is read by its task, which builds it and then says its chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.cells.parameter_names import layer_suffix
from holdfast.cells.spec import CellSpec, make_spec
from holdfast.errors import ModelFileError, OptionError, did_you_mean
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Embedding, Head, Linear, Part, Recurrent, Scaled
from holdfast.runtime.scaling import Scaling

_MOST_LAYERS = 1000
_DEFAULTS: dict[str, Any] = {"cell": "lstm", "hidden_size": 128, "num_layers": 1, "bidirectional": False}
_DEFAULTS |= {"merge": "concat", "residual": False, "options": {}, "input_layer": {"size": 0}, "head": "last_state"}
_KNOWN = ("classify", "stream")

Arrays = Mapping[str, Any]


def check_task(path: Path, document: Mapping[str, Any]) -> None:
    """Refuses a file whose chain only its task can say.

    Raises:
        ModelFileError: It is one.
    """
    task = document.get("task")
    if not isinstance(task, str) or task not in _KNOWN:
        raise ModelFileError(f"{path} is a model for the task {task!r:.60}: {did_you_mean(str(task), _KNOWN)}")


def chain_and_arrays(document: Mapping[str, Any], arrays: Arrays) -> tuple[Chain, Arrays]:
    """The chain of a file, and its arrays by the names that the chain has for them.

    Raises:
        OptionError: The document describes no model.
        LookupError: Something is missing in it; or, as TypeError, ValueError or AttributeError, of another form.
    """
    return _stream(document, arrays) if document["task"] == "stream" else (_classifier(document, arrays), arrays)


def _classifier(document: Mapping[str, Any], arrays: Arrays) -> Chain:
    model, encoder = {**_DEFAULTS, **document["model"]}, document["encoder"]
    parts: list[Part]
    if "vocabulary" in encoder:
        parts = [_embedding(arrays)]
        width = parts[0].output_size
    else:
        parts = [Scaled(Scaling.from_dict(encoder["scaling"])), *_linear(arrays, "input")]
        width = int(model["input_layer"]["size"]) or int(encoder["channels"])
    layers = _layers(model, width)
    labels = tuple(str(label) for label in encoder["labels"]["classes"])
    return Chain((*parts, layers, Head(model["head"]), *_linear(arrays, "output")), labels)


def _layers(model: Mapping[str, Any], width: Any) -> Recurrent:
    sizes = model["hidden_size"]
    count = model["num_layers"]
    if not isinstance(sizes, list):
        if not isinstance(count, int) or not 1 <= count <= _MOST_LAYERS:
            raise OptionError(f"num_layers is {count!r:.60}; expected 1 to {_MOST_LAYERS:,}.")
        sizes = [sizes] * count
    directions = 2 if model["bidirectional"] and model["merge"] == "concat" else 1
    options = {name: value for name, value in model["options"].items() if name not in ("reverse", "segment")}
    cells: list[CellSpec] = []
    for size in sizes:
        cells.append(make_spec(model["cell"], {"input_size": width, "hidden_size": size, **options}))
        width = cells[-1].output_size * directions
    flags = {"bidirectional": model["bidirectional"], "residual": model["residual"]}
    flags["reverse"] = model["options"].get("reverse", False)
    return Recurrent("recurrent", tuple(cells), merge=model["merge"], **{key: bool(on) for key, on in flags.items()})


def _embedding(arrays: Arrays) -> Embedding:
    tokens, size = arrays["embedding.table.weight"].shape
    return Embedding("embedding.table", tokens, size, mask_zero=True)


def _linear(arrays: Arrays, name: str) -> list[Linear]:
    if f"{name}.weight" not in arrays:
        return []
    outputs, inputs = arrays[f"{name}.weight"].shape
    return [Linear(name, inputs, outputs)]


def _stream(document: Mapping[str, Any], arrays: Arrays) -> tuple[Chain, Arrays]:
    cells = tuple(CellSpec(**cell) for cell in document["cells"])
    adds = tuple(bool(each) for each in document["residual"])
    if len(adds) != len(cells):
        raise OptionError(f"There are {len(cells)} cells, and {len(adds)} of them add their input or not.")
    head, residual = [], any(adds)
    if residual and adds != tuple(number > 0 for number in range(len(cells))):
        if adds != tuple(0 < number < len(cells) - 1 for number in range(len(cells))):
            raise OptionError("The layers that add their input to their output are not all but the first.")
        head = [Head("last_state")]
    scaling = [] if document["scaling"] is None else [Scaled(Scaling.from_dict(document["scaling"]))]
    parts = (
        *scaling,
        *_linear(arrays, "input"),
        Recurrent("layers", cells, residual=residual),
        *head,
        *_linear(arrays, "output"),
    )
    renamed = {}
    for name, array in arrays.items():
        part, _, rest = name.partition(".")
        number, _, parameter = rest.partition(".")
        renamed[f"layers.{parameter}{layer_suffix(int(number))}" if part == "layers" else name] = array
    return Chain(parts, tuple(str(label) for label in document["labels"])), renamed
