"""What a stream computes: linear and recurrent layers as arrays, from a module or from a file, and to a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from holdfast.cells.options import NAMES
from holdfast.cells.parameter_names import layer_suffix
from holdfast.cells.spec import CellSpec, make_spec
from holdfast.errors import HoldfastError, ModelFileError, OptionError, did_you_mean
from holdfast.files import container
from holdfast.runtime import kernels
from holdfast.runtime.scaling import scaled

Array = NDArray[Any]
Arrays = Mapping[str, Array]

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
_EXPORTED = "stream"


@dataclass(frozen=True)
class Scaling:
    """How raw values become the network's inputs, as :func:`holdfast.runtime.scaling.scaled` says."""

    kind: Any = "none"
    mean: Sequence[float] = ()
    std: Sequence[float] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("none", "unit", "standard"):
            raise OptionError(f"There is no scaling {self.kind!r}; expected 'none', 'unit' or 'standard'.")
        if not all(isinstance(number, int | float) for number in (*self.mean, *self.std)):
            raise OptionError("A mean or a deviation of the scaling is not a number.")

    def __call__(self, x: Array) -> Array:
        """[..., C] of any real dtype -> [..., C], float32."""
        return scaled(x, self.kind, self.mean, self.std)


@dataclass(frozen=True)
class Network:
    """Layers one above the other, in one direction, as they are in evaluation.

    Attributes:
        specs: The cell of each recurrent layer.
        parameters: Their arrays, as :meth:`CellSpec.parameter_shapes` names and shapes them.
        residual: Whether each of them adds its input to its output.
        input: ``weight`` [O, I] and ``bias`` [O] of a linear layer below them; empty for none.
        output: The same of one above them.
        scaling: What is done to raw values first; None: the input is what the network reads.
        labels: What the values of the output are the scores of; empty where they are none.

    Raises:
        OptionError: The parts do not fit together.
    """

    specs: Sequence[CellSpec]
    parameters: Sequence[Arrays]
    residual: Sequence[bool]
    input: Arrays = field(default_factory=dict)
    output: Arrays = field(default_factory=dict)
    scaling: Scaling | None = None
    labels: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.specs or {len(self.parameters), len(self.residual)} != {len(self.specs)}:
            raise OptionError(f"A network has {len(self.specs)} cells and parameters for {len(self.parameters)}.")
        width = self.input_size
        expected: dict[str, tuple[int, ...]] = {}
        if self.input:
            width = self.specs[0].input_size
            expected |= {"input.weight": (width, self.input_size), "input.bias": (width,)}
        for number, spec in enumerate(self.specs):
            if spec.input_size != width or (self.residual[number] and spec.output_size != width):
                raise OptionError(f"Layer {number} has {spec.input_size} inputs; the one below has {width} outputs.")
            expected |= {f"layers.{number}.{name}": shape for name, shape in spec.parameter_shapes().items()}
            width = spec.output_size
        if self.output:
            expected |= {"output.weight": (self.output_size, width), "output.bias": (self.output_size,)}
        arrays = dict(self.arrays())
        for name in {**expected, **arrays}:
            if name not in arrays or name not in expected or arrays[name].shape != expected[name]:
                got = f"has shape {arrays[name].shape}" if name in arrays else "is missing"
                raise OptionError(f"The array {name!r} {got}; expected {expected.get(name, 'none of that name')}.")
            if arrays[name].dtype not in DTYPES or arrays[name].dtype != self.dtype:
                raise OptionError(
                    f"The array {name!r} is {arrays[name].dtype}; a stream computes in float32 or in float64: "
                    "convert the whole model by .float()."
                )
        if self.scaling is not None and self.dtype != np.float32:
            raise OptionError(f"Raw values are scaled to float32, and the network computes in {self.dtype}.")
        if self.scaling is not None and self.scaling.kind == "standard":
            numbers = {len(self.scaling.mean), len(self.scaling.std)}
            if numbers != {self.input_size}:
                raise OptionError(f"The scaling is of {numbers} values; the network has {self.input_size} inputs.")
        if self.labels and len(self.labels) != self.output_size:
            raise OptionError(f"There are {len(self.labels)} labels for {self.output_size} scores.")

    @property
    def input_size(self) -> int:
        """I, values in a step of input."""
        return _size(self.input, 1) if self.input else self.specs[0].input_size

    @property
    def output_size(self) -> int:
        """O, values in a step of output."""
        return _size(self.output, 0) if self.output else self.specs[-1].output_size

    @property
    def dtype(self) -> np.dtype[Any]:
        """What is computed in: float32 or float64."""
        return self.parameters[0]["weight_ih"].dtype

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """Every array, by a name of its own."""
        for name, arrays in (("input", self.input), ("output", self.output)):
            yield from ((f"{name}.{part}", array) for part, array in arrays.items())
        for number, arrays in enumerate(self.parameters):
            yield from ((f"layers.{number}.{part}", array) for part, array in arrays.items())

    def why_not_native(self) -> str | None:
        """One sentence that says why the kernels cannot compute the network, or None when they can."""
        reasons = ((number, kernels.why_not(spec)) for number, spec in enumerate(self.specs))
        return next((f"layer {number}: {reason}" for number, reason in reasons if reason), None)

    @cached_property
    def fingerprint(self) -> str:
        """A number, in hexadecimal digits, that tells this network from any other in a cell, an option or a weight."""
        cells = [{name: getattr(value, "__qualname__", value) for name, value in asdict(s).items()} for s in self.specs]
        found = hashlib.sha256(repr((cells, *map(bool, self.residual))).encode())
        for name, array in self.arrays():
            found.update(f"{name} {array.dtype} {array.shape}".encode())
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()

    def __str__(self) -> str:
        parts = [f"Linear({_size(self.input, 1)}, {_size(self.input, 0)})"] if self.input else []
        parts += [f"{NAMES[spec.kind]}({spec.input_size}, {spec.hidden_size})" for spec in self.specs]
        parts += [f"Linear({_size(self.output, 1)}, {_size(self.output, 0)})"] if self.output else []
        return " -> ".join(parts)


