"""The contenders in this process: Holdfast's layers and torch.nn's, with the same weights and inputs."""

from __future__ import annotations

import itertools
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
from benchmarks.rounds import Answers, Unavailable, average

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

    passes = ("forward", "training")

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
    """A loop over the cell of torch.nn or ours, as in torch's documentation; gradients have the layer's names."""

    def __init__(self, name: str, library: Any, case: Case, given: Numbers):
        _, _, I, H = case.shape  # noqa: E741
        cell = getattr(library, f"{case.cell}Cell")(I, H)
        weights = {name.removesuffix("_l0"): value for name, value in given.weights.items()}

        def run(x: Tensor) -> Tensor:
            outputs, state = [], None
            for x_t in x.unbind(1):
                state = cell(x_t, state)
                outputs.append(state[0] if case.cell == "LSTM" else state)
            return torch.stack(outputs, 1)

        super().__init__(name, cell, replace(given, weights=weights), run)

    def answers(self) -> Answers:
        """The output and the gradients of a training step, by the layer's names."""
        return {name if name == "output" else f"{name}_l0": value for name, value in super().answers().items()}


def stream_inputs(given: Numbers) -> Tensor:
    """The inputs of 16 steps, [16, B, I]."""
    B, _, I = given.x.shape  # noqa: E741
    return torch.randn(16, B, I, generator=torch.Generator().manual_seed(SEED))


class TorchStream:
    """One step per call of torch.nn's layer, with the state carried."""

    name, passes = cases.TORCH, ("step",)

    def __init__(self, layer: nn.Module, given: Numbers):
        layer.load_state_dict(given.weights)
        self._layer, self._state = layer, None
        self._steps = itertools.cycle(stream_inputs(given)[:, :, None])

    def _step(self) -> Tensor:
        y, self._state = self._layer(next(self._steps), self._state)
        output: Tensor = y[:, 0]
        return output

    def answers(self) -> Answers:
        """The outputs of 16 steps."""
        with torch.inference_mode():
            return {"output": np.stack([self._step().numpy() for _ in range(16)])}

    def seconds(self, which: str, calls: int, warm: bool) -> float:
        """The mean time of ``calls`` steps."""
        with torch.inference_mode():
            return average(self._step, calls, warm)


class OwnStream:
    """One step per call of ``holdfast.Stream``, with arrays."""

    passes = ("step",)

    def __init__(self, name: str, layer: nn.Module, given: Numbers, **options: Any):
        layer.load_state_dict(given.weights)
        self.name, self._stream = name, holdfast.Stream(layer, batch=given.x.shape[0], **options)
        self._steps = itertools.cycle(stream_inputs(given).numpy())

    def _step(self) -> Any:
        return self._stream.step(next(self._steps))

    def answers(self) -> Answers:
        """The outputs of 16 steps."""
        return {"output": np.stack([self._step().copy() for _ in range(16)])}

    def seconds(self, which: str, calls: int, warm: bool) -> float:
        """The mean time of ``calls`` steps."""
        return average(self._step, calls, warm)


Contender = Layer | TorchStream | OwnStream


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


def our_contender(case: Case, given: Numbers, **options: Any) -> Contender:
    """Our layer, stream or cell as a contender."""
    if case.group == "cells":
        return CellLoop("holdfast", holdfast, case, given)
    layer = ours(case, **options)
    if case.passes == ("step",):
        return OwnStream("holdfast", layer, given, weights=case.weights)
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


def reference(case: Case, given: Numbers) -> Contender:
    """The reference engine, for variants that no peer has: compared with, not timed."""
    return our_contender(case, given, engine="reference")


def peer(name: str, case: Case, given: Numbers) -> Contender:
    """A peer in this process.

    Raises:
        Unavailable: There is no peer with that name.
    """
    if name == cases.CELL_LOOP or (name == cases.TORCH and case.group == "cells"):
        return CellLoop(name, nn, case, given)
    if name == cases.TORCH:
        return torch_layer(case, given)
    if name == cases.RECOMPUTE:
        return Layer(name, ours(case, memory="recompute"), given)
    if name == cases.FLOAT32 and case.passes == ("step",):
        return OwnStream(name, ours(case), given)
    if name in (cases.PLAIN, cases.FLOAT32):
        plain = replace(case, options={}, states=False, bfloat16=False)
        return Layer(name, ours(plain), numbers(plain))
    raise Unavailable(f"there is no peer {name!r}.")


def torch_layer(case: Case, given: Numbers) -> Contender:
    """torch.nn's layer; rows of unequal length go in as a ``PackedSequence``, and the output is padded like ours."""
    _, T, I, H = case.shape  # noqa: E741
    layer = getattr(nn, case.cell)(I, H, batch_first=True, **case.options)
    if case.passes == ("step",):
        return TorchStream(layer, given)
    if given.lengths is None:
        return Layer(cases.TORCH, layer, given)

    def run(x: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, given.lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=T)[0]

    return Layer(cases.TORCH, layer, given, run)
