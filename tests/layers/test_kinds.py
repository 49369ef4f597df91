"""RNN, GRU and LSTM against torch.nn's, in float64: outputs, final states and every gradient."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import holdfast

I, H, T = 3, 5, 6  # noqa: E741 (the letters of the equations)
TOLERANCE = 1e-9

KINDS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "LSTM": (holdfast.LSTM, nn.LSTM, {}),
    "LSTM projected": (holdfast.LSTM, nn.LSTM, {"proj_size": 2}),
    "GRU": (holdfast.GRU, nn.GRU, {}),
    "RNN tanh": (holdfast.RNN, nn.RNN, {"nonlinearity": "tanh"}),
    "RNN relu": (holdfast.RNN, nn.RNN, {"nonlinearity": "relu"}),
}


def pair(kind: str, **arguments: Any) -> tuple[Any, Any]:
    """A layer of Holdfast and one of torch.nn with the same parameters, loaded strictly."""
    ours, theirs, more = KINDS[kind]
    arguments = {"dtype": torch.float64, **more, **arguments}
    theirs_layer, ours_layer = theirs(I, H, **arguments), ours(I, H, **arguments)
    ours_layer.load_state_dict(theirs_layer.state_dict(), strict=True)
    return ours_layer, theirs_layer


def flat(value: Any) -> list[Tensor]:
    """The tensors in what a layer returns, in order."""
    if isinstance(value, PackedSequence):
        return [value.data]
    if isinstance(value, Tensor):
        return [value]
    return [tensor for part in value for tensor in flat(part)]


def everything(layer: Any, x: Any, hx: Any, **call: Any) -> dict[str, Tensor]:
    """Results, and the gradients of a random function of all of them, by name."""
    layer.zero_grad()
    data = x.data if isinstance(x, PackedSequence) else x
    data = data.detach().clone().requires_grad_()
    given = PackedSequence(data, *x[1:]) if isinstance(x, PackedSequence) else data
    states = [] if hx is None else [part.detach().clone().requires_grad_() for part in flat(hx)]
    state = None if hx is None else tuple(states) if isinstance(hx, tuple) else states[0]
    results = flat(layer(given, state, **call))
    generator = torch.Generator().manual_seed(5)
    sum(
        (result * torch.randn(result.shape, generator=generator, dtype=result.dtype)).sum() for result in results
    ).backward()
    found = {f"result {k}": result.detach() for k, result in enumerate(results)}
    found |= {name: parameter.grad for name, parameter in layer.named_parameters()}
    found["input"] = data.grad
    return found | {f"state {k}": part.grad for k, part in enumerate(states)}


def assert_same(got: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert got[name].shape == value.shape, name
        torch.testing.assert_close(
            got[name], value, rtol=0, atol=TOLERANCE, msg=lambda text, name=name: f"{name}: {text}"
        )


def initial(layer: Any, batch: int | None) -> Any:
    """A random initial state."""
    parts = layer.num_layers * (2 if layer.bidirectional else 1)
    shape = (parts,) if batch is None else (parts, batch)
    h = torch.randn(*shape, layer.proj_size or H, dtype=torch.float64)
    return (h, torch.randn(*shape, H, dtype=torch.float64)) if "LSTM" in type(layer).__name__ else h


@pytest.mark.parametrize("with_state", [False, True], ids=["zeros", "initial state"])
@pytest.mark.parametrize("batch_first", [False, True], ids=["time first", "batch first"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_torch(
    kind: str, num_layers: int, bidirectional: bool, bias: bool, batch_first: bool, with_state: bool
) -> None:
    ours, theirs = pair(kind, num_layers=num_layers, bidirectional=bidirectional, bias=bias, batch_first=batch_first)
    x = torch.randn(4, T, I, dtype=torch.float64)
    x = x if batch_first else x.transpose(0, 1)
    lengths = torch.tensor([3, 6, 1, 4])
    order = torch.tensor([1, 3, 0, 2])
    in_order = x[order] if batch_first else x[:, order]
    inputs = {
        "padded": x,
        "unbatched": torch.randn(T, I, dtype=torch.float64),
        "packed": pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False),
        "packed, sorted": pack_padded_sequence(in_order, lengths[order], batch_first),
    }
    for name, given in inputs.items():
        hx = initial(theirs, None if name == "unbatched" else 4) if with_state else None
        assert_same(everything(ours, given, hx), everything(theirs, given, hx))


@pytest.mark.parametrize("kind", KINDS)
def test_a_packed_sequence_comes_back_packed_alike(kind: str) -> None:
    ours, theirs = pair(kind, bidirectional=True, num_layers=2)
    x = torch.randn(T, 4, I, dtype=torch.float64)
    for lengths, enforce_sorted in (([5, 5, 2, 1], True), ([1, 5, 2, 5], False)):
        packed = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=enforce_sorted)
        got, expected = ours(packed)[0], theirs(packed)[0]
        assert torch.equal(got.batch_sizes, expected.batch_sizes)
        for mine, other in (
            (got.sorted_indices, expected.sorted_indices),
            (got.unsorted_indices, expected.unsorted_indices),
        ):
            assert (mine is None) == (other is None)
            assert mine is None or torch.equal(mine, other)
        torch.testing.assert_close(got.data, expected.data, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("batch_first", [False, True], ids=["time first", "batch first"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("kind", KINDS)
def test_lengths_equal_a_packed_sequence(kind: str, bidirectional: bool, batch_first: bool) -> None:
    ours, theirs = pair(kind, num_layers=2, bidirectional=bidirectional, batch_first=batch_first)
    x = torch.randn(4, T, I, dtype=torch.float64)
    x = x if batch_first else x.transpose(0, 1)
    lengths = torch.tensor([3, 6, 1, 4])

    class Packing(nn.Module):
        """torch.nn's layer, called with lengths."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = theirs

        def forward(self, x: Tensor, hx: Any) -> Any:
            output, state = theirs(pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False), hx)
            return pad_packed_sequence(output, batch_first, total_length=T)[0], state

    for hx in (None, initial(theirs, 4)):
        expected = everything(Packing(), x, hx)
        expected = {name.removeprefix("inner."): value for name, value in expected.items()}
        for given in (lengths, lengths.tolist(), lengths.int(), lengths.numpy()):
            assert_same(everything(ours, x, hx, lengths=given), expected)


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("kind", KINDS)
def test_state_dicts_load_both_ways(kind: str, bias: bool, bidirectional: bool, num_layers: int) -> None:
    arguments = {"bias": bias, "bidirectional": bidirectional, "num_layers": num_layers}
    ours, theirs = pair(kind, **arguments)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    fresh_ours, fresh_theirs = (KINDS[kind][k](I, H, **KINDS[kind][2], **arguments).double() for k in (0, 1))
    fresh_theirs.load_state_dict(fresh_ours.state_dict(), strict=True)
    x = torch.randn(T, 2, I, dtype=torch.float64)
    torch.testing.assert_close(fresh_ours(x)[0], fresh_theirs(x)[0], rtol=0, atol=TOLERANCE)
    assert [w.shape for ws in ours.all_weights for w in ws] == [w.shape for ws in theirs.all_weights for w in ws]


