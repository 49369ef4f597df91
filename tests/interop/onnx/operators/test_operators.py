"""The operators around recurrent layers, held against the node tests that come with ONNX."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from tests.interop.onnx.models import model, node_tests, value

from holdfast.errors import ConversionError, HoldfastError
from holdfast.interop.onnx import files as onnx_files
from holdfast.interop.onnx.graph import SUBGRAPHS
from holdfast.interop.onnx.operators import OPERATORS

KNOWN = {*OPERATORS, "Constant", "ConstantOfShape", *SUBGRAPHS}
NUMBERS = {
    np.dtype(name) for name in ("float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "bool")
}
REFUSED = {
    "test_gathernd_example_int32_batch_dim1": "GatherND has batch_dims = 1; expected 0.",
    **{
        f"test_training_dropout{ending}": (
            "Dropout got training_mode = true; expected false. Export the model for inference."
        )
        for ending in ("", "_default", "_default_mask", "_mask", "_zero_ratio", "_zero_ratio_mask")
    },
    **{
        f"test_scatternd_{ending}": f"ScatterND has reduction {ending[:3]!r}; expected 'none' or 'add'."
        for ending in ("max", "min", "max_with_element_indices", "min_with_element_indices")
    },
    **{
        f"test_scatter_elements_with_reduction_{ending}": (
            f"ScatterElements has reduction {ending!r}; expected 'none' or 'add'."
        )
        for ending in ("max", "min", "mul")
    },
    **{
        f"test_batchnorm_{ending}_training_mode": "The node 'BatchNormalization_0' (BatchNormalization) gives ('y', "
        "'output_mean', 'output_var'); expected at most 1."
        for ending in ("example", "epsilon")
    },
    **{
        f"test_resize_{ending}": (
            f"Resize has mode {mode!r}, coordinate_transformation_mode {how!r}, keep_aspect_ratio_policy 'stretch' and "
            f"antialias {antialias}; expected one of nearest, linear, cubic; one of half_pixel, half_pixel_symmetric, "
            "pytorch_half_pixel, align_corners, asymmetric; one of stretch, not_larger, not_smaller; and 0."
        )
        for ending, mode, how, antialias in (
            *(
                (f"downsample_{by}_{mode}_antialias", mode, "half_pixel", 1)
                for by in ("scales", "sizes")
                for mode in ("linear", "cubic")
            ),
            *(
                (f"tf_crop_and_resize{end}", "linear", "tf_crop_and_resize", 0)
                for end in ("", "_extrapolation_value", "_axes_2_3", "_axes_3_2")
            ),
        )
    },
    "test_scan_sum": "The node 'Scan_0' (Scan) is of version 8 of the operators; expected one from 9 on. Convert it by "
    "onnx.version_converter.",
    "test_scatternd_multiply": "ScatterND has reduction 'mul'; expected 'none' or 'add'.",
}
TORCH_CANNOT = {
    "test_averagepool_2d_ceil_last_window_starts_on_pad": "it is stated to four digits",
    "test_resize_downsample_scales_linear_align_corners": "onnxruntime and torch count whole values",
    "test_resize_downsample_scales_cubic_align_corners": "onnxruntime and torch count whole values",
    "test_reduce_max_empty_set": "the largest of no values",
    "test_reduce_max_empty_set_bool": "the largest of no values",
    "test_reduce_min_empty_set": "the smallest of no values",
    "test_top_k_same_values": "which of equal values comes first",
    "test_top_k_same_values_2d": "which of equal values comes first",
    "test_top_k_same_values_largest": "which of equal values comes first",
}


def usable(case: Any) -> bool:
    """Whether a case is one of the known operators alone, in a version that is read, on numbers that torch has."""
    if not {node.op_type for node in case.model.graph.node} <= KNOWN or case.model.opset_import[0].version < 7:
        return False
    arrays = [array for pair in case.data_sets for side in pair for array in side]
    return all(isinstance(array, np.ndarray | np.generic) and array.dtype in NUMBERS for array in arrays)


CASES = [case for case in node_tests() if usable(case)]


def run(content: bytes, inputs: list[np.ndarray], folder: Path) -> list[torch.Tensor]:
    (folder / "model.onnx").write_bytes(content)
    found = onnx_files.read(folder / "model.onnx")(*(torch.tensor(array) for array in inputs))
    return list(found) if isinstance(found, tuple) else [found]


def test_every_operator_is_tried() -> None:
    assert len(CASES) >= 700
    tried = {node.op_type for case in CASES for node in case.model.graph.node}
    assert KNOWN - tried == set()


def graph(op: str, inputs: list[str], tensors: dict[str, Any], version: int = 18, **attributes: Any) -> bytes:
    """A model of one node that takes x and constants."""
    kept = [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()]
    given = [value(name) for name in inputs if name and name not in tensors]
    node = helper.make_node(op, inputs, ["y"], name="one", **attributes)
    return bytes(model([node], given, [value("y")], kept, version).SerializeToString())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (graph("Not", ["x"], {}), lambda x: ~x.bool()),
        (graph("Softmax", ["x"], {}, version=11), lambda x: torch.softmax(x.flatten(1), 1).view_as(x)),
        (graph("Softmax", ["x"], {}, version=13), lambda x: torch.softmax(x, -1)),
        (graph("Squeeze", ["x"], {}, version=11, axes=[1]), lambda x: x[:, 0]),
        (graph("Squeeze", ["x", "a"], {"a": [1]}), lambda x: x[:, 0]),
        (graph("Slice", ["x"], {}, version=9, starts=[1], ends=[-1], axes=[2]), lambda x: x[:, :, 1:-1]),
        (graph("Slice", ["x", "a", "b"], {"a": [0], "b": [2]}), lambda x: x[:2]),
        (graph("Clip", ["x"], {}, version=10, min=-0.5, max=0.5), lambda x: x.clamp(-0.5, 0.5)),
        (graph("Clip", ["x", "", "b"], {"b": np.float32(0.5)}), lambda x: x.clamp(max=0.5)),
        (graph("ReduceSum", ["x"], {}, version=11, axes=[1, -1], keepdims=0), lambda x: x.sum((1, 2))),
        (graph("Gather", ["x", "a"], {"a": np.array([[0, -1]])}, axis=2), lambda x: x[:, :, [0, -1]][:, :, None]),
        (graph("Add", ["x", "a"], {"a": np.float32([1, 2, 3, 4])}), lambda x: x + torch.arange(1.0, 5)),
    ],
)
def test_other_versions_and_constants(content: bytes, expected: Any, tmp_path: Path) -> None:
    x = torch.randn(3, 1, 4)
    given = x > 0 if b"Not" in content else x
    (found,) = run(content, [given.numpy()], tmp_path)
    torch.testing.assert_close(found, expected(given))


def test_small_constants_become_arguments_and_others_parameters(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(graph("Unsqueeze", ["x", "a"], {"a": [0, 2]}))
    (node,) = onnx_files.read(path).nodes
    assert node.options == {"op": "Unsqueeze", "axes": [0, 2]}
    path.write_bytes(graph("Mul", ["x", "w"], {"w": np.ones((4, 2), np.float32)}))
    network = onnx_files.read(path)
    assert [name for name, _ in network.named_parameters()] == ["parts.w.value"]


def test_a_value_that_the_graph_gives_and_takes_nowhere_is_kept(tmp_path: Path) -> None:
    content = onnx.load_from_string(graph("Neg", ["w"], {"w": np.float32([1, 2])}))
    content.graph.output.append(value("w"))
    found = run(content.SerializeToString(), [], tmp_path)
    assert [one.tolist() for one in found] == [[-1, -2], [1, 2]]


def test_an_operator_that_is_not_known_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"^The node 'one' \(Det\) has no counterpart here; docs"):
        run(graph("Det", ["x"], {}), [], tmp_path)


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in TORCH_CANNOT], ids=lambda case: case.name)
def test_it_computes_what_onnx_says(case: Any, tmp_path: Path) -> None:
    content = case.model.SerializeToString()
    for inputs, outputs in case.data_sets:
        if case.name in REFUSED:
            with pytest.raises(HoldfastError) as caught:
                run(content, inputs, tmp_path)
            assert str(caught.value) == REFUSED[case.name]
            continue
        for ours, theirs in zip(run(content, inputs, tmp_path), outputs, strict=True):
            found = ours.detach().numpy()
            assert found.shape == theirs.shape
            assert found.dtype == theirs.dtype
            rough = 1e-3 if theirs.dtype == np.float16 else 1e-5
            np.testing.assert_allclose(found, theirs, rtol=rough, atol=rough)


def test_the_page_lists_every_operator() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "onnx.md").read_text("utf-8")
    listed = re.search(r"the functions of torch that do the same:\n\n(.*?)\n\n", page, re.DOTALL)
    assert listed is not None
    assert [name.strip() for name in listed[1].split(",")] == sorted(KNOWN)
