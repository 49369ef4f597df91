"""Regressors outside of their task: streams, networks in other formats, and ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tasks.regress.regressors import answers, examples, network, task

import holdfast
from holdfast import conversion, runtime
from holdfast.errors import ConversionError, OptionError
from holdfast.interop import formats
from holdfast.tasks import model_file

QUANTILES = {"loss": "quantile", "quantiles": [0.25, 0.5, 0.75]}
KINDS = [(1, False), (2, True)]


def saved(path: Path, targets: int, per_step: bool, **model: Any) -> tuple[Any, Any, Any]:
    given = examples(targets=targets, per_step=per_step)
    of = task(given, **model)
    net = network(of)
    model_file.save(path, of, net)
    return of, net, given


def expected_values(of: Any, net: Any, given: Any) -> Any:
    """[N, K] or [N, T, K]."""
    rows = [list(row["values"].values()) for row in answers(of, net, given)]
    return np.moveaxis(np.array(rows), 1, -1)


@pytest.mark.parametrize("weights", [None, "bfloat16"])
@pytest.mark.parametrize("options", [{}, {"input_layer": {"size": 4}, "cell": "gru"}, QUANTILES])
@pytest.mark.parametrize(("targets", "per_step"), KINDS)
def test_a_stream_takes_raw_values_and_gives_the_units_of_the_targets(
    targets: int, per_step: bool, options: Any, weights: Any, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    of, net, given = saved(path, targets, per_step, **options)
    expected, count = expected_values(of, net, given), len(of.quantiles)
    for stream in (runtime.load(path, 12, weights=weights), holdfast.Stream(path, 12, weights=weights)):
        assert stream.output_size == targets * count == len(stream.labels)
        outputs = stream.run(given.inputs).reshape(12, 6, targets, count)
        assert (np.diff(outputs) >= 0).all()
        points = outputs[..., count // 2] if per_step else outputs[:, -1, :, count // 2]
        spread = np.array(of.encoder.targets.scaling.std)
        assert np.abs((points - expected) / spread).max() < (0.1 if weights else 1e-5)
        stream.reset()
        steps = np.stack([stream.step(given.inputs[:, t]) for t in range(6)], 1).reshape(outputs.shape)
        np.testing.assert_allclose(steps, outputs, rtol=1e-5)
    stream.export(tmp_path / "small.safetensors")
    again = runtime.load(tmp_path / "small.safetensors", 12)
    np.testing.assert_allclose(again.run(given.inputs).reshape(outputs.shape), outputs, rtol=1e-6)


def test_the_names_of_a_streams_values_are_those_of_the_targets(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved(path, 2, True, **QUANTILES)
    assert runtime.load(path).labels == tuple(f"target {k} {q}" for k in range(2) for q in (0.25, 0.5, 0.75))
    saved(path, 1, True)
    assert runtime.load(path).labels == ("target",)


def test_a_head_over_all_steps_is_no_stream(tmp_path: Path) -> None:
    saved(tmp_path / "model.safetensors", 1, False, head="mean")
    with pytest.raises(OptionError, match=r"^The model's head is 'mean', over all steps of a sequence; a stream gives"):
        runtime.load(tmp_path / "model.safetensors")


@pytest.mark.parametrize(("targets", "per_step"), KINDS)
def test_a_network_takes_raw_values_and_gives_the_units_of_the_targets(
    targets: int, per_step: bool, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    of, net, given = saved(path, targets, per_step)
    with torch.inference_mode():
        values = formats.read(path)(torch.from_numpy(given.inputs).float()).numpy()
    np.testing.assert_allclose(values, expected_values(of, net, given), rtol=1e-4)
    if not per_step:
        done = conversion.convert(path, tmp_path / "model.pt")
        assert [row.name for row in done.layers.rows] == ["scaling", "recurrent", "output", "restored"]


def test_quantiles_have_no_network(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved(path, 1, False, **QUANTILES)
    with pytest.raises(ConversionError, match=r"is a model for the task 'regress', which is no chain of layers; "):
        formats.read(path)


@pytest.mark.parametrize(("targets", "per_step", "options"), [(1, False, {}), (2, True, QUANTILES)])
def test_onnx_takes_scaled_values_and_gives_the_units_of_the_targets(
    targets: int, per_step: bool, options: Any, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    import onnxruntime

    path = tmp_path / "model.safetensors"
    of, net, given = saved(path, targets, per_step, **options)
    scaled = of.encoder.scaling.apply(given.inputs)
    expected = expected_values(of, net, given)
    for streaming in (False, True):
        conversion.convert(path, tmp_path / "m.onnx", options={"streaming": streaming}, force=True)
        session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
        feed = {"inputs": scaled}
        for each in session.get_inputs()[1:]:
            zeros = np.zeros((1, 12, 8), np.float32)
            feed[each.name] = np.full(12, 6) if each.name == "lengths" else zeros
        assert [each.name for each in session.get_outputs()][:1] == ["values"]
        values = session.run(["values"], feed)[0].reshape(*expected.shape, -1)
        np.testing.assert_allclose(values[..., values.shape[-1] // 2], expected, rtol=1e-4)


def test_a_decoder_is_no_stream_and_no_chain_of_layers(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved(path, 2, True, encoder_decoder=True)
    with pytest.raises(OptionError, match=r"^The model has the part Repeated where a stream has none"):
        runtime.load(path)
    with pytest.raises(ConversionError, match=r"is a model for the task 'regress', which is no chain of layers; "):
        formats.read(path)
    pytest.importorskip("onnxruntime")
    with pytest.raises(ConversionError, match=r"^The model is an encoder and a decoder: its first output depends on"):
        conversion.convert(path, tmp_path / "m.onnx", options={"streaming": True})


def test_onnx_computes_a_decoder(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    import onnxruntime

    path = tmp_path / "model.safetensors"
    of, net, given = saved(path, 2, True, encoder_decoder=True)
    conversion.convert(path, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    feed = {"inputs": of.encoder.scaling.apply(given.inputs), "lengths": np.full(12, 6)}
    np.testing.assert_allclose(session.run(["values"], feed)[0], expected_values(of, net, given), rtol=1e-4)
