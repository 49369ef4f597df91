"""What a stream computes: a chain of linear and recurrent layers with its arrays, from a file or to a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from holdfast.cells.parameter_names import layer_suffix
from holdfast.cells.spec import CellSpec
from holdfast.errors import HoldfastError, ModelFileError, OptionError
from holdfast.files import container
from holdfast.layers.chain import Chain
from holdfast.layers.chain.parts import Embedding, Head, Linear, Restored, Scaled
from holdfast.runtime import kernels, narrow_weights, old_files
from holdfast.runtime.scaling import Scaling
from holdfast.runtime.streamable import CannotStreamError, check_streams

Array = NDArray[Any]
Arrays = Mapping[str, Array]

STREAM = "stream"
"""What the file of an exported stream has in the place of a task."""
NARROW = ("bfloat16", "int8")
"""The ways to store the weights of a stream in fewer bits, in which :func:`export` writes them too."""
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True)
class StreamNetwork:
    """A chain that a stream can compute, with its arrays: layers in one direction, as they are in evaluation.

    The parts are a scaling or an embedding, a linear layer, recurrent layers, a head that reads the last step, a linear
    layer, and a softmax or a return to the units of the targets, of which all but the recurrent layers may be missing.
    A stream stops before the softmax.

    Attributes:
        chain: The parts.
        arrays: As :meth:`Chain.tensor_shapes` names and shapes them.
        weights: How a stream stores the matrices, whose values must be rounded to that: :meth:`with_weights` does so.
            None: in the dtype of the arrays.

    Raises:
        OptionError: A stream cannot compute the chain, or the arrays do not fit it.
    """

    chain: Chain
    arrays: Arrays
    weights: narrow_weights.Weights | None = None

    def __post_init__(self) -> None:
        check_streams(self.chain)
        expected = self.chain.tensor_shapes()
        for name in {**expected, **self.arrays}:
            array = self.arrays.get(name)
            if array is None or array.shape != expected.get(name):
                got = "is missing" if array is None else f"has shape {array.shape}"
                raise OptionError(f"The array {name!r} {got}; expected {expected.get(name, 'none of that name')}.")
        for name, array in self.arrays.items():
            if array.dtype not in DTYPES or array.dtype != self.dtype:
                raise OptionError(
                    f"The array {name!r} is {array.dtype}; a stream computes in float32 or in float64: "
                    "convert the whole model by .float()."
                )
        if self.scaling is not None and self.dtype != np.float32:
            raise OptionError(f"Raw values are scaled to float32, and the network computes in {self.dtype}.")

    def with_weights(self, weights: narrow_weights.Weights | None) -> StreamNetwork:
        """The network with its matrices rounded to ``"bfloat16"`` or ``"int8"``, as a stream then stores them.

        Args:
            weights: ``"float32"`` changes no value; None leaves the network as it is.

        Raises:
            OptionError: There is no such storage, or the network computes in float64.
        """
        if weights is None:
            return self
        narrow_weights.check(weights)
        if self.dtype != np.float32:
            raise OptionError(
                f"weights is {weights!r}, and the network computes in {self.dtype}: convert the whole model by "
                ".float()."
            )
        arrays = narrow_weights.rounded(self.arrays, narrow_weights.matrices(self.chain), weights)
        return replace(self, arrays=arrays, weights=weights)

    @cached_property
    def scaling(self) -> Scaling | None:
        """What is done to raw values first; None: the input is what the network reads."""
        part = self.chain.find(Scaled)
        return None if part is None else part.scaling

    @cached_property
    def restored(self) -> Restored | None:
        """How the output gets the units of the targets; None: it is what the last layer gives."""
        return self.chain.find(Restored)

    @cached_property
    def vectors(self) -> Array | None:
        """The vector of each id, [V, I], where a step of the input is an id; None where it is a vector."""
        part = self.chain.find(Embedding)
        return None if part is None else self.arrays[f"{part.name}.weight"]

    @property
    def specs(self) -> tuple[CellSpec, ...]:
        """The cell of each recurrent layer."""
        return self.chain.recurrent.cells

    @cached_property
    def parameters(self) -> tuple[Arrays, ...]:
        """The arrays of each recurrent layer, as :meth:`CellSpec.parameter_shapes` names them."""
        prefix = f"{self.chain.recurrent.name}." if self.chain.recurrent.name else ""
        return tuple(
            {name: self.arrays[prefix + name + layer_suffix(number)] for name in spec.parameter_names}
            for number, spec in enumerate(self.specs)
        )

    @cached_property
    def residual(self) -> tuple[bool, ...]:
        """Whether each recurrent layer adds its input to its output: all but the first.

        Where the head reads the final state, the last layer does not: its state is h alone.
        """
        head = self.chain.find(Head)
        count = len(self.specs) - (head is not None and head.kind == "last_state")
        return tuple(self.chain.recurrent.residual and 0 < number < count for number in range(len(self.specs)))

    @cached_property
    def input(self) -> Arrays:
        """``weight`` [O, I] and ``bias`` [O] of the linear layer below the recurrent ones; empty for none."""
        return self._linear(below=True)

    @cached_property
    def output(self) -> Arrays:
        """The same of the one above them."""
        return self._linear(below=False)

    def _linear(self, below: bool) -> Arrays:
        parts, between = self.chain.parts, self.chain.parts.index(self.chain.recurrent)
        found = [part for part in (parts[:between] if below else parts[between:]) if isinstance(part, Linear)]
        if not found:
            return {}
        weight, bias = f"{found[0].name}.weight", f"{found[0].name}.bias"
        zeros = np.zeros(found[0].outputs, self.dtype)
        return {"weight": self.arrays[weight], "bias": self.arrays[bias] if found[0].bias else zeros}

    @property
    def labels(self) -> tuple[str, ...]:
        """What the values of the output are the scores of, or the names of the targets; empty where they have none."""
        return self.chain.labels

    @property
    def input_size(self) -> int:
        """I, values in a step of input; with ids, in the vector of one."""
        return (self.chain.input_size or 0) if self.vectors is None else int(self.vectors.shape[1])

    @property
    def output_size(self) -> int:
        """O, values in a step of output."""
        return self.chain.output_size

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """What is computed in: float32 or float64."""
        return next(iter(self.parameters[0].values())).dtype

    def why_not_native(self) -> str | None:
        """One sentence that says why the kernels cannot compute the network, or None when they can."""
        reasons = ((number, kernels.why_not(spec)) for number, spec in enumerate(self.specs))
        return next((f"layer {number}: {reason}" for number, reason in reasons if reason), None)

    @cached_property
    def fingerprint(self) -> str:
        """A number, in hexadecimal digits, that tells this network from any other in a cell, an option or a weight.

        Files with the state of a stream hold it, so its ingredients and their order never change.
        """
        return self._digest("bias", "weight")

    def has_fingerprint(self, fingerprint: object) -> bool:
        """Whether a fingerprint is this network's; older files may have one with weights before biases."""
        return fingerprint in (self.fingerprint, self._digest("weight", "bias"))

    def _digest(self, *of_linear: str) -> str:
        cells = [{name: getattr(value, "__qualname__", value) for name, value in asdict(s).items()} for s in self.specs]
        digest = hashlib.sha256(repr((cells, *self.residual)).encode())
        layers = {"input": self.input, "output": self.output}
        arrays = {f"{name}.{part}": layer[part] for name, layer in layers.items() for part in of_linear if layer}
        if self.vectors is not None:
            arrays["vectors"] = self.vectors
        for number, parameters in enumerate(self.parameters):
            arrays |= {f"layers.{number}.{part}": array for part, array in parameters.items()}
        for name, array in arrays.items():
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def __str__(self) -> str:
        return str(self.chain)


