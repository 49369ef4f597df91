"""Converted networks without torch: the nodes of a file of ``holdfast convert``, computed by NumPy and the kernels.

The layers are those of :mod:`holdfast.runtime.converted_nodes`, the operators those of
:mod:`holdfast.runtime.converted_operators`; a file with another one is refused when it is opened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from holdfast.errors import HoldfastError, ModelFileError, ShapeError
from holdfast.files import container
from holdfast.runtime.converted_nodes import Compute, make
from holdfast.runtime.network import Array

KIND = "network"
"""The kind of file that ``holdfast convert`` writes; :mod:`holdfast.interop.network` writes it."""
_MISFITS = (ValueError, IndexError, TypeError, ZeroDivisionError)
"""What NumPy raises for sizes and values that do not fit."""


class _Node(NamedTuple):
    """A node: its name, what it computes, and the names of the values that it takes and gives."""

    name: str
    compute: Compute
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class ConvertedNetwork:
    """A network of other software, in evaluation mode. A call takes arrays and returns arrays.

    A streaming model, such as one that cleans speech frame by frame, has its state among its inputs and outputs: the
    caller hands the state that a step returns to the next one. Several threads may use one network.

    The results are those of :class:`holdfast.interop.network.Network` up to rounding. They do not depend on whether
    torch is installed.

    Attributes:
        inputs: The names of the inputs, in the order of the arguments.
        outputs: The names of the outputs.
        shapes: The known sizes of inputs, by name; None for a size that may be any.

    Example:
        >>> network = runtime.load_network("gtcrn.safetensors")  # doctest: +SKIP
        >>> enhanced, *state = network(frame, *state)  # doctest: +SKIP
    """

    def __init__(self, document: Mapping[str, Any], tensors: Mapping[str, Array]) -> None:
        """Builds the nodes.

        Args:
            document: As :meth:`holdfast.interop.network.Network.to_document` makes it.
            tensors: By their names in the file.

        Raises:
            OptionError: A node is of a kind that is not computed here.
            LookupError: Something is missing; or, as TypeError or ValueError, of another form.
        """
        self.inputs: tuple[str, ...] = tuple(map(str, document["inputs"]))
        self.outputs: tuple[str, ...] = tuple(map(str, document["outputs"]))
        self.shapes = {str(name): tuple(sizes) for name, sizes in dict(document.get("shapes", {})).items()}
        names = _Names(tensors)
        computes: dict[str, Compute] = {}
        nodes = []
        known = {"", *self.inputs}
        for number, node in enumerate(document["nodes"]):
            name, shares = str(node["name"]), str(node.get("shares", ""))
            if shares:
                compute = computes[shares]
            else:
                compute = make(str(node["kind"]), dict(node["options"]), names.of(name, number), name)
            computes[name] = compute
            made = _Node(name, compute, tuple(map(str, node["inputs"])), tuple(map(str, node["outputs"])))
            if not known.issuperset(made.inputs):
                raise ValueError(f"{name} takes a value that no node before it gives")
            known.update(made.outputs)
            nodes.append(made)
        if not known.issuperset(self.outputs) or not self.outputs:
            raise ValueError("an output is no value of the network")
        self._nodes = tuple(nodes)

    def __call__(self, *inputs: Array | None) -> Any:
        """Runs the network.

        Args:
            *inputs: Arrays in the order of :attr:`inputs`; None for a missing one.

        Returns:
            The output, or the tuple of the outputs if there are several.

        Raises:
            ShapeError: The number of inputs is wrong, or an input has the wrong sizes.
        """
        self._check(inputs)
        values: dict[str, Any] = {"": None, **dict(zip(self.inputs, inputs, strict=True))}
        for node in self._nodes:
            try:
                given = node.compute(*(values[name] for name in node.inputs))
            except _MISFITS as error:
                if isinstance(error, HoldfastError):
                    raise
                raise ShapeError(
                    f"The inputs do not fit the network: its node {node.name!r} fails ({str(error).splitlines()[0]})."
                ) from error
            values.update((name, value) for name, value in zip(node.outputs, given, strict=False) if name)
        results = tuple(values[name] for name in self.outputs)
        return results[0] if len(results) == 1 else results

    def _check(self, inputs: Sequence[Array | None]) -> None:
        if len(inputs) != len(self.inputs):
            raise ShapeError(
                f"The network got {len(inputs)} inputs; expected {len(self.inputs)}: {', '.join(self.inputs)}."
            )
        for name, value in zip(self.inputs, inputs, strict=True):
            sizes = self.shapes.get(name)
            if value is None:
                continue
            if not isinstance(value, np.ndarray):
                raise ShapeError(f"The input {name!r} is a {type(value).__name__}; expected a NumPy array.")
            if sizes is None:
                continue
            fits = zip(value.shape, sizes, strict=False)
            if value.ndim != len(sizes) or any(size not in (None, given) for given, size in fits):
                wanted = ", ".join("any" if size is None else str(size) for size in sizes)
                raise ShapeError(f"The input {name!r} has shape {value.shape}; expected ({wanted}).")

    def __repr__(self) -> str:
        return f"ConvertedNetwork({', '.join(self.inputs)} -> {', '.join(self.outputs)}; {len(self._nodes)} nodes)"


class _Names:
    """The tensors of each node. Their names in a file begin with the name of the node, made a name of a module."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self._by_key: dict[str, dict[str, Array]] = {}
        for name, tensor in tensors.items():
            _, key, rest = name.split(".", 2)
            self._by_key.setdefault(key, {})[rest] = tensor
        self._used: set[str] = set()

    def of(self, name: str, number: int) -> dict[str, Array]:
        """The tensors of a node by their names within it; ``number`` is the place of the node."""
        key = re.sub(r"\W", "_", name)
        if key in self._used or key not in self._by_key:  # a name that another node has, or that torch has taken
            numbered = f"{key}_{number}"
            key = numbered if numbered in self._by_key else key
        self._used.add(key)
        return self._by_key.get(key, {})


def load_network(path: Path | str) -> ConvertedNetwork:
    """Opens a network that ``holdfast convert MODEL OUT.safetensors`` wrote. Opening a file never runs code from it.

    Args:
        path: The file.

    Raises:
        ModelFileError: There is no such file, or it is truncated, damaged, too new, or of another kind.
        OptionError: It has a layer or an operator that only ``holdfast`` with torch computes; the message names it.
    """
    path = Path(path)
    tensors, document = container.read(path, KIND, "np")
    try:
        return ConvertedNetwork(document, tensors)
    except HoldfastError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelFileError(
            f"{path} is damaged: its description does not fit its tensors. Take another copy of it."
        ) from error
