"""What the memory policies cost: peak memory over 4,096 steps, time, and what goes to the host."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import holdfast
from holdfast.engines.memory import host_copies

T = 4096
MEASURE = """
import json, re, sys, torch, holdfast
torch.set_num_threads(1)
torch.manual_seed(0)
steps, memory = int(sys.argv[1]), sys.argv[2]
layer = holdfast.LSTM(16, 64, batch_first=True, memory=memory, engine="reference")

def train(steps):
    x = torch.randn(16, steps, 16, requires_grad=True)
    layer(x)[1][0].sum().backward()
    return x

def peak():  # of this program alone: getrusage would also count the process that started it
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024

train(64)
before = peak()
x = train(steps)
print(json.dumps({"megabytes": peak() - before, "gradient": float(layer.weight_hh_l0.grad.double().norm())}))
"""


def measured(steps: int, memory: str) -> dict[str, float]:
    """Growth of the peak memory over a forward and backward pass, in a process of its own."""
    command = [sys.executable, "-c", MEASURE, str(steps), memory]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak memory of a process alone")
def test_recompute_needs_at_most_a_fifth_of_the_memory_of_keep() -> None:
    keep, recompute = measured(T, "keep"), measured(T, "recompute")
    assert recompute["gradient"] == pytest.approx(keep["gradient"], rel=1e-4)
    assert keep["megabytes"] > 100  # what is measured is there
    assert recompute["megabytes"] <= keep["megabytes"] / 5


def test_a_backward_pass_takes_time_in_proportion_to_the_steps() -> None:
    """The gradient of each step must not be as large as all the steps: that would be quadratic."""

    def seconds(steps: int) -> float:
        layer = holdfast.GRU(64, 64, batch_first=True)
        best = float("inf")
        for _ in range(3):
            total = layer(torch.randn(32, steps, 64, requires_grad=True))[0].sum()
            start = time.perf_counter()
            total.backward()
            best = min(best, time.perf_counter() - start)
        return best

    assert seconds(800) < 3 * 8 * seconds(100)  # 8 times the steps; a quadratic one takes over 40 times as long


@pytest.mark.parametrize("only_c", [False, True], ids=["loss of h and c", "loss of c"])
@pytest.mark.parametrize("trained", ["weight_hr", "weight_hh", "bias_ih", "weight_peephole", None])
def test_recompute_with_some_parameters_frozen(trained: str | None, only_c: bool) -> None:
    """In segments of one step, the cell state does not depend on every parameter."""
    layer = holdfast.LSTM(3, 5, proj_size=2, peepholes=True, dtype=torch.float64)
    layer.requires_grad_(False)
    wanted = [layer.get_parameter(f"{trained}_l0").requires_grad_()] if trained else []
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=not trained)
    found = []
    for layer.memory, layer.segment in (("keep", None), ("recompute", 1)):
        h, c = layer(x)[1]
        total = c.square().sum() if only_c else h.sum() + c.square().sum()
        found.append(torch.autograd.grad(total, [*wanted, *([] if trained else [x])]))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-13)


def test_recompute_sees_the_parameters_of_an_activation_of_ones_own() -> None:
    slopes = []
    for memory in ("keep", "recompute"):
        torch.manual_seed(0)
        activation = nn.PReLU(dtype=torch.float64)
        layer = holdfast.RNN(3, 5, activation=activation, memory=memory, dtype=torch.float64)
        layer(torch.randn(9, 2, 3, dtype=torch.float64))[0].sum().backward()
        slopes.append(activation.weight.grad)
    assert slopes[0] is not None
    torch.testing.assert_close(slopes[1], slopes[0])


def test_recompute_under_autocast() -> None:
    slopes = []
    for memory in ("keep", "recompute"):
        torch.manual_seed(0)
        layer = holdfast.GRU(3, 5, memory=memory)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            total = layer(torch.randn(9, 2, 3))[0].sum()
        total.backward()
        slopes.append(layer.weight_hh_l0.grad)
    assert slopes[0] is not None
    torch.testing.assert_close(slopes[1], slopes[0], rtol=0.02, atol=0.02)


def test_a_backward_pass_can_be_run_twice_over_recomputed_steps() -> None:
    layer = holdfast.LSTM(3, 5, memory="recompute")
    total = layer(torch.randn(9, 2, 3))[0].sum()
    total.backward(retain_graph=True)
    once = layer.weight_hh_l0.grad.clone()
    total.backward()
    torch.testing.assert_close(layer.weight_hh_l0.grad, 2 * once)


def saved_bytes(run: Any) -> int:
    """The bytes that a run leaves behind for its backward pass, each storage once."""
    storages: dict[int, tuple[Any, int]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = (tensor, storage.nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(size for _, size in storages.values())


def test_recompute_keeps_in_proportion_to_the_square_root() -> None:
    def kept(steps: int) -> int:
        cell = holdfast.LSTMCell(4, 32)
        x = torch.randn(2, steps, 4)
        return saved_bytes(lambda: holdfast.unroll(cell, x, memory="recompute"))

    small, large = kept(100) - 100 * 2 * 4 * 4, kept(1600) - 1600 * 2 * 4 * 4  # without the input
    assert large <= 4.5 * small


def test_host_copies_give_back_the_same_values() -> None:
    cell = holdfast.LSTMCell(4, 8, weight_dropout=0.3, layer_norm=True, dtype=torch.float64)
    found = []
    for context in (torch.enable_grad, host_copies):
        torch.manual_seed(2)
        x = torch.randn(3, 6, 4, dtype=torch.float64, requires_grad=True)
        with context():
            outputs, _ = holdfast.unroll(cell, x, lengths=[6, 0, 2])
        found.append([outputs, *torch.autograd.grad(outputs.square().sum(), [x, *cell.parameters()])])
    for got, expected in zip(*found, strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize("options", [{}, {"weight_dropout": 0.5}, {"layer_norm": True}])
def test_host_copies_leave_weights_where_they_are(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are not copied at all, and those that DropConnect has changed once, not at every step."""
    cell = holdfast.LSTMCell(4, 8, **options)
    copied: list[tuple[int, ...]] = []
    plain = Tensor.to

    def watched(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if kwargs.get("copy"):
            copied.append(tuple(self.shape))
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(Tensor, "to", watched)
    x = torch.randn(3, 20, 4)
    with host_copies():
        holdfast.unroll(cell, x)
    weights = [shape for shape in copied if shape in {(32, 4), (4, 32), (32, 8), (8, 32)}]
    assert len(weights) == (1 if options.get("weight_dropout") else 0)
    assert len(copied) > 20  # what the steps computed is copied


def test_host_copies_notice_a_change_in_place() -> None:
    a = torch.randn(3, requires_grad=True)
    b = a * 2
    with host_copies():
        first = b.square().sum()
        with torch.no_grad():
            b.add_(1)
        second = b.square().sum()
    (gradient,) = torch.autograd.grad(first + second, a)
    torch.testing.assert_close(gradient, 2 * 2 * (2 * a + 2 * a + 1).detach())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: on a CPU, offload has nowhere to go")
def test_offload_frees_the_memory_of_a_gpu() -> None:
    peaks, slopes = {}, {}
    for memory in ("keep", "offload"):
        torch.manual_seed(0)
        layer = holdfast.LSTM(64, 256, weight_dropout=0.2, batch_first=True, memory=memory, device="cuda")
        x = torch.randn(64, 500, 64, device="cuda")
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        total = layer(x)[1][0].sum()
        peaks[memory] = torch.cuda.memory_allocated() - before
        total.backward()
        slopes[memory] = layer.weight_hh_l0.grad
    torch.testing.assert_close(slopes["offload"], slopes["keep"])
    assert peaks["offload"] < peaks["keep"] / 2


def test_offload_is_keep_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[host_copies.__module__]  # the name holdfast.unroll is the function's
    monkeypatch.setattr(module, "host_copies", lambda: pytest.fail("copied from the host to the host"))
    layer = holdfast.LSTM(4, 8, memory="offload")
    layer(torch.randn(5, 2, 4))[0].sum().backward()
    assert layer.weight_hh_l0.grad is not None


def test_no_policy_keeps_anything_without_gradients() -> None:
    for memory in ("keep", "recompute", "offload"):
        layer = holdfast.LSTM(4, 8, memory=memory)
        with torch.inference_mode():
            output, _ = layer(torch.randn(5, 2, 4))
        assert not output.requires_grad