def test_positional_arguments_mean_what_they_mean_in_torch() -> None:
    calls: list[tuple[Any, Any, tuple[Any, ...]]] = [
        (holdfast.LSTM, nn.LSTM, (I, H, 2, False, True, 0.25, True, 2)),
        (holdfast.GRU, nn.GRU, (I, H, 2, False, True, 0.25, True)),
        (holdfast.RNN, nn.RNN, (I, H, 2, "relu", False, True, 0.25, True)),
    ]
    for ours, theirs, arguments in calls:
        got, expected = ours(*arguments), theirs(*arguments)
        for name in (
            "input_size",
            "hidden_size",
            "num_layers",
            "bias",
            "batch_first",
            "dropout",
            "bidirectional",
            "proj_size",
        ):
            assert getattr(got, name) == getattr(expected, name), name
        assert {k: v.shape for k, v in got.state_dict().items()} == {
            k: v.shape for k, v in expected.state_dict().items()
        }
        got.flatten_parameters()


def test_input_and_state_by_their_names_in_torch() -> None:
    ours, theirs = pair("LSTM")
    x, hx = torch.randn(T, 2, I, dtype=torch.float64), initial(theirs, 2)
    torch.testing.assert_close(ours(input=x, hx=hx), theirs(input=x, hx=hx), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_batch(kind: str) -> None:
    ours, theirs = pair(kind, num_layers=2, bidirectional=True)
    x = torch.randn(T, 0, I, dtype=torch.float64)
    for got, expected in zip(flat(ours(x)), flat(theirs(x)), strict=True):
        assert got.shape == expected.shape
    assert ours(x, lengths=torch.zeros(0, dtype=torch.long))[0].shape == (T, 0, ours.output_size)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own, of its layer
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_every_floating_dtype_runs_and_trains(kind: str, dtype: torch.dtype) -> None:
    ours, theirs = pair(kind, dtype=dtype)
    x = torch.randn(T, 2, I, dtype=dtype)
    output, _ = ours(x)
    assert output.dtype == dtype
    torch.testing.assert_close(output, theirs(x)[0], rtol=0, atol=T * torch.finfo(dtype).eps)
    output.sum().backward()
    assert ours.weight_hh_l0.grad.dtype == dtype


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_takes_what_torch_takes(kind: str) -> None:
    ours, theirs = pair(kind, dtype=torch.float32)
    embed = nn.Linear(I, I)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = embed(torch.randn(T, 2, I))
        assert x.dtype == torch.bfloat16
        got, expected = ours(x)[0], theirs(x)[0]
        with_state, _ = ours(x, tuple(flat(ours(x)[1])) if "LSTM" in kind else ours(x)[1])
    torch.testing.assert_close(got.float(), expected.float(), rtol=0.02, atol=0.02)
    (got.sum() + with_state.sum()).backward()
    assert ours.weight_ih_l0.grad.dtype == torch.float32


@pytest.mark.parametrize("kind", KINDS)
def test_the_meta_device(kind: str) -> None:
    layer = KINDS[kind][0](I, H, device="meta", **KINDS[kind][2])
    assert layer(torch.empty(T, 2, I, device="meta"))[0].shape == (T, 2, layer.output_size)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_pickles(kind: str) -> None:
    ours, _ = pair(kind, num_layers=2, bidirectional=True)
    x = torch.randn(T, 2, I, dtype=torch.float64)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert torch.equal(other(x)[0], ours(x)[0])


def test_printing_shows_what_is_not_the_default() -> None:
    assert str(holdfast.LSTM(3, 4)) == "LSTM(3, 4)"
    layer = holdfast.LSTM(3, 4, 2, batch_first=True, proj_size=2, merge="concat", peepholes=True, memory="recompute")
    assert str(layer) == "LSTM(3, 4, num_layers=2, batch_first=True, memory='recompute', peepholes=True, proj_size=2)"
    assert str(holdfast.RNN(3, 4, nonlinearity="relu")) == "RNN(3, 4, activation='relu')"
