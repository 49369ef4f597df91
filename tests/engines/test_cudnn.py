"""The engine for CUDA: on the CPU what it makes of a request, against the reference; where there is a GPU, cuDNN."""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch

import holdfast
from holdfast.cells import Noise
from holdfast.engines import ENGINES
from holdfast.engines.cudnn import CudnnEngine
from holdfast.engines.function import differentiable
from variants import VARIANTS
from verification import converted, make_request, verify

FUSED = {
    "rnn",
    "rnn relu",
    "rnn without bias",
    "rnn single bias",
    "gru",
    "gru without bias",
    "gru single bias",
    "lstm",
    "lstm without bias",
    "lstm single bias",
    "lstm projection",
}
# rows, steps, inputs, units, lengths
SIZES: list[tuple[int, int, int, int, list[int] | None]] = [
    (1, 1, 1, 3, None),
    (3, 5, 2, 3, None),
    (4, 5, 2, 3, [3, 0, 5, 3]),
    (3, 4, 2, 63, [2, 1, 0]),  # shorter than the input
    (1, 6, 5, 100, [4]),
]


class OnTheCpu(CudnnEngine):
    device = "cpu"


@pytest.fixture
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> CudnnEngine:
    """The engine with torch's operations on the CPU, in the place of the one with those on CUDA."""
    monkeypatch.setitem(ENGINES, "cudnn", OnTheCpu())
    return ENGINES["cudnn"]  # type: ignore[return-value]


@pytest.mark.usefixtures("on_the_cpu")
@pytest.mark.parametrize("name", sorted(FUSED))
def test_every_fused_variant_equals_the_reference(name: str) -> None:
    kind, options = VARIANTS[name]
    for (batch, steps, inputs, units, lengths), reverse in itertools.product(SIZES, (False, True)):
        request = make_request(
            kind,
            batch=batch,
            steps=steps,
            input_size=inputs,
            hidden_size=units,
            lengths=lengths,
            reverse=reverse,
            return_states=kind != "lstm",
            **options,
        )
        verify("cudnn", request)


def test_the_others_are_refused_by_the_option_that_stops_them(on_the_cpu: CudnnEngine) -> None:
    reasons = {
        name: on_the_cpu.why_not(make_request(kind, training=True, **options))
        for name, (kind, options) in VARIANTS.items()
    }
    assert {name for name, reason in reasons.items() if reason is None} == FUSED
    assert reasons["lstm peepholes"] == "torch's fused LSTM has no peepholes=True."
    assert reasons["gru reset before"] == "torch's fused GRU has no reset_after=False."
    assert reasons["rnn zoneout"] == "torch's fused RNN has no zoneout_h=0.3."
    assert reasons["lstm projection, clipped"] == "torch's fused LSTM has no proj_clip=0.15."
    assert reasons["gru everything"] == "torch's fused GRU has no activation='softsign'."
    assert reasons["lstm dropout of the candidate"] == "torch's fused LSTM has no recurrent_dropout=0.4."


def test_why_not(on_the_cpu: CudnnEngine) -> None:
    reason = on_the_cpu.why_not
    assert CudnnEngine().why_not(make_request()) == "it computes on CUDA, and the input is on cpu."
    assert reason(make_request(activation=torch.sin)) == "torch's fused LSTM has no activation=sin."
    assert reason(make_request("rnn", activation="elu")) == "torch's fused RNN has no activation='elu'."
    every = make_request(return_states=True)
    assert reason(every) == "torch's fused LSTM does not give the cell state after every step."
    for memory in ("recompute", "offload"):
        expected = f"torch's fused LSTM keeps everything on the device; memory is {memory!r}."
        assert reason(replace(make_request(), memory=memory)) == expected  # type: ignore[arg-type]
    assert reason(make_request(batch=0)) == "there is nothing to compute in an input of shape (0, 5, 2)."
    assert reason(make_request(lengths=[0, 0, 0])) == "there is nothing to compute in rows of length 0 alone."


@pytest.mark.usefixtures("on_the_cpu")
def test_what_only_changes_the_parameters_or_training_is_no_obstacle(on_the_cpu: CudnnEngine) -> None:
    verify("cudnn", make_request(forget_bias=3.0, weight_dropout=0.5))
    dropped = make_request("gru", recurrent_dropout=0.4, recurrent_dropout_mode="candidate")
    verify("cudnn", dropped)  # evaluation
    assert on_the_cpu.why_not(replace(dropped, noise=Noise())) == "torch's fused GRU has no recurrent_dropout=0.4."


