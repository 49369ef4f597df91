"""Convolutions, pools, padding and resizing against onnxruntime, over many combinations of their attributes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from holdfast.errors import HoldfastError
from holdfast.interop.onnx import files as onnx_files
from holdfast.interop.onnx.runtime import Runtime

AUTO = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
RNG = np.random.default_rng(0)


def model(op: str, x: np.ndarray, tensors: dict[str, Any], version: int, outputs: int = 1, **attributes: Any) -> bytes:
    """One node that takes x and tensors; an empty one is left out."""
    kept = {name: np.asarray(value) for name, value in tensors.items() if np.size(value)}
    inputs = ["x", *(name if name in kept else "" for name in tensors)]
    while not inputs[-1]:
        inputs.pop()
    given = {name: value for name, value in attributes.items() if value is not None}
    names = ["y", "places"][:outputs]
    node = helper.make_node(op, inputs, names, name="one", **given)
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info("x", kind, x.shape)],
        [
            helper.make_tensor_value_info(name, one, None)
            for name, one in zip(names, (kind, TensorProto.INT64), strict=False)
        ],
        [numpy_helper.from_array(value, name) for name, value in kept.items()],
    )
    found = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)
    return bytes(found.SerializeToString())


def compare(content: bytes, x: np.ndarray, path: Path, what: Any) -> None:
    """Ours against onnxruntime's, within a few roundings."""
    (path / "m.onnx").write_bytes(content)
    found = onnx_files.read(path / "m.onnx")(torch.from_numpy(x))
    theirs = Runtime(content).run({"x": torch.from_numpy(x)})
    for ours, their in zip(found if isinstance(found, tuple) else (found,), theirs, strict=True):
        assert ours.shape == their.shape, what
        torch.testing.assert_close(
            ours, their, rtol=1e-5, atol=1e-5, equal_nan=True, msg=lambda text: f"{what}: {text}"
        )


