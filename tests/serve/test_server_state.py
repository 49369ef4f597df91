"""All that can happen to streams at the same time, on two servers; ``make soak`` does it with 20,000 steps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("websockets", reason="the extra 'serve' is not installed")
pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")

from benchmarks.serving import state

STEPS = int(os.environ.get("HOLDFAST_STREAM_STEPS", "1200"))


def test_every_answer_is_that_of_the_stream_alone(tmp_path: Path) -> None:
    result = state.trial(tmp_path, streams=max(30, STEPS // 100), steps=STEPS)
    counts = result["counts"]
    assert result["faults"] == []
    assert counts["steps"] >= STEPS / 2
    assert all(counts[f"{door}: answers"] > STEPS / 40 for door in ("websocket", "sequence", "held state"))
    assert len(set(counts) & set(state.EVENTS)) > 15
