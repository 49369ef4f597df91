"""Models of Holdfast out as ONNX files: traced by torch's exporter, held against onnxruntime, and only then written."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import ConversionError, MissingLibraryError, ModelFileError
from holdfast.files.container import replace_file
from holdfast.interop.onnx import protobuf as onnx_protobuf
from holdfast.interop.onnx import recurrent as onnx_recurrent
from holdfast.interop.onnx.layers import VERSION, exportable
from holdfast.interop.onnx.runtime import Runtime, apart

TOLERANCE = 1e-5
"""The largest difference to onnxruntime that is let pass, in parts of the largest value (of 1 at least)."""
AXES = ("batch", "time", "words", "letters")
_OWN = "holdfast "
"""What the names of values begin with while inputs and outputs do not have theirs yet."""
_SIZES = [dict(zip(AXES, sizes, strict=True)) for sizes in ((2, 3, 4, 5), (1, 1, 1, 1), (3, 9, 7, 6), (5, 24, 11, 9))]
"""What is tried; the first is what the exporter traces."""


@dataclass(frozen=True)
class Input:
    """An input of an exported model.

    Attributes:
        axes: Its dimensions: a number for one of that size, a name of :data:`AXES` for one of any size.
        kind: Numbers; whole numbers from 0 to below ``bound``; or lengths, from 0 to ``bound``.
        bound: A number, or the axis whose size it is.
        least: How many steps there are at least.
    """

    axes: tuple[int | str, ...]
    kind: Literal["numbers", "ids", "lengths"] = "numbers"
    bound: int | str = 0
    least: int = 1

    def made(self, sizes: Mapping[str, int], generator: torch.Generator) -> Tensor:
        """One made up at random."""
        named = {**sizes, "time": max(sizes["time"], self.least)}
        shape = [named[axis] if isinstance(axis, str) else axis for axis in self.axes]
        if self.kind == "numbers":
            return torch.randn(shape, generator=generator)
        bound = sizes[self.bound] if isinstance(self.bound, str) else self.bound
        return torch.randint(0, bound + (self.kind == "lengths"), shape, generator=generator)


@dataclass(frozen=True)
class Form:
    """What is exported.

    Attributes:
        module: Takes tensors, in the order of ``inputs``, and gives a tensor or a tuple of them.
        inputs: By name.
        outputs: The names of what it gives.
    """

    module: nn.Module
    inputs: Mapping[str, Input]
    outputs: tuple[str, ...]


def write(path: Path, form: Form) -> float:
    """Writes a model, atomically; one that is there is replaced.

    Args:
        path: The file.
        form: The model.

    Returns:
        The largest difference between the model and the file, as onnxruntime computes it, over several numbers of
        sequences and steps, in parts of the largest value (of 1 at least).

    Raises:
        ConversionError: ONNX's operators cannot say the model, or the difference is above :data:`TOLERANCE`; no file is
            written.
        ModelFileError: The file cannot be written.
        MissingLibraryError: ``onnx``, ``onnxscript`` or ``onnxruntime`` is not installed.
    """
    return write_all({path: form})[path]


def write_all(forms: Mapping[Path, Form]) -> dict[Path, float]:
    """Writes several models as :func:`write` does, once all of them were checked."""
    contents, differences = {}, {}
    for path, form in forms.items():
        contents[path] = exported(form)
        differences[path] = largest_difference(contents[path], form)
    for path, content in contents.items():
        try:
            replace_file(path, content)
        except OSError as error:
            raise ModelFileError(
                f"{path} cannot be written: {error.strerror}. Make room there or choose another folder."
            ) from error
    return differences


def exported(form: Form) -> bytes:
    """The file's content.

    Raises:
        ConversionError: ONNX's operators cannot say the model.
        MissingLibraryError: ``onnx`` or ``onnxscript`` is not installed.
    """
    onnx_protobuf.library()
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingLibraryError(
            "Writing ONNX files needs the library onnxscript, which cannot be loaded: pip install 'holdfast[onnx]'."
        ) from error
    _check_dtype(form.module)
    module = exportable(form.module)
    dynamic = torch.export.Dim.DYNAMIC
    shapes: list[Any] = [
        {place: dynamic for place, axis in enumerate(value.axes) if isinstance(axis, str)}
        for value in form.inputs.values()
    ]
    named = [one for one in inspect.signature(module.forward).parameters.values() if one.kind != one.VAR_POSITIONAL]
    if len(named) < len(shapes):
        shapes[len(named) :] = [tuple(shapes[len(named) :])]
    with _quiet():
        try:
            traced = torch.export.export(module, _made(form, _SIZES[0], 0), dynamic_shapes=tuple(shapes), strict=False)
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise ConversionError(f"torch cannot trace the model: {reason}. Write it in another format.") from error
        try:
            program = torch.onnx.export(
                traced,
                dynamo=True,
                input_names=[f"{_OWN}input {number}" for number in range(len(form.inputs))],
                output_names=[f"{_OWN}output {number}" for number in range(len(form.outputs))],
                opset_version=VERSION,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().partition("\n")[0].rstrip(".")
            raise ConversionError(
                f"torch cannot say the model in ONNX's operators: {reason}. Write it in another format."
            ) from error
    assert program is not None
    return _tidied(program.model_proto, form)


def largest_difference(content: bytes, form: Form) -> float:
    """Runs a file's content and the model it was made of on the same random inputs.

    Returns:
        The largest difference, in parts of the largest value (of 1 at least).

    Raises:
        ConversionError: It is above :data:`TOLERANCE`, or onnxruntime cannot run the file, or the model cannot be run.
        MissingLibraryError: ``onnxruntime`` is not installed.
    """
    runtime, model = Runtime(content), form.module.eval()
    largest = 0.0
    for seed, sizes in enumerate(_SIZES):
        inputs = _made(form, sizes, seed)
        try:
            with torch.inference_mode():
                ours = model(*inputs)
        except RuntimeError as error:
            shapes = ", ".join(f"{name} {list(one.shape)}" for name, one in zip(form.inputs, inputs, strict=True))
            raise ConversionError(
                f"The model does not take every number of steps, as an ONNX file of it has to: it failed on {shapes}. "
                "Write it in another format."
            ) from error
        theirs = runtime.run(dict(zip(form.inputs, inputs, strict=True)))
        largest = max(largest, apart(ours if isinstance(ours, tuple) else (ours,), theirs))
    if not largest <= TOLERANCE:
        raise ConversionError(
            f"onnxruntime computes the model with a difference of {largest:.2g}; expected at most {TOLERANCE:g}. No "
            "file was written."
        )
    return largest


def _made(form: Form, sizes: Mapping[str, int], seed: int) -> tuple[Tensor, ...]:
    """Inputs made up at random."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(value.made(sizes, generator) for value in form.inputs.values())


