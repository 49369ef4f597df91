"""The contenders in this process: Holdfast's layers and torch.nn's, with the same weights and inputs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import holdfast
from benchmarks import cases
from benchmarks.cases import Case
from benchmarks.rounds import Answers, Unavailable

SEED = 0


@dataclass(frozen=True)
class Numbers:
    """The numbers for all contenders of a case: x [B, T, I], the output's gradient, lengths [B] and the weights."""

    x: Tensor
    dy: Tensor
    lengths: Tensor | None
    weights: dict[str, Tensor]

    @property
    def running(self) -> int:
        """The number of computed steps, over all rows."""
        return self.x.shape[0] * self.x.shape[1] if self.lengths is None else int(self.lengths.sum())


def numbers(case: Case) -> Numbers:
    """The numbers of a case, the same at every call."""
    torch.manual_seed(SEED)
    B, T, I, H = case.shape  # noqa: E741
    weights = {name: value.detach() for name, value in ours(case).state_dict().items()}
    width = case.options.get("proj_size", H) * (2 if case.options.get("bidirectional") else 1)
    lengths = None
    if case.uneven:
        lengths = torch.linspace(T // 2, T, B).round().long()[torch.randperm(B)]
    return Numbers(torch.randn(B, T, I), torch.randn(B, T, width), lengths, weights)


def ours(case: Case, **options: Any) -> nn.Module:
    """Our layer, in training mode: it draws random masks."""
    _, _, I, H = case.shape  # noqa: E741
    layer: nn.Module = getattr(holdfast, case.cell)(I, H, batch_first=True, **{**case.options, **options})
    return layer


class Layer:
    """A layer in this process: times its passes and returns their results."""

    def __init__(self, name: str, layer: nn.Module, given: Numbers, run: Callable[[Tensor], Tensor] | None = None):
        self.name, self.layer = name, layer
        self._x, self._dy = given.x, given.dy
        self._run = run or (lambda x: layer(x)[0])
        missing = layer.load_state_dict(given.weights, strict=False)
        assert not missing.missing_keys, missing

    def forward(self) -> Tensor:
        """Without autograd."""
        with torch.inference_mode():
            return self._run(self._x)

    def training(self) -> Tensor:
        """Forward, and the gradients of the parameters."""
        self.layer.zero_grad()
        y = self._run(self._x)
        if y.dtype != self._dy.dtype:
            self._dy = self._dy.to(y.dtype)
        y.backward(self._dy)
        return y

    def answers(self) -> Answers:
        """The output and the gradients of a training step."""
        torch.manual_seed(SEED)  # for the masks, if there are any
        answers = {"output": self.training().detach()}
        answers |= {name: p.grad for name, p in self.layer.named_parameters() if p.grad is not None}
        return {name: value.float().numpy().copy() for name, value in answers.items()}

    def seconds(self, which: str, calls: int, warm: bool) -> float:
        """The mean time of ``calls`` calls."""
        return average(getattr(self, which), calls, warm)


class CellLoop(Layer):
    """A loop over torch.nn's cell, as in torch's documentation; gradients have the layer's names."""

    def __init__(self, case: Case, given: Numbers):
        _, _, I, H = case.shape  # noqa: E741
        cell = getattr(nn, f"{case.cell}Cell")(I, H)
        weights = {name.removesuffix("_l0"): value for name, value in given.weights.items()}

        def run(x: Tensor) -> Tensor:
            outputs, state = [], None
            for x_t in x.unbind(1):
                state = cell(x_t, state)
                outputs.append(state[0] if case.cell == "LSTM" else state)
            return torch.stack(outputs, 1)

        super().__init__(cases.CELL_LOOP, cell, replace(given, weights=weights), run)

    def answers(self) -> Answers:
        """The output and the gradients of a training step, by the layer's names."""
        return {name if name == "output" else f"{name}_l0": value for name, value in super().answers().items()}


class Stream:
    """One step per call, with the state carried: torch.nn's layer, or ours with ``holdfast.Stream``."""

    def __init__(self, name: str, layer: nn.Module, given: Numbers):
        self.name, self.layer = name, layer
        layer.load_state_dict(given.weights)
        generator = torch.Generator().manual_seed(SEED)
        self._steps = torch.randn(16, given.x.shape[0], given.x.shape[2], generator=generator)
        self._state: Any = None
        self._stream: Any = None
        if isinstance(layer, holdfast.RNN | holdfast.GRU | holdfast.LSTM) and hasattr(holdfast, "Stream"):
            self._stream = holdfast.Stream(layer, batch=given.x.shape[0])
            self._arrays = list(self._steps.numpy())

    def _step(self, number: int) -> Any:
        if self._stream is not None:
            return self._stream.step(self._arrays[number % 16])
        y, self._state = self.layer(self._steps[number % 16, :, None], self._state)
        return y[:, 0]

    def answers(self) -> Answers:
        """The outputs of 16 steps."""
        with torch.inference_mode():
            return {"output": np.stack([torch.as_tensor(self._step(number)).clone().numpy() for number in range(16)])}

    def seconds(self, which: str, calls: int, warm: bool) -> float:
        """The mean time of ``calls`` steps."""
        numbers = itertools.count()
        with torch.inference_mode():
            return average(lambda: self._step(next(numbers)), calls, warm)


def average(run: Callable[[], Any], calls: int, warm: bool) -> float:
    """The mean seconds of ``calls`` calls."""
    if warm:
        run()
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) / calls


