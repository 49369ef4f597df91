"""Streams in files of version 2: the same network, and descriptions that are damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.runtime.saved_streams import as_before, changed, exported

from holdfast import runtime
from holdfast.errors import ModelFileError

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, d: a.pop("layers.1.bias_hh"), "The array 'layers.bias_hh_l1' is missing"),
        (lambda a, d: d.pop("cells"), "its description does not fit"),
        (lambda a, d: d.update(cells=7), "its description does not fit"),
        (lambda a, d: d.update(cells=[], residual=[]), "Recurrent layers have no cell"),
        (lambda a, d: d["cells"][0].update(colour=1), "its description does not fit"),
        (lambda a, d: d["cells"][0].update(hidden_size=-1), "LSTM hidden_size is -1; expected a whole number"),
        (lambda a, d: d["cells"][0].update(activation="elu(1, 2)"), "The activation 'elu(1, 2)' has other parameters"),
        (lambda a, d: d["cells"][0].update(output_activation=7), "There is no activation 7"),
        (lambda a, d: d["cells"][0].update(gate_clip="1"), "LSTM gate_clip is '1'; expected a number"),
        (lambda a, d: d["cells"][1].update(input_size=6), "Layer 1 has 6 inputs; the one below has 5 outputs"),
        (lambda a, d: d["cells"][0].update(kind="gru"), "GRU has no option"),
        (lambda a, d: d.update(residual=[False, True]), "Layer 1 has 5 inputs; the one below has 5 outputs"),
        (lambda a, d: d.update(residual=[True, False]), "The layers that add their input to their output are not all"),
        (lambda a, d: d.update(residual=[True]), "There are 2 cells, and 1 of them add their input or not"),
        (lambda a, d: d.update(labels=["a"]), "There are 1 labels for 4 scores"),
        (lambda a, d: d.update(scaling={"kind": "twice", "mean": [], "std": []}), "The saved scaling does not fit"),
        (lambda a, d: d.update(scaling={"kind": "standard", "mean": [1], "std": [1]}), "Recurrent takes 3 values"),
        (lambda a, d: d.update(scaling={"kind": "standard", "mean": ["1"], "std": [1]}), "The saved scaling does not"),
        (lambda a, d: a.update({"input.weight": np.zeros(3, np.float32)}), "its description does not fit"),
        (lambda a, d: a.update({"input.bias": np.zeros(3, np.float32)}), "The array 'input.bias' has shape (3,)"),
        (
            lambda a, d: a.update({"output.weight": np.zeros((2, 3), np.float32)}),
            "Linear takes 3 values; the part b",
        ),
        (lambda a, d: a.update({"output.weight": np.zeros((2, 4), np.float32)}), "The array 'output.bias' is missing"),
        (lambda a, d: a.update({"layers.0.bias_ih": a["layers.0.bias_ih"].astype("f8")}), "The array 'layers.bias_ih_"),
    ],
)
def test_damaged_descriptions_of_version_2(path: Path, change: Any, message: str) -> None:
    exported(path)
    as_before(path)
    said = changed(path, change)
    assert said.startswith(f"damaged: {message}")
    assert said.endswith(". Take another copy of it.")


def test_a_stream_of_version_2_is_the_same_one(path: Path) -> None:
    stream = exported(path)
    as_before(path)
    assert runtime.load(path).network.fingerprint == stream.network.fingerprint


def test_other_files_are_refused(path: Path) -> None:
    exported(path)
    as_before(path)
    assert changed(path, lambda a, d: d.update(task="strem")) == (
        "a model for the task 'strem': did you mean 'stream'? Known: classify, stream."
    )
    with pytest.raises(ModelFileError) as error:
        runtime.load(path.with_name("other"))
    assert str(error.value) == f"{path.with_name('other')} is not there. Check the path, or train a model first."
    path.unlink()
    with pytest.raises(ModelFileError, match=r"holds no model\.safetensors: it is not the folder of a finished run"):
        runtime.load(path.parent)
