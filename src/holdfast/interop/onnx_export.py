"""Models of Holdfast out as ONNX files: traced by torch's exporter, held against onnxruntime, and only then written."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from holdfast.container import replace_file
from holdfast.errors import ConversionError, MissingLibraryError, ModelFileError
from holdfast.interop import onnx_protobuf
from holdfast.interop.onnx_layers import VERSION, exportable

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
"""The largest difference to onnxruntime that is let pass, in parts of the largest value (of 1 at least)."""
_SIZES = ({"batch": 2, "time": 3}, {"batch": 1, "time": 1}, {"batch": 3, "time": 9}, {"batch": 5, "time": 24})
"""What is tried; the first is what the exporter traces."""


@dataclass(frozen=True)
class Input:
    """An input of an exported model.

    Attributes:
        axes: Its dimensions: a number for one of that size, a name for one of any size. ``"batch"`` and ``"time"`` are
            those that are known.
        kind: Numbers; ids from 0 to below ``high``; or lengths, from 1 to the size of ``"time"``.
        high: As said.
    """

    axes: tuple[int | str, ...]
    kind: Literal["numbers", "ids", "lengths"] = "numbers"
    high: int = 0

    def made(self, sizes: Mapping[str, int], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
        """One made up at random."""
        shape = [sizes[axis] if isinstance(axis, str) else axis for axis in self.axes]
        if self.kind == "numbers":
            return torch.randn(shape, generator=generator, dtype=dtype)
        low, high = (0, self.high) if self.kind == "ids" else (1, sizes["time"] + 1)
        return torch.randint(low, high, shape, generator=generator)


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
    content = exported(form)
    difference = largest_difference(content, form)
    try:
        replace_file(path, content)
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be written: {error.strerror}. Make room there or choose another folder."
        ) from error
    return difference


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
    module = exportable(form.module)
    dynamic = torch.export.Dim.DYNAMIC
    shapes = tuple(
        {place: dynamic for place, axis in enumerate(value.axes) if isinstance(axis, str)}
        for value in form.inputs.values()
    )
    with _quiet():
        program = torch.onnx.export(
            module,
            _made(form, _SIZES[0], 0),
            dynamo=True,
            input_names=list(form.inputs),
            output_names=list(form.outputs),
            dynamic_shapes=shapes,
            opset_version=VERSION,
            verbose=False,
        )
    assert program is not None
    return _tidied(program.model_proto, form)


def largest_difference(content: bytes, form: Form) -> float:
    """Runs a file's content and the model it was made of on the same random inputs.

    Returns:
        The largest difference, in parts of the largest value (of 1 at least).

    Raises:
        ConversionError: It is above :data:`TOLERANCE`, or onnxruntime cannot run the file.
        MissingLibraryError: ``onnxruntime`` is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingLibraryError(
            "ONNX files are checked by the library onnxruntime before they are written, which cannot be loaded: pip "
            "install 'holdfast[onnx]'."
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    model = form.module.eval()
    largest = 0.0
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        for seed, sizes in enumerate(_SIZES):
            inputs = _made(form, sizes, seed)
            named = {name: x.numpy() for name, x in zip(form.inputs, inputs, strict=True)}
            theirs = session.run(list(form.outputs), named)
            with torch.inference_mode():
                ours = model(*inputs)
            for own, other in zip(ours if isinstance(ours, tuple) else (ours,), theirs, strict=True):
                largest = max(largest, _difference(own, torch.from_numpy(other)))
    except onnxruntime.capi.onnxruntime_pybind11_state.OnnxRuntimeException as error:
        raise ConversionError(f"onnxruntime cannot run the model: {str(error).splitlines()[0]}") from error
    bound = TOLERANCE[_dtype(model)]
    if not largest <= bound:
        raise ConversionError(
            f"onnxruntime computes the model with a difference of {largest:.2g}; expected at most {bound:g}. No file was "
            "written."
        )
    return largest


def _difference(ours: Tensor, theirs: Tensor) -> float:
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return float("inf")
    if not ours.numel():
        return 0.0
    return float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1))


def _made(form: Form, sizes: Mapping[str, int], seed: int) -> tuple[Tensor, ...]:
    """Inputs made up at random."""
    generator, dtype = torch.Generator().manual_seed(seed), _dtype(form.module)
    return tuple(value.made(sizes, generator, dtype) for value in form.inputs.values())


def _dtype(module: nn.Module) -> torch.dtype:
    """The precision of a model.

    Raises:
        ConversionError: It is none that onnxruntime computes recurrent layers in.
    """
    dtypes = {tensor.dtype for tensor in module.state_dict().values() if tensor.is_floating_point()} or {torch.float32}
    if len(dtypes) > 1 or not dtypes <= TOLERANCE.keys():
        raise ConversionError(
            f"The model is in {', '.join(sorted(map(str, dtypes)))}; expected torch.float32 or torch.float64 alone: "
            "convert it by .float()."
        )
    return dtypes.pop()


def _tidied(model: Any, form: Form) -> bytes:
    """The model without what the exporter says of the program that it traced, and with the names of the axes."""
    graph = model.graph
    del graph.value_info[:], graph.metadata_props[:], model.metadata_props[:]
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    names = {
        dimension.dim_param: axis
        for value, given in zip(graph.input, form.inputs.values(), strict=True)
        for dimension, axis in zip(value.type.tensor_type.shape.dim, given.axes, strict=True)
        if isinstance(axis, str)
    }
    for value in (*graph.input, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.HasField("dim_param"):
                dimension.dim_param = names.get(dimension.dim_param, "")
    model.producer_name, model.producer_version = "holdfast", ""
    content: bytes = model.SerializeToString()
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps to itself what the exporter says of its own inside: deprecated calls, and libraries that it looks for."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
