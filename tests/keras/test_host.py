"""The two functions that backends call on the host, beside what autograd makes of the same computation."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip("keras", reason="needs keras: pip install 'holdfast[keras]'")

from tests.keras.computations import CELLS, case, cases, cell

from holdfast.keras import host
from holdfast.keras.computation import Computation, Outcome


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_forward_and_backward_give_the_bits_of_autograd(name: str, dtype: torch.dtype) -> None:
    for _, *arguments in (each for each in cases(dtype) if each[0] == name):
        computation, tensors, gradients, outcome, expected = case(*arguments)
        arrays = host.from_names(tensors)
        gates = arrays.inputs.new_empty(host.gates_size(computation, arrays.inputs)).fill_(torch.nan)
        actual, kept = host.forward(computation, arrays, gates=gates)
        assert all(map(torch.equal, (each for each in host.flat(actual) if each is not None), outcome))
        last, *rest = gradients
        outputs = rest.pop(0) if computation.sequences else None
        back = host.backward(computation, arrays, kept, Outcome(last, outputs, tuple(rest)))
        assert back.keys() == expected.keys()
        assert all(torch.equal(back[name], expected[name]) for name in expected)


def test_outputs_go_to_the_memory_of_the_caller() -> None:
    computation, tensors, _, outcome, _ = case(CELLS["LSTM"], 4, masked=False, dropped=False, dtype=torch.float32)
    assert host.outputs_are_kept(computation, masked=False)
    y = torch.full(outcome[1].shape, torch.nan)
    actual, kept = host.forward(computation, host.from_names(tensors), y)
    assert actual.outputs is y is kept.y
    assert torch.equal(y, outcome[1])


def test_only_the_gradients_that_are_wanted_are_given() -> None:
    computation, tensors, gradients, _, expected = case(CELLS["GRU"], 0, False, False, torch.float32)
    arrays = host.from_names(tensors)
    _, kept = host.forward(
        computation, arrays, gates=arrays.inputs.new_empty(host.gates_size(computation, arrays.inputs))
    )
    actual = host.backward(computation, arrays, kept, Outcome(gradients[0], None, (gradients[1],)), {"bias"})
    assert actual.keys() == {"bias"}
    assert torch.equal(actual["bias"], expected["bias"])


def test_a_batch_without_rows_passes() -> None:
    computation, tensors, gradients, _, _ = case(CELLS["LSTM"], 4, masked=True, dropped=True, dtype=torch.float32)
    of_rows = ("inputs", "mask", "state_mask", "state.0", "state.1")
    arrays = host.from_names({name: each[:0] if name in of_rows else each for name, each in tensors.items()})
    actual, kept = host.forward(
        computation, arrays, gates=arrays.inputs.new_empty(host.gates_size(computation, arrays.inputs))
    )
    assert actual.outputs.shape == (0, *gradients[1].shape[1:])
    last, outputs, *state = (each[:0] for each in gradients)
    back = host.backward(computation, arrays, kept, Outcome(last, outputs, tuple(state)))
    assert not back["kernel"].any()
    assert back["inputs"].shape == arrays.inputs.shape


@pytest.mark.parametrize(
    ("spec", "dtype", "reason"),
    [
        (cell("lstm"), "float32", None),
        (
            cell("lstm"),
            "bfloat16",
            "on this backend the kernels compute in float32 and float64, and the layer computes in bfloat16.",
        ),
        (
            cell("rnn", activation=torch.tanh),
            "float32",
            "an activation is a callable, which the kernels cannot call.",
        ),
    ],
)
def test_why_not(spec: Any, dtype: str, reason: str | None) -> None:
    assert host.why_not(Computation(spec), dtype) == reason
