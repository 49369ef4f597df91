"""The contenders in other environments: one process each, which sleeps while others run."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import onnx_model
from benchmarks.cases import Case
from benchmarks.layers import Numbers
from benchmarks.rounds import Answers, Unavailable

ROOT = Path(__file__).resolve().parents[1]


class Worker:
    """The process of one peer, such as ``"keras-jax"``, in its environment ``.venv-keras-jax``.

    Raises:
        Unavailable: There is no such environment, or its process does not start.
    """

    def __init__(self, name: str, threads: int, folder: Path):
        python = folder / f".venv-{name}" / "bin" / "python"
        if not python.exists():
            raise Unavailable("its environment is not there (make bench-peers makes it)")
        self.name = name
        self._files = tempfile.TemporaryDirectory()
        self._log = (Path(self._files.name) / "log").open("w+")
        module, _, backend = name.partition("-")
        command: list[str | Path] = [python, "-m", f"benchmarks.{module}_peer", *filter(None, [backend]), str(threads)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self.versions = self.ask("versions")

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Sends a request to the process and returns its answer.

        Raises:
            Unavailable: The process failed or has ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        line = ""
        if self._process.poll() is None:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise Unavailable(f"its process ended: {(self._log.read().strip().splitlines() or ['no message'])[-1]}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Unavailable(answer["error"])
        return answer

    def path(self, name: str) -> Path:
        """The path of a file shared with the process."""
        return Path(self._files.name) / name

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()
        self._log.close()
        self._files.cleanup()


class WorkerLayer:
    """A layer in a worker: times its passes and returns the arrays that the worker wrote."""

    passes: tuple[str, ...]

    def __init__(self, worker: Worker, **sizes: Any):
        self.name, self._worker, self._answers = worker.name, worker, worker.path("answers.npz")
        answer = worker.ask("prepare", answers=str(self._answers), **sizes)
        self.setting: dict[str, str] = answer["setting"]

    def answers(self) -> Answers:
        """The output, and the gradients of a training step."""
        with np.load(self._answers) as arrays:
            return dict(arrays)

    def seconds(self, which: str, calls: int, warm: bool) -> float:
        """The mean time that the worker measured."""
        return float(self._worker.ask("seconds", which=which, calls=calls, warm=warm)["seconds"])


class KerasLayer(WorkerLayer):
    """A Keras layer with the same inputs and weights as the others."""

    passes = ("forward", "training")

    def __init__(self, worker: Worker, case: Case, given: Numbers):
        arrays = {"x": given.x, "dy": given.dy, **given.weights}
        numbers = worker.path("numbers.npz")
        np.savez(numbers, **{name: value.numpy() for name, value in arrays.items()})
        super().__init__(worker, numbers=str(numbers), cell=case.cell, hidden_size=case.shape[3])


class OpenvinoLayer(WorkerLayer):
    """The ONNX model of a case, forward, in OpenVINO."""

    passes = ("forward",)

    def __init__(self, worker: Worker, case: Case, given: Numbers):
        model, inputs = worker.path("model.onnx"), worker.path("inputs.npz")
        model.write_bytes(onnx_model.model(case, given))
        np.savez(inputs, **onnx_model.inputs(given))
        super().__init__(worker, model=str(model), inputs=str(inputs))
