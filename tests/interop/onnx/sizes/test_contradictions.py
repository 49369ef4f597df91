"""Sizes of ONNX files that contradict one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from tests.interop.onnx.models import arrays, info, saved

from holdfast.errors import ConversionError
from holdfast.interop.onnx import files as onnx_files


@pytest.mark.parametrize(
    ("nodes", "sizes", "message"),
    [
        (
            [("Gather", ["table", "x"], "e", {}), ("LSTM", ["e", "W", "R"], "y", {"hidden_size": 4})],
            ["b", "t", "k"],
            "The node 'LSTM_1' (LSTM) takes a sequence of 4 dimensions; expected 3: steps, rows and values. The file's "
            "sizes contradict one another.",
        ),
        ([("LSTM", ["x", "W", "R"], "y", {})], ["t", "b", 5], "The node 'LSTM_0' (LSTM) takes steps of 5 values; its"),
        (
            [("Squeeze", ["x", "one"], "y", {})],
            [2, 3],
            "The node 'Squeeze_0' (Squeeze) removes dimension 1, which h",
        ),
        ([("Reshape", ["x", "four"], "y", {})], [2, 3], "The node 'Reshape_0' (Reshape) makes 4 elements of 6."),
        (
            [("MatMul", ["x", "table"], "y", {})],
            [2, 5],
            "The node 'MatMul_0' (MatMul) multiplies rows of 5 values by c",
        ),
        ([("Transpose", ["x"], "y", {"perm": [0, 1, 2]})], [2, 3], "The node 'Transpose_0' (Transpose) puts 2 dimensi"),
        (
            [("Conv", ["x", "W"], "y", {})],
            ["b", 3],
            "The node 'Conv_0' (Conv) takes a value of 2 dimensions; expected ",
        ),
        (
            [("Concat", ["x", "table"], "y", {"axis": 0})],
            [2, 5],
            "The node 'Concat_0' (Concat) joins values of sizes 5",
        ),
        ([("Gather", ["x", "one"], "y", {})], [1, 5], "The node 'Gather_0' (Gather) asks for place 1 of 1."),
        (
            [("Add", ["x", "table"], "y", {})],
            [6, 4],
            "The node 'Add_0' (Add) takes values of 4 and 3 elements along one",
        ),
    ],
)
def test_sizes_that_contradict_one_another_are_refused(
    nodes: list[Any], sizes: list[Any], message: str, tmp_path: Path
) -> None:
    given = arrays("LSTM")
    tensors = {"W": given["W"], "R": given["R"], "one": np.array([1]), "four": np.array([2, 2])}
    tensors["table"] = np.zeros((6, 3), np.float32)
    made = [helper.make_node(op, ins, [out], **attributes) for op, ins, out, attributes in nodes]
    kind = TensorProto.INT64 if nodes[0][:2] == ("Gather", ["table", "x"]) else TensorProto.FLOAT
    with pytest.raises(ConversionError) as caught:
        onnx_files.read(saved(made, [info("x", sizes, kind)], ["y"], tensors, tmp_path))
    assert str(caught.value).startswith(message)
