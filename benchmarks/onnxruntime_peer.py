"""onnxruntime as a contender: forward passes and single steps of an ONNX model.

It runs in this process. Its threads wait for work in a loop, which it is fastest with; ``rounds.settle`` waits until
they sleep before another contender's turn. Inputs and outputs are bound once to memory that is allocated before, so a
call copies nothing.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnxruntime
import torch

from benchmarks import cases, onnx_model
from benchmarks.cases import Case
from benchmarks.layers import Numbers, stream_inputs
from benchmarks.rounds import Answers, average

make = onnxruntime.OrtValue.ortvalue_from_numpy


def contender(case: Case, given: Numbers) -> Layer | Stream:
    """The contender for a case."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    file = onnx_model.model(case, given)
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return Stream(session, case, given) if case.passes == ("step",) else Layer(session, case, given)


class Layer:
    """A whole layer, forward."""

    name, passes = cases.ONNXRUNTIME, ("forward",)

    def __init__(self, session: Any, case: Case, given: Numbers):
        B, T, _, H = case.shape
        self._session, self._binding = session, session.io_binding()
        # The bindings use the memory of the arrays, which the values keep.
        self._inputs = {name: make(array) for name, array in onnx_model.inputs(given).items()}
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        self._output = make(np.zeros((T, B, case.directions * H), np.float32))
        self._binding.bind_ortvalue_output("y", self._output)

    def _run(self) -> None:
        self._session.run_with_iobinding(self._binding)

    def answers(self) -> Answers:
        """The output."""
        self._run()
        return {"output": self._output.numpy().swapaxes(0, 1)}

    def seconds(self, which: str, calls: int, warm: bool) -> float:
        """The mean time of ``calls`` calls."""
        return average(self._run, calls, warm)


class Stream:
    """One step per call: each state has two places in memory, which take turns as the input and as the output."""

    name, passes = cases.ONNXRUNTIME, ("step",)

    def __init__(self, session: Any, case: Case, given: Numbers):
        B, _, I, H = case.shape  # noqa: E741
        self._session = session
        self._steps = list(stream_inputs(given).numpy()[:, None])
        self._input, self._output = make(np.zeros((1, B, I), np.float32)), make(np.zeros((1, B, H), np.float32))
        pairs = onnx_model.states(case)
        self._places = [[make(np.zeros((1, B, H), np.float32)) for _ in pairs] for _ in range(2)]
        self._bindings = []
        for before, after in (self._places, reversed(self._places)):
            binding = session.io_binding()
            binding.bind_ortvalue_input("x", self._input)
            binding.bind_ortvalue_output("y", self._output)
            for (source, target), old, new in zip(pairs, before, after, strict=True):
                binding.bind_ortvalue_input(source, old)
                binding.bind_ortvalue_output(target, new)
            self._bindings.append(binding)
        self._number = itertools.count()

    def _step(self) -> None:
        number = next(self._number)
        self._input.update_inplace(self._steps[number % len(self._steps)])
        self._session.run_with_iobinding(self._bindings[number % 2])

    def answers(self) -> Answers:
        """The outputs of the first steps."""
        outputs = []
        for _ in self._steps:
            self._step()
            outputs.append(self._output.numpy()[0].copy())
        return {"output": np.stack(outputs)}

    def seconds(self, which: str, calls: int, warm: bool) -> float:
        """The mean time of ``calls`` steps."""
        return average(self._step, calls, warm)