def _check_dtype(module: nn.Module) -> None:
    """Refuses a model that onnxruntime has no recurrent layers for.

    Raises:
        ConversionError: It is not in float32.
    """
    dtypes = {str(tensor.dtype) for tensor in module.state_dict().values() if tensor.is_floating_point()}
    if dtypes - {"torch.float32"}:
        raise ConversionError(
            f"The model is in {', '.join(sorted(dtypes))}; expected torch.float32 alone, in which onnxruntime computes "
            "recurrent layers: convert it by .float()."
        )


def _tidied(model: Any, form: Form) -> bytes:
    """The model without what the exporter says of the program that it traced, and with the names of the axes."""
    graph = model.graph
    _name(graph, form)
    del graph.value_info[:], graph.metadata_props[:], model.metadata_props[:]
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    taken = set()
    for node in graph.node:
        if node.op_type in onnx_recurrent.KINDS and node.input[1] not in taken:
            taken.add(node.input[1])  # layers with the same weights share them in the file
            node.name = node.input[1].replace("W_", "")
    names = _axes(graph, form)
    for value in (*graph.input, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.HasField("dim_param"):
                dimension.dim_param = names.get(dimension.dim_param, "")
    model.producer_name, model.producer_version = "holdfast", ""
    content: bytes = model.SerializeToString()
    return content


def _axes(graph: Any, form: Form) -> dict[str, str]:
    """The name of each axis that the exporter left open.

    Inputs may have different numbers of steps where the exporter did not find that they are the same: the further ones
    are called ``time_2`` and so on. onnxruntime takes axes of one name for axes of one size.
    """
    names: dict[str, str] = {}
    for value, given in zip(graph.input, form.inputs.values(), strict=True):
        for dimension, axis in zip(value.type.tensor_type.shape.dim, given.axes, strict=True):
            if isinstance(axis, str) and dimension.dim_param not in names:
                count = 1 + sum(name.partition("_")[0] == axis for name in names.values())
                names[dimension.dim_param] = axis if count == 1 or axis != "time" else f"{axis}_{count}"
    return names


def _name(graph: Any, form: Form) -> None:
    """Gives inputs and outputs their names; a value of the exporter's that has one of these is called otherwise."""
    wanted = {f"{_OWN}input {number}": name for number, name in enumerate(form.inputs)}
    wanted |= {f"{_OWN}output {number}": name for number, name in enumerate(form.outputs)}
    given = set(wanted.values())

    def named(value: str) -> str:
        return wanted.get(value, f"{_OWN}{value}" if value in given else value)

    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [named(value) for value in names]
    for part in (*graph.initializer, *graph.input, *graph.output):
        part.name = named(part.name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps to itself what the exporter says of its own inside: deprecated calls, and libraries that it looks for."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