def engine(case: Case, given: Numbers) -> str:
    """The engine that runs our layer; if it is not the native one, also why not."""
    layer = ours(case)
    extra = {"lengths": given.lengths} if case.uneven else {"return_states": True} if case.states else {}
    with torch.autocast("cpu", torch.bfloat16) if case.bfloat16 else nullcontext():
        explained = holdfast.explain(layer, given.x, **extra)
    if explained.engine == "native":
        return "native"
    why = {choice.reasons["native"] for choice in explained.choices if "native" in choice.reasons}
    return f"{explained.engine}: {' '.join(sorted(why))}"


def our_contender(case: Case, given: Numbers, **options: Any) -> Layer | Stream:
    """Our layer as a contender."""
    layer = ours(case, **options)
    if case.passes == ("step",):
        return Stream("holdfast", layer, given)
    if case.bfloat16:

        def run(x: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return layer(x)[0]

        return Layer("holdfast", layer, given, run)
    if case.states:
        return Layer("holdfast", layer, given, lambda x: layer(x, return_states=True)[0])
    if given.lengths is not None:
        return Layer("holdfast", layer, given, lambda x: layer(x, lengths=given.lengths)[0])
    return Layer("holdfast", layer, given)


def reference(case: Case, given: Numbers) -> Layer | Stream:
    """The reference engine, for variants that no peer has: compared with, not timed."""
    return our_contender(case, given, engine="reference")


def peer(name: str, case: Case, given: Numbers) -> Layer | Stream:
    """A peer in this process.

    Raises:
        Unavailable: There is no peer with that name.
    """
    if name == cases.CELL_LOOP:
        return CellLoop(case, given)
    if name == cases.TORCH:
        return torch_layer(case, given)
    if name == cases.RECOMPUTE:
        return Layer(name, ours(case, memory="recompute"), given)
    if name in (cases.PLAIN, cases.FLOAT32):
        plain = replace(case, options={}, states=False, bfloat16=False)
        return Layer(name, ours(plain), numbers(plain))
    raise Unavailable(f"there is no peer {name!r}.")


def torch_layer(case: Case, given: Numbers) -> Layer | Stream:
    """torch.nn's layer; rows of unequal length go in as a ``PackedSequence``, and the output is padded like ours."""
    _, T, I, H = case.shape  # noqa: E741
    layer = getattr(nn, case.cell)(I, H, batch_first=True, **case.options)
    if case.passes == ("step",):
        return Stream(cases.TORCH, layer, given)
    if given.lengths is None:
        return Layer(cases.TORCH, layer, given)

    def run(x: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, given.lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=T)[0]

    return Layer(cases.TORCH, layer, given, run)
