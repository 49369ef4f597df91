"""Layers and models that are not written as ONNX files, and the reasons given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import holdfast
from holdfast.errors import ConversionError
from holdfast.interop.onnx import export as onnx_export
from holdfast.interop.onnx import forms as onnx_forms
from holdfast.layers.forms import Form, Input
from holdfast.layers.recurrent_layer import RecurrentLayer


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (holdfast.LSTM(3, 4, layer_norm=True), "layer_norm = True"),
        (holdfast.LSTM(3, 4, proj_size=2), "proj_size = 2"),
        (holdfast.LSTM(3, 4, cell_clip=3.0), "cell_clip = 3.0"),
        (holdfast.GRU(3, 4, zoneout_h=0.1), "zoneout_h = 0.1"),
        (holdfast.LSTM(3, 4, zoneout_c=0.2), "zoneout_c = 0.2"),
    ],
)
def test_what_onnx_cannot_say_is_refused(layer: RecurrentLayer, message: str, tmp_path: Path) -> None:
    path = tmp_path / "layer.onnx"
    text = (
        f"The layer 'layer' has {message}, which ONNX's operators LSTM, GRU and RNN lack; expected a cell without it. "
        "Export in another format, or train without this option."
    )
    with pytest.raises(ConversionError, match=f"^{re.escape(text)}$"):
        onnx_forms.write(path, layer)
    assert not path.exists()


def test_activations_that_onnx_lacks_are_refused(tmp_path: Path) -> None:
    text = (
        "The layer 'layer' has the activation 'gelu', which ONNX's operators lack; expected one of affine, elu, "
        "hard_sigmoid, leaky_relu, relu, scaled_tanh, sigmoid, softplus, softsign, tanh, thresholded_relu. Train with "
        "one of these to export."
    )
    with pytest.raises(ConversionError, match=f"^{re.escape(text)}$"):
        onnx_forms.write(tmp_path / "layer.onnx", holdfast.GRU(3, 4, activation="gelu"))
    text = "The layer 'layer' has a Python function as an activation; ONNX has named activations alone."
    with pytest.raises(ConversionError, match=f"^{re.escape(text)}$"):
        onnx_forms.write(tmp_path / "layer.onnx", holdfast.RNN(3, 4, nonlinearity=torch.sin))


def test_dropout_inside_the_recurrence_is_left_out(tmp_path: Path) -> None:
    options = {"recurrent_dropout": 0.5, "weight_dropout": 0.5}
    assert onnx_forms.write(tmp_path / "layer.onnx", holdfast.LSTM(3, 4, 2, dropout=0.5, **options)) < 1e-6


@pytest.mark.parametrize(
    ("layer", "how"),
    [
        (holdfast.LSTM(3, 4, bidirectional=True), "is bidirectional"),
        (holdfast.LSTM(3, 4, reverse=True), "runs in reverse"),
    ],
)
def test_what_runs_against_time_does_not_stream(layer: RecurrentLayer, how: str, tmp_path: Path) -> None:
    text = (
        f"The LSTM {how}: its output depends on later steps. The streaming form needs a layer that "
        "runs forwards; write the whole model instead."
    )
    with pytest.raises(ConversionError, match=f"^{re.escape(text)}$"):
        onnx_forms.write(tmp_path / "layer.onnx", layer, streaming=True)


class Drifts(nn.Module):
    """Gives another result each time."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.linear(x) + self.calls * 1e-3  # type: ignore[no-any-return]


def test_a_difference_is_an_error_and_no_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"before")
    with pytest.raises(ConversionError) as caught:
        onnx_export.write(path, Form(Drifts(), {"x": Input(("batch", "time", 3))}, ("y",)))
    assert re.fullmatch(
        r"onnxruntime computes the model with a difference of 0.00\d+; expected at most 1e-05. No file was written.",
        str(caught.value),
    )
    assert path.read_bytes() == b"before"


def test_a_model_that_cannot_be_traced_is_refused(tmp_path: Path) -> None:
    class Branches(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if x.sum() > 0 else x  # type: ignore[no-any-return]

    with pytest.raises(ConversionError, match=r"^torch cannot trace the model: .* Write it in another format.$"):
        onnx_export.write(tmp_path / "model.onnx", Form(Branches(3, 3), {"x": Input(("batch", 3))}, ("y",)))


def test_what_the_exporter_lacks_is_refused(tmp_path: Path) -> None:
    class Runs(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).cummax(1).values

    text = r"^torch cannot express the model in ONNX's operators: .*cummax.* Write it in another format.$"
    with pytest.raises(ConversionError, match=text):
        onnx_export.write(tmp_path / "model.onnx", Form(Runs(3, 3), {"x": Input(("batch", "time", 3))}, ("y",)))


def test_a_model_of_even_numbers_of_steps_is_refused(tmp_path: Path) -> None:
    class Joins(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([super().forward(x), x[:, ::2].repeat_interleave(2, 1)[:, : x.shape[1] // 2 * 2]], 2)

    text = r"^The model does not take every number of steps, as an ONNX file must: it failed on x \[3, 9, 3\]"
    form = Form(Joins(3, 3), {"x": Input(("batch", "time", 3), least=4)}, ("y",))
    with pytest.raises(ConversionError, match=text):
        onnx_export.write(tmp_path / "model.onnx", form)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_are_refused(dtype: torch.dtype, tmp_path: Path) -> None:
    text = (
        f"The model is in {dtype}; expected torch.float32 alone, in which onnxruntime computes recurrent layers: "
        "convert it by .float()."
    )
    with pytest.raises(ConversionError, match=f"^{re.escape(text)}$"):
        onnx_forms.write(tmp_path / "layer.onnx", holdfast.LSTM(3, 4, dtype=dtype))
