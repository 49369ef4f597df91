"""The official client of Triton, ``tritonclient[http]``, gets what it asks for.

It needs a Python with tritonclient, named by the environment variable HOLDFAST_TRITONCLIENT, or this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.serve.running import serving
from tests.tasks import untrained

import holdfast
from holdfast import runtime

PYTHON = os.environ.get("HOLDFAST_TRITONCLIENT") or (sys.executable if find_spec("tritonclient") else "")
CLIENT = Path(__file__).with_name("triton_client.py")


@pytest.mark.skipif(not PYTHON, reason="HOLDFAST_TRITONCLIENT names no Python with tritonclient[http]")
def test_tritonclient(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "stream.safetensors"
    holdfast.Stream(holdfast.LSTM(3, 5)).export(path)
    with serving(path, untrained.write("texts", tmp_path), streams=True) as server:
        command = [PYTHON, str(CLIENT), f"127.0.0.1:{server.port}", "stream"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        expected_texts = list(server.service.models.get("texts").predictor().predict_lines(["4 1", "ü"]))
    results = json.loads(done.stdout)
    ready = [results[name] for name in ("live", "ready", "model_ready", "version_ready", "absent_ready")]
    assert ready == [True, True, True, True, False]
    assert results["server"]["name"] == "holdfast"
    assert results["model"]["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, -1, 3]}]
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    expected = runtime.load(path, batch=2).run(x).ravel().tolist()
    assert results["outputs"] == [expected] * 7
    assert results["asynchronous"] == expected
    assert results["ids"] == ["seven"] * 7
    steps = runtime.load(path, batch=2).run(x)
    assert results["sequences"] == steps.swapaxes(0, 1).tolist()
    ended, unknown, first, exists, second = results["misfits"]
    assert [ended, unknown, exists] == ["412", "404", "409"]
    assert [first, second] == runtime.load(path).run(np.repeat(x[0, :1], 2, 0)).tolist()
    error = "The input 'input' has shape [1, 3]; expected [-1, -1, 3], where -1 is any size."
    assert results["error"] == ["400", error]
    assert results["labels"] == [answer["label"] for answer in expected_texts]
    rows = [[answer["probabilities"][label] for label in ("no", "yes")] for answer in expected_texts]
    assert results["probabilities"] == rows