Network = StreamNetwork
"""The public name, :class:`holdfast.runtime.Network`."""


def export(network: StreamNetwork, path: Path) -> None:
    """Writes a network to a file that :func:`read` reads.

    Raises:
        OptionError: An activation is a callable, which no file can hold.
        ModelFileError: The file cannot be written.
    """
    document = {"task": STREAM, "chain": network.chain.to_document()}
    values: Arrays = network.arrays
    if network.weights in NARROW:
        document["weights"] = network.weights
        values = narrow_weights.encoded(values, narrow_weights.matrices(network.chain), network.weights)
    arrays = {name: np.ascontiguousarray(array) for name, array in values.items()}
    container.write(path, save, arrays, document, "model")


def read(path: Path) -> StreamNetwork:
    """The network in a model file, or in a folder that holds a ``model.safetensors``.

    Args:
        path: What ``holdfast train`` or :func:`export` wrote.

    Raises:
        ModelFileError: There is no model, or the file is truncated, damaged, too new, or of another kind.
        OptionError: The model cannot be streamed; the message says why.
    """
    path = container.model_path(path)
    arrays, document = container.read(path, "model", "np")
    if "chain" not in document:
        old_files.check_task(path, document)
    try:
        if "chain" in document:
            return _network(document, arrays)
        return StreamNetwork(*old_files.chain_and_arrays(document, arrays))
    except CannotStreamError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if isinstance(error, HoldfastError) else "its description does not fit"
        raise ModelFileError(f"{path} is damaged: {reason.rstrip('.')}. Take another copy of it.") from error


def _network(document: Mapping[str, Any], arrays: Arrays) -> StreamNetwork:
    """The network of a document, with the weights as the file stores them.

    Raises:
        OptionError: The arrays do not fit the document.
    """
    chain, weights = _labelled(Chain.from_document(document["chain"]), document), document.get("weights")
    if "weights" not in document:
        return StreamNetwork(chain, arrays)
    if weights not in NARROW:
        raise OptionError(f"Its weights are {weights!r}; expected 'bfloat16' or 'int8'.")
    return StreamNetwork(chain, narrow_weights.decoded(arrays, narrow_weights.matrices(chain), weights), weights)


def _labelled(chain: Chain, document: Mapping[str, Any]) -> Chain:
    """The chain of a language model of characters with these as labels; any other chain as it is.

    The labels of a chain are in the header of its file, which has no room for large vocabularies.
    """
    vocabulary = document.get("vocabulary")
    if chain.labels or vocabulary is None or vocabulary["unit"] != "characters" or not chain.find(Embedding):
        return chain
    ids = json.loads(vocabulary["tokenizer"])["model"]["vocab"]
    return replace(chain, labels=tuple(str(token) for token in sorted(ids, key=lambda token: int(ids[token]))))
