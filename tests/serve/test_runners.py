"""Streams that are kept between requests start every request from zeros."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

import holdfast
from holdfast import runtime
from holdfast.runtime.network import read
from holdfast.serve.limits import Limits
from holdfast.serve.refusals import Refusal
from holdfast.serve.runners import StreamRunner


def test_every_request_gets_the_bits_of_a_new_stream(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "stream.safetensors"
    holdfast.Stream(holdfast.GRU(3, 5, num_layers=2)).export(path)
    runner = StreamRunner(read(path))
    generator = np.random.default_rng(0)
    inputs = [generator.normal(size=(1 + k % 7, 1 + k % 5, 3)).astype(np.float32) for k in range(60)]
    inputs[10][:] = np.nan
    expected = [runtime.load(path, batch=len(x)).run(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda x: runner.run({"input": x}, Limits())["output"], inputs))
    for got, wanted in zip(results, expected, strict=True):
        assert np.array_equal(got, wanted, equal_nan=True), wanted.shape
    assert len(runner._idle) <= 4
    assert runner.run({"input": np.zeros((0, 4, 3), np.float32)}, Limits())["output"].shape == (0, 4, 5)
    assert runner.run({"input": np.zeros((2, 0, 3), np.float32)}, Limits())["output"].shape == (2, 0, 5)
    for shape, values in (((300, 1, 3), 3_000), ((10, 50, 3), 2_500)):
        with pytest.raises(Refusal, match=f"The output or the state would have {values:,} values; at most 2,000 are "):
            runner.run({"input": np.zeros(shape, np.float32)}, Limits(tensor_values=2_000))