def numbers(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("auto_pad", AUTO)
def test_convolutions(axes: int, auto_pad: str, tmp_path: Path) -> None:
    x = numbers(2, 4, *(11, 9)[:axes])
    for kernel, stride, dilation, group, biased in itertools.product((2, 3), (1, 2), (1, 2), (1, 2), (0, 1)):
        if auto_pad.startswith("SAME") and dilation > 1:
            continue  # onnxruntime takes no dilation there
        pads = [1, 2, 2, 0][: 2 * axes] if auto_pad == "NOTSET" else None
        sizes = [kernel, *[3] * (axes - 1)]
        given = {"w": numbers(6, 4 // group, *sizes), "b": numbers(6) if biased else []}
        options = {"pads": pads, "strides": [stride] * axes, "dilations": [dilation] * axes, "group": group}
        compare(model("Conv", x, given, 18, auto_pad=auto_pad, **options), x, tmp_path, options)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("auto_pad", AUTO)
def test_transposed_convolutions(axes: int, auto_pad: str, tmp_path: Path) -> None:
    x = numbers(2, 4, *(7, 5)[:axes])
    for kernel, stride, dilation, group, added in itertools.product((2, 3, 4), (1, 2, 3), (1, 2), (1, 2), (0, 1)):
        if added >= stride or (auto_pad.startswith("SAME") and (dilation - 1 or kernel < stride)):
            continue
        pads = [1, 0, 2, 1][: 2 * axes] if auto_pad == "NOTSET" else None
        given = {"w": numbers(4, 3, *[kernel] * axes), "b": numbers(3 * group)}
        options = {"pads": pads, "strides": [stride] * axes, "dilations": [dilation] * axes, "group": group}
        options["output_padding"] = [added] * axes
        compare(model("ConvTranspose", x, given, 11, auto_pad=auto_pad, **options), x, tmp_path, options)


@pytest.mark.parametrize("auto_pad", AUTO)
def test_a_transposed_convolution_of_a_size_that_is_said(auto_pad: str, tmp_path: Path) -> None:
    x = numbers(1, 2, 6)
    for size in (12, 13, 14):
        given = {"w": numbers(2, 2, 4)}
        options = {"strides": [2], "output_shape": [size]}
        compare(model("ConvTranspose", x, given, 11, auto_pad=auto_pad, **options), x, tmp_path, options)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("auto_pad", AUTO)
def test_pools(op: str, axes: int, auto_pad: str, tmp_path: Path) -> None:
    x = numbers(2, 3, *(10, 8, 7)[:axes])
    for kernel, stride, dilation, ceil, counted in itertools.product((2, 3), (1, 2, 3), (1, 2), (0, 1), (0, 1)):
        if auto_pad.startswith("SAME") and (dilation > 1 or ceil):
            continue
        pads = [1, 0, 1, 1, 1, 0][: 2 * axes] if auto_pad == "NOTSET" else None
        options = {"pads": pads, "strides": [stride] * axes, "dilations": [dilation] * axes, "ceil_mode": ceil}
        options |= {"kernel_shape": [kernel] * axes}
        options |= {"storage_order": counted} if op == "MaxPool" else {"count_include_pad": counted}
        outputs = 2 if op == "MaxPool" else 1
        compare(model(op, x, {}, 19, outputs, auto_pad=auto_pad, **options), x, tmp_path, options)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_padding(mode: str, tmp_path: Path) -> None:
    x = numbers(2, 3, 6, 5)
    for pads in (
        [0, 0, 1, 2, 0, 0, 2, 1],
        [0, 0, 4, 0, 0, 0, 0, 4],
        [0, 1, 0, 3, 0, 1, 2, 0],
        [0, 0, -1, 2, 0, 0, 2, -1],
    ):
        if mode != "constant" and min(pads) < 0:
            continue  # onnxruntime goes beyond the values
        compare(model("Pad", x, {"p": np.array(pads)}, 19, mode=mode), x, tmp_path, pads)
    given = {"p": np.array([1, 2]), "v": np.float32(0.5) if mode == "constant" else [], "axes": np.array([-1])}
    compare(model("Pad", x, given, 19, mode=mode), x, tmp_path, "along one axis")
    if mode != "wrap":
        attributes = {"pads": [0, 0, 1, 2, 0, 0, 2, 1], "mode": mode}
        compare(model("Pad", x, {}, 10, **attributes), x, tmp_path, "as an attribute")


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize(
    "coordinates", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"]
)
def test_resizing(mode: str, coordinates: str, tmp_path: Path) -> None:
    x = numbers(1, 2, 4, 6)  # the middle of an odd number of values lies between two roundings
    roundings = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil") if mode == "nearest" else (None,)
    for scale, rounding, outside in itertools.product((0.5, 0.7, 1.3, 2.0, 2.5), roundings, (0, 1)):
        if outside and mode != "cubic":
            continue
        options = {"nearest_mode": rounding, "exclude_outside": outside, "coordinate_transformation_mode": coordinates}
        scales = {"roi": [], "scales": np.float32([1, 1, scale, scale + 0.5])}
        compare(model("Resize", x, scales, 18, mode=mode, **options), x, tmp_path, (scale, options))
    sizes = {"roi": [], "scales": [], "sizes": np.array([1, 2, 8, 3])}
    options = {"coordinate_transformation_mode": coordinates}
    compare(model("Resize", x, sizes, 18, mode=mode, **options), x, tmp_path, "sizes")


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resizing_as_before_version_11(mode: str, tmp_path: Path) -> None:
    x = numbers(1, 2, 5, 6)
    scales = {"scales": np.float32([1, 1, 2, 1.5])}
    compare(model("Resize", x, scales, 10, mode=mode), x, tmp_path, mode)


@pytest.mark.parametrize("equation", ["bij,bjk->bik", "bhi,bci->bhc", "...ij,jk->...ik", "bij->bji", "ii->i", "bij"])
def test_sums_of_products(equation: str, tmp_path: Path) -> None:
    x = numbers(4, 4) if equation == "ii->i" else numbers(2, 3, 4)
    shapes = {"bij,bjk->bik": (2, 4, 5), "bhi,bci->bhc": (2, 5, 4), "...ij,jk->...ik": (4, 5)}
    given = {"other": numbers(*shapes[equation])} if equation in shapes else {}
    compare(model("Einsum", x, given, 12, equation=equation), x, tmp_path, equation)


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool", "InstanceNormalization"])
def test_over_whole_channels(op: str, tmp_path: Path) -> None:
    for x in (numbers(2, 3, 7), numbers(2, 3, 4, 5)):
        given = {"scale": numbers(3), "bias": numbers(3)} if op == "InstanceNormalization" else {}
        compare(model(op, x, given, 17), x, tmp_path, op)


@pytest.mark.parametrize(
    ("op", "tensors", "attributes", "message"),
    [
        ("Conv", {"w": numbers(2, 2, 3)}, {"auto_pad": "SAME"}, "Conv has auto_pad 'SAME' and pads"),
        ("MaxPool", {}, {"kernel_shape": [0]}, "MaxPool got a value of 3 dimensions, kernel_shape [0], strides"),
        (
            "AveragePool",
            {},
            {"kernel_shape": [2], "pads": [1, -1]},
            "AveragePool has auto_pad 'NOTSET' and pads [1, -1]",
        ),
        (
            "ConvTranspose",
            {"w": numbers(2, 2, 3)},
            {"output_shape": [3, 3]},
            "ConvTranspose has output_padding [0] and",
        ),
        ("Pad", {"p": np.array([1, 1])}, {"mode": "edge"}, "Pad has pads [1, 1]; expected two numbers for each of 3"),
        (
            "Pad",
            {"p": np.array([0, 0, 1, 0, 0, 1])},
            {"mode": "mirror"},
            "Pad has mode 'mirror'; expected one of const",
        ),
        (
            "Resize",
            {"roi": [], "scales": np.float32([1, 1, 2])},
            {"mode": "linear", "antialias": 1},
            "Resize has mode 'linear', coordinate_transformation_mode 'half_pixel', keep_aspect_ratio_policy 'stretch' "
            "and antialias 1; expected",
        ),
        (
            "Resize",
            {"roi": [], "scales": np.float32([1, 1])},
            {},
            "Resize has scales [1.0, 1.0]; expected a number above",
        ),
    ],
)
def test_what_torch_cannot_do_is_refused_by_name(
    op: str, tensors: dict[str, Any], attributes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    x = numbers(1, 2, 6)
    (tmp_path / "m.onnx").write_bytes(model(op, x, tensors, 19, **attributes))
    with pytest.raises(HoldfastError) as caught:
        onnx_files.read(tmp_path / "m.onnx")(torch.from_numpy(x))
    assert str(caught.value).startswith(message)