@pytest.mark.usefixtures("on_the_cpu")
@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_layers_give_what_the_reference_gives(kind: str) -> None:
    """Two layers in two directions, DropConnect included, called as a person calls them."""
    layer = getattr(holdfast, kind.upper())(
        3, 5, 2, bidirectional=True, batch_first=True, weight_dropout=0.5, dtype=torch.float64
    )
    x, lengths = torch.randn(4, 6, 3, dtype=torch.float64), [2, 6, 0, 3]
    found = []
    for engine in ("cudnn", "reference"):
        layer.engine = engine
        layer.zero_grad()
        torch.manual_seed(1)
        outputs, _ = layer(x, lengths=lengths)
        outputs.square().sum().backward()
        found.append([outputs.detach(), *(parameter.grad.clone() for parameter in layer.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_what_stands_in_the_padding_changes_no_bit(on_the_cpu: CudnnEngine, reverse: bool) -> None:
    request = converted(make_request("gru", batch=3, steps=4, lengths=[2, 0, 4], reverse=reverse), torch.float64)
    spoilt = request.inputs.clone()
    spoilt[0, 2:], spoilt[1] = math.nan, math.inf
    found = []
    for inputs in (request.inputs, spoilt):
        leaf = converted(replace(request, inputs=inputs), torch.float64, requires_grad=True)
        result = on_the_cpu.run(leaf)
        result.outputs.sum().backward()
        found.append([result.outputs.detach(), *result.state, *(t.grad for t in differentiable(leaf).values())])
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("options", [{}, {"proj_size": 2}, {"bias": False}, {"single_bias": True}])
def test_the_weights_lie_in_one_piece_matrices_first(
    on_the_cpu: CudnnEngine, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[torch.Tensor]] = []
    operation = torch.lstm

    def lstm(x: Any, hx: Any, parameters: list[torch.Tensor], **rest: Any) -> Any:
        seen.append(parameters)
        return operation(x, hx, parameters, **rest)

    monkeypatch.setattr(torch, "lstm", lstm)
    request = make_request(**options)
    on_the_cpu.run(request)
    matrices, biases = [*seen[0][:2], *seen[0][4:]], seen[0][2:4]
    assert [parameter.shape for parameter in biases] == [(12,), (12,)]
    at = seen[0][0].data_ptr()
    for parameter in (*matrices, *biases):
        assert parameter.is_contiguous()
        assert parameter.data_ptr() == at
        at += parameter.numel() * parameter.element_size()
    assert seen[0][0].untyped_storage().nbytes() == at - seen[0][0].data_ptr()


def test_on_the_cpu_it_says_why_not() -> None:
    told = holdfast.explain(holdfast.LSTM(3, 4), torch.zeros(5, 2, 3))
    assert told.choices[0].reasons["cudnn"] == "it computes on CUDA, and the input is on cpu."


# On a GPU

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@on_cuda
@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"single_bias": True}])
@pytest.mark.parametrize("lengths", [None, [4, 0, 7, 2]])
def test_cuda_gives_the_numbers_of_the_cpu_and_no_warning(
    kind: str, options: dict[str, Any], lengths: list[int] | None
) -> None:
    layer = getattr(holdfast, kind.upper())(6, 16, 2, bidirectional=True, dtype=torch.float64, **options)
    x = torch.randn(7, 4, 6, dtype=torch.float64)
    found = []
    for device in ("cpu", "cuda"):
        layer.to(device).zero_grad()
        if device == "cuda":
            assert holdfast.explain(layer, x.cuda(), lengths=lengths).engine == "cudnn"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            outputs, state = layer(x.to(device), lengths=lengths)
        outputs.square().sum().backward()
        final = state if isinstance(state, tuple) else (state,)
        found.append([t.detach().cpu() for t in (outputs, *final, *(p.grad for p in layer.parameters()))])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@on_cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_cuda_gives_the_numbers_of_torch_nn(dtype: torch.dtype) -> None:
    ours, theirs = holdfast.LSTM(8, 32).to("cuda", dtype), torch.nn.LSTM(8, 32).to("cuda", dtype)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(9, 4, 8, device="cuda", dtype=dtype)
    for a, b in zip(ours(x)[1], theirs(x)[1], strict=True):
        torch.testing.assert_close(a, b)
    with torch.autocast("cuda"):
        for a, b in zip(ours(x)[1], theirs(x)[1], strict=True):
            torch.testing.assert_close(a, b)


@on_cuda
def test_a_second_derivative_through_cudnn_is_refused() -> None:
    x = torch.randn(5, 2, 3, device="cuda", requires_grad=True)
    (gradient,) = torch.autograd.grad(holdfast.GRU(3, 4).cuda()(x)[0].sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="Double backwards is not supported for CuDNN RNNs"):
        gradient.sum().backward()