def export(network: Network, path: Path) -> None:
    """Writes a network to a file that :func:`read` reads.

    Raises:
        OptionError: An activation is a callable, which no file can hold.
        ModelFileError: The file cannot be written.
    """
    for spec in network.specs:
        if any(map(callable, spec.activations)):
            raise OptionError("An activation is a callable, which no file can hold: use one that has a name.")
    document = {
        "task": _EXPORTED,
        "cells": [asdict(spec) for spec in network.specs],
        "residual": list(network.residual),
        "scaling": None if network.scaling is None else asdict(network.scaling),
        "labels": list(network.labels),
    }
    arrays = {name: np.ascontiguousarray(array) for name, array in network.arrays()}
    container.write(path, save, arrays, document, "model")


def read(path: Path) -> Network:
    """The network in a model file, or in a folder that holds a ``model.safetensors``.

    Args:
        path: What ``holdfast train`` or :func:`export` wrote.

    Raises:
        ModelFileError: There is no model, or the file is truncated, damaged, too new, or of another kind.
        OptionError: The model cannot be streamed; the message says why.
    """
    path = container.model_path(path)
    arrays, document = container.read(path, "model", "np")
    name = document.get("task")
    if not isinstance(name, str) or name not in _READERS:
        raise ModelFileError(f"{path} is a model for the task {name!r:.60}: {did_you_mean(str(name), _READERS)}")
    try:
        return _READERS[name](document, arrays)
    except _CannotStreamError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).splitlines()[0] if isinstance(error, HoldfastError) else "its description does not fit"
        raise ModelFileError(f"{path} is damaged: {reason.rstrip('.')}. Take another copy of it.") from error


class _CannotStreamError(OptionError):
    """A model that is in order, and needs steps that have not come yet."""


def refuse_two_directions(kind: str) -> None:
    """Says why a bidirectional layer cannot be streamed.

    Raises:
        OptionError: Always.
    """
    raise _CannotStreamError(
        f"The {NAMES[kind]} is bidirectional: its output depends on steps that have not come yet. "
        "A stream needs one with bidirectional=False."
    )


def check_head(head: str) -> None:
    """Refuses a classifier whose scores are not those of its last output.

    Raises:
        OptionError: It has such a head.
    """
    if head not in ("last_state", "last_output"):
        raise _CannotStreamError(
            f"The classifier's head is {head!r}, over all steps of a sequence; a stream gives the scores of its last "
            "output, so it needs head = 'last_state' or 'last_output'."
        )


def refuse_texts() -> None:
    """Says why a classifier of texts cannot be streamed.

    Raises:
        OptionError: Always.
    """
    raise _CannotStreamError(
        "The classifier reads texts; a stream takes numbers, step by step. Use `holdfast predict` or "
        "holdfast.Predictor for texts."
    )


def residual_layers(residual: bool, layers: int, head: str = "last_output") -> list[bool]:
    """Which layers add their input to their output: all but the first.

    Where the head of a classifier reads the final state, the last layer does not: its state is h alone.
    """
    return [residual and 0 < number < layers - (head == "last_state") for number in range(layers)]


def _classifier(document: Mapping[str, Any], arrays: Arrays) -> Network:
    """A model of :mod:`holdfast.tasks.classify.task`."""
    from holdfast.tasks.classify.settings import ClassifyModel

    settings, encoder = ClassifyModel.model_validate(document["model"]), document["encoder"]
    if "vocabulary" in encoder:
        refuse_texts()
    if settings.bidirectional:
        refuse_two_directions(settings.cell)
    check_head(settings.head)
    sizes = settings.hidden_size if isinstance(settings.hidden_size, list) else None
    layers = len(sizes) if sizes else settings.num_layers
    specs: list[CellSpec] = []
    parameters: list[Arrays] = []
    for number in range(layers):
        width = specs[-1].output_size if specs else settings.input_layer.size or int(encoder["channels"])
        size = sizes[number] if sizes else settings.hidden_size
        specs.append(make_spec(settings.cell, {"input_size": width, "hidden_size": size, **settings.options}))
        parameters.append(_parameters(specs[-1], arrays, "recurrent.{}" + layer_suffix(number)))
    return Network(
        specs,
        parameters,
        residual_layers(settings.residual, layers, settings.head),
        _part(arrays, "input"),
        _part(arrays, "output"),
        Scaling(**encoder["scaling"]),
        [str(label) for label in encoder["labels"]["classes"]],
    )


def _exported(document: Mapping[str, Any], arrays: Arrays) -> Network:
    """What :func:`export` wrote."""
    specs = [CellSpec(**cell) for cell in document["cells"]]
    return Network(
        specs,
        [_parameters(spec, arrays, f"layers.{number}." + "{}") for number, spec in enumerate(specs)],
        [bool(adds) for adds in document["residual"]],
        _part(arrays, "input"),
        _part(arrays, "output"),
        None if document["scaling"] is None else Scaling(**document["scaling"]),
        [str(label) for label in document["labels"]],
    )


_READERS = {"classify": _classifier, _EXPORTED: _exported}


def _parameters(spec: CellSpec, arrays: Arrays, pattern: str) -> Arrays:
    return {name: arrays[pattern.format(name)] for name in spec.parameter_shapes()}


def _part(arrays: Arrays, name: str) -> Arrays:
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


def _size(linear: Arrays, dimension: int) -> int:
    return int(linear["weight"].shape[dimension])
