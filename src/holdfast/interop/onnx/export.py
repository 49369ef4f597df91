"""Writes ONNX files: torch's exporter traces the model, onnxruntime checks the result, and only then it is written."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import ConversionError, MissingLibraryError, ModelFileError
from holdfast.files.container import replace_file
from holdfast.interop.onnx import protobuf as onnx_protobuf
from holdfast.interop.onnx import recurrent as onnx_recurrent
from holdfast.interop.onnx.runtime import Runtime, relative_difference
from holdfast.interop.onnx.traced_layers import VERSION, exportable
from holdfast.layers.forms import AXES, Form

TOLERANCE = 1e-5
"""The largest accepted difference from onnxruntime, divided by the largest value, or by 1 if that is larger."""
_OWN = "holdfast "
"""The prefix of values until inputs and outputs have their final names."""
_SIZES = [dict(zip(AXES, sizes, strict=True)) for sizes in ((2, 3, 4, 5), (1, 1, 1, 1), (3, 9, 7, 6), (5, 24, 11, 9))]
"""The sizes for which a file is checked; the exporter traces the first."""


def write(path: Path, form: Form) -> float:
    """Writes a model atomically; an existing file is replaced.

    Args:
        path: The file.
        form: The model.

    Returns:
        The largest difference between the model and onnxruntime's results for the file, over several numbers of
        sequences and steps, divided by the largest value, or by 1 if that is larger.

    Raises:
        ConversionError: ONNX's operators cannot express the model, or the difference is above :data:`TOLERANCE`. No
            file is written.
        ModelFileError: The file cannot be written.
        MissingLibraryError: ``onnx``, ``onnxscript`` or ``onnxruntime`` is not installed.
    """
    return write_all({path: form})[path]


def write_all(forms: Mapping[Path, Form]) -> dict[Path, float]:
    """Writes several models as :func:`write` does, after all of them were checked."""
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
    """The content of the file for a model.

    Raises:
        ConversionError: ONNX's operators cannot express the model.
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
    parameters = inspect.signature(module.forward).parameters.values()
    named = [parameter for parameter in parameters if parameter.kind != parameter.VAR_POSITIONAL]
    if len(named) < len(shapes):
        shapes[len(named) :] = [tuple(shapes[len(named) :])]
    with _quiet():
        try:
            traced = torch.export.export(
                module, _samples(form, _SIZES[0], 0), dynamic_shapes=tuple(shapes), strict=False
            )
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
                f"torch cannot express the model in ONNX's operators: {reason}. Write it in another format."
            ) from error
    assert program is not None
    return _tidied(program.model_proto, form)


def largest_difference(content: bytes, form: Form) -> float:
    """Runs the content of a file and its model on the same random inputs.

    Returns:
        The largest difference, divided by the largest value, or by 1 if that is larger.

    Raises:
        ConversionError: The difference is above :data:`TOLERANCE`, or onnxruntime or the model fails.
        MissingLibraryError: ``onnxruntime`` is not installed.
    """
    runtime, model = Runtime(content), form.module.eval()
    largest = 0.0
    for seed, sizes in enumerate(_SIZES):
        inputs = _samples(form, sizes, seed)
        try:
            with torch.inference_mode():
                ours = model(*inputs)
        except RuntimeError as error:
            shapes = ", ".join(f"{name} {list(value.shape)}" for name, value in zip(form.inputs, inputs, strict=True))
            raise ConversionError(
                f"The model does not take every number of steps, as an ONNX file must: it failed on {shapes}. "
                "Write it in another format."
            ) from error
        theirs = runtime.run(dict(zip(form.inputs, inputs, strict=True)))
        largest = max(largest, relative_difference(ours if isinstance(ours, tuple) else (ours,), theirs))
    if not largest <= TOLERANCE:
        raise ConversionError(
            f"onnxruntime computes the model with a difference of {largest:.2g}; expected at most {TOLERANCE:g}. No "
            "file was written."
        )
    return largest


def _samples(form: Form, sizes: Mapping[str, int], seed: int) -> tuple[Tensor, ...]:
    """Random values for all inputs."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(value.sample(sizes, generator) for value in form.inputs.values())


def _check_dtype(module: nn.Module) -> None:
    """Refuses a model that is not in float32: onnxruntime has no recurrent layers for it.

    Raises:
        ConversionError: The model has other floating-point numbers.
    """
    dtypes = {str(tensor.dtype) for tensor in module.state_dict().values() if tensor.is_floating_point()}
    if dtypes - {"torch.float32"}:
        raise ConversionError(
            f"The model is in {', '.join(sorted(dtypes))}; expected torch.float32 alone, in which onnxruntime computes "
            "recurrent layers: convert it by .float()."
        )


def _tidied(model: Any, form: Form) -> bytes:
    """Removes the exporter's notes about the traced program, and names inputs, outputs, layers and axes."""
    graph = model.graph
    _name(graph, form)
    del graph.value_info[:], graph.metadata_props[:], model.metadata_props[:]
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    named = set()
    for node in graph.node:
        if node.op_type in onnx_recurrent.KINDS and node.input[1] not in named:
            named.add(node.input[1])  # layers with the same weights share them in the file
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
    """The name for each axis that the exporter left open.

    Two inputs may have different numbers of steps unless the exporter found that they are equal; the further axes are
    called ``time_2`` and so on. In onnxruntime, axes of the same name have the same size.
    """
    names: dict[str, str] = {}
    for value, spec in zip(graph.input, form.inputs.values(), strict=True):
        for dimension, axis in zip(value.type.tensor_type.shape.dim, spec.axes, strict=True):
            if isinstance(axis, str) and dimension.dim_param not in names:
                count = 1 + sum(name.partition("_")[0] == axis for name in names.values())
                names[dimension.dim_param] = axis if count == 1 or axis != "time" else f"{axis}_{count}"
    return names


def _name(graph: Any, form: Form) -> None:
    """Names inputs and outputs; another value with one of these names gets a prefix."""
    names_of = {f"{_OWN}input {number}": name for number, name in enumerate(form.inputs)}
    names_of |= {f"{_OWN}output {number}": name for number, name in enumerate(form.outputs)}
    reserved = set(names_of.values())

    def new_name(value: str) -> str:
        return names_of.get(value, f"{_OWN}{value}" if value in reserved else value)

    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [new_name(value) for value in names]
    for part in (*graph.initializer, *graph.input, *graph.output):
        part.name = new_name(part.name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides the exporter's warnings about itself: deprecated calls, and libraries that it looks for."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
