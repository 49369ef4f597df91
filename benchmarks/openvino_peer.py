"""Runs ONNX models in OpenVINO for the benchmarks, in an environment that has OpenVINO and not Holdfast.

Started as ``python -m benchmarks.openvino_peer THREADS`` by ``workers.py``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import openvino

from benchmarks.rounds import average
from benchmarks.worker_loop import serve


def main() -> None:
    serve(Peer, int(sys.argv[1]))


class Peer:
    """OpenVINO on the CPU; its public methods are the requests."""

    def __init__(self, threads: int):
        self._core = openvino.Core()
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": "1"}
        self._core.set_property("CPU", {**settings, "INFERENCE_NUM_THREADS": str(threads)})
        self._request: Any = None

    def versions(self) -> dict[str, str]:
        """The version of OpenVINO."""
        return {"openvino": openvino.__version__.partition("-")[0]}

    def prepare(self, model: str, inputs: str, answers: str) -> dict[str, Any]:
        """Compiles a model, gives it its inputs and writes its output, as [B, T, ...]."""
        self._request = self._core.compile_model(model, "CPU").create_infer_request()
        with np.load(inputs) as arrays:
            for name, array in arrays.items():
                self._request.set_tensor(name, openvino.Tensor(array))
        self._request.infer()
        np.savez(answers, output=self._request.get_tensor("y").data.swapaxes(0, 1))
        return {"setting": {}}

    def seconds(self, which: str, calls: int, warm: bool) -> dict[str, float]:
        """The mean time of ``calls`` calls."""
        return {"seconds": average(self._request.infer, calls, warm)}


if __name__ == "__main__":
    main()
