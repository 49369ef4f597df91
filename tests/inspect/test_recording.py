"""Recording against the reference, step by step; on every kind of model; and nothing changes in the model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import holdfast
from holdfast.cells import BoundCell
from holdfast.cells.parameter_names import layer_suffix
from holdfast.errors import OptionError, ShapeError
from holdfast.inspect import LayerRecording, record
from holdfast.inspect.observation import STATES, gate_name
from holdfast.interop.nodes import Recurrent
from holdfast.layers import LAYERS
from holdfast.layers.own_layer import OwnLayer
from holdfast.layers.parameters import collect
from holdfast.layers.recurrent_layer import RecurrentLayer
from variants import VARIANTS

TOLERANCE = 1e-6  # float32, relative to the largest value where that is above 1


def by_equations(layer: RecurrentLayer, x: Tensor, lengths: list[int]) -> dict[str, dict[str, Tensor]]:
    """Every gate, state and output of a layer, batch first, one step after the other."""
    found: dict[str, dict[str, Tensor]] = {}
    batch, steps, _ = x.shape
    for number, spec in enumerate(layer.specs):
        outputs = []
        for direction in range(layer.num_directions):
            cell = BoundCell(spec, collect(layer, spec, layer_suffix(number, direction)))
            values: dict[str, Tensor] = {}
            state = tuple(x.new_zeros(batch, size) for size in spec.state_sizes.values())
            for t in reversed(range(steps)) if layer.reverse or direction == 1 else range(steps):
                prepared, active = cell.prepare(x[:, t]), (t < torch.tensor(lengths))[:, None]
                at_t = {f"{gate_name(k)} gate": active * gate for k, gate in cell.gates(prepared, state).items()}
                output, new = cell.step(t, prepared, state)
                state = tuple(torch.where(active, after, before) for after, before in zip(new, state, strict=True))
                at_t |= {STATES[letter]: part for letter, part in zip(spec.state_sizes, state, strict=True)}
                for name, value in {**at_t, "output": active * output}.items():
                    values.setdefault(name, value.new_zeros(batch, steps, value.shape[-1]))[:, t] = value
            found[layer_suffix(number, direction)[1:]] = values
            outputs.append(values["output"])
        merged = layer.merged(outputs)
        x = x + merged if layer.residual and number else merged
    return found


def named(recording: LayerRecording) -> dict[str, Tensor]:
    gates = {f"{name} gate": gate for name, gate in recording.gates.items()}
    return {**gates, **recording.states, "output": recording.output}


def largest_difference(layer: RecurrentLayer, recording: Any, x: Tensor, lengths: list[int]) -> float:
    expected = by_equations(layer, x, lengths)
    assert list(recording.layers) == list(expected)
    return difference({name: named(recording[name]) for name in expected}, expected)


def difference(found: dict[str, dict[str, Tensor]], expected: dict[str, dict[str, Tensor]]) -> float:
    most = 0.0
    for name, values in expected.items():
        assert found[name].keys() == values.keys()
        for key, value in values.items():
            assert found[name][key].dtype == value.dtype or value.dtype == torch.float64
            most = max(most, float((found[name][key] - value).abs().max()) / max(1.0, float(value.abs().max())))
    return most


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "engine"),
    [*((name, "auto") for name in VARIANTS), *((f"{kind} everything", "reference") for kind in LAYERS)],
)
def test_every_variant_equals_the_equations(name: str, engine: str) -> None:
    """Two layers, both directions, lengths.

    Layer normalisation divides by a deviation that can be small: then the equations themselves lose more in float32
    and the tolerance is 8 times what they lose, as in ``verification.amplifications``.
    """
    kind, options = VARIANTS[name]
    layer = LAYERS[kind](3, 5, 2, bidirectional=True, batch_first=True, engine=engine, **options)
    for parameter in layer.parameters():
        parameter += 0.2 * torch.randn_like(parameter)
    x, lengths = torch.randn(4, 7, 3), [7, 0, 3, 5]
    recording, expected = record(layer, x, lengths), by_equations(layer, x, lengths)
    found = {name: named(layer) for name, layer in recording.layers.items()}
    exact = by_equations(layer.double(), x.double(), lengths)
    lost = difference(expected, exact) if layer.specs[0].layer_norm else 0.0
    assert difference(found, expected) < max(TOLERANCE, 8 * lost)
    recording = record(layer, x.double(), lengths)
    assert difference({name: named(layer) for name, layer in recording.layers.items()}, exact) < 1e-12


@torch.no_grad()
@pytest.mark.parametrize("kind", LAYERS)
def test_ways_of_stacking_equal_the_equations(kind: str) -> None:
    x = torch.randn(3, 6, 4)
    for options in ({"reverse": True}, {"bidirectional": True, "merge": "sum", "residual": True, "num_layers": 3}):
        layer = LAYERS[kind](4, 4, batch_first=True, **options)
        assert largest_difference(layer, record(layer, x), x, [6] * 3) < TOLERANCE
    layer = LAYERS[kind](4, [5, 3], batch_first=True)
    assert largest_difference(layer, record(layer, x), x, [6] * 3) < TOLERANCE


def test_every_layout_of_the_input_is_recorded_batch_first() -> None:
    layer = holdfast.LSTM(3, 4)
    x, lengths = torch.randn(6, 2, 3), [6, 4]
    whole = record(layer, x, lengths)
    packed = record(layer, pack_padded_sequence(x, lengths))
    row = record(layer, x[:, 0])
    for name, value in named(whole["l0"]).items():
        assert value.shape == (2, 6, 4)
        torch.testing.assert_close(named(packed["l0"])[name], value)
        torch.testing.assert_close(named(row["l0"])[name][0], value[0])
    assert whole["l0"].lengths is not None
    assert whole["l0"].lengths.tolist() == lengths
    assert whole["l0"].within.sum().item() == 10


@torch.no_grad()
def test_a_state_is_carried_from_call_to_call() -> None:
    layer, x = holdfast.LSTM(3, 4, 2, batch_first=True), torch.randn(2, 9, 3)
    whole = record(layer, x)
    first, rest = x.split([5, 4], 1)
    _, state = layer(first)
    recording = record(layer, rest, state=state)
    for name in ("l0", "l1"):
        for key, value in named(recording[name]).items():
            torch.testing.assert_close(value, named(whole[name])[key][:, 5:], atol=TOLERANCE, rtol=0)
        assert torch.equal(recording[name].initial["cell"], state[1][int(name[1])])


class Reader(nn.Module):
    """A model with a layer that runs twice, a module for one step, and torch.nn's dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 3)
        self.layer = holdfast.GRU(3, 4, batch_first=True)
        self.dropout = nn.Dropout(0.5)
        self.cell = holdfast.LSTMCell(4, 6)
        self.output = nn.Linear(6, 2)

    def forward(self, ids: Tensor, fail: bool = False) -> Tensor:
        vectors = self.embedding(ids)
        outputs, h = self.layer(vectors[:, :3])
        more, _ = self.layer(vectors[:, 3:], h)
        state = None
        for x in torch.cat([self.dropout(outputs), self.dropout(more)], 1).unbind(1):
            state = self.cell(x, state)
        if fail:
            raise ValueError("the model fails")
        assert state is not None
        scores: Tensor = self.output(state[0])
        return scores


def test_calls_of_a_layer_and_of_a_module_for_one_step_are_joined() -> None:
    model = Reader().eval()
    ids = torch.randint(11, (2, 8))
    recording = record(model, ids)
    assert list(recording.layers) == ["layer.l0", "cell"]
    with torch.no_grad():
        torch.testing.assert_close(recording.output, model(ids))
        outputs, _ = model.layer(model.embedding(ids))
        steps, _ = holdfast.unroll(model.cell, outputs)
    torch.testing.assert_close(recording["layer.l0"].output, outputs)
    cell = recording["cell"]
    torch.testing.assert_close(cell.output, steps)
    torch.testing.assert_close(cell.gates["output"] * torch.tanh(cell.states["cell"]), cell.states["hidden"])
    assert str(recording).splitlines()[1] == (
        "cell: LSTM, 2 rows, 8 steps, 6 outputs; input, forget, candidate, output, hidden, cell"
    )


def traces_of(model: nn.Module) -> list[Any]:
    """What a recording may leave behind in a model: attributes, hooks, modes, gradients."""
    return [
        (
            sorted(vars(module)),
            len(module._forward_hooks),
            len(module._forward_pre_hooks),
            module.training,
            [None if p.grad is None else p.grad.clone() for p in module.parameters(recurse=False)],
        )
        for module in model.modules()
    ]


@pytest.mark.parametrize("fail", [False, True])
def test_the_model_stays_as_it_was(fail: bool) -> None:
    model = Reader().train()
    model.dropout.eval()
    model(torch.randint(11, (2, 8))).sum().backward()
    before, random_state = traces_of(model), torch.get_rng_state()
    inputs = (torch.randint(11, (2, 8), generator=torch.Generator().manual_seed(1)), fail)
    if fail:
        with pytest.raises(ValueError, match="the model fails"):
            record(model, inputs)
    else:
        assert not record(model, inputs).output.requires_grad
    assert str(traces_of(model)) == str(before)
    assert torch.equal(torch.get_rng_state(), random_state)


class Forgetful(nn.Module):
    """A cell of your own: h' = g h + (1 - g) tanh(W x), with a named state and a gate that it shows."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.candidate, self.gate = nn.Linear(inputs, units), nn.Linear(units, units)

    def initial_state(self, batch: int, dtype: Any = None, device: Any = None) -> Tensor:
        return torch.zeros(batch, self.gate.in_features, dtype=dtype, device=device)

    def gates(self, x: Tensor, h: Tensor) -> dict[str, Tensor]:
        return {"keep": torch.sigmoid(self.gate(h)), "candidate": torch.tanh(self.candidate(x))}

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        gates = self.gates(x, h)
        h = gates["keep"] * h + (1 - gates["keep"]) * gates["candidate"]
        return h, h


def test_a_cell_of_your_own() -> None:
    layer = OwnLayer("forgetful", Forgetful, 3, [4, 5], bidirectional=True)
    x, lengths = torch.randn(2, 6, 3), [6, 4]
    recording = record(layer, x, torch.tensor(lengths))
    assert list(recording.layers) == ["l0", "l0_reverse", "l1", "l1_reverse"]
    for name, found in recording.layers.items():
        assert found.cell == "forgetful"
        keep, candidate, hidden = found.gates["keep"], found.gates["candidate"], found.states["hidden"]
        assert found.reverse == name.endswith("reverse")
        for row, length in enumerate(lengths):
            before = torch.zeros(hidden.shape[-1])
            for t in reversed(range(length)) if found.reverse else range(length):
                before = keep[row, t] * before + (1 - keep[row, t]) * candidate[row, t]
                torch.testing.assert_close(hidden[row, t], before)
    with torch.no_grad():
        torch.testing.assert_close(recording.output[0], layer(x, lengths=torch.tensor(lengths))[0])


def test_a_stateful_layer_keeps_its_own_state() -> None:
    layer = Recurrent("gru", input_size=3, hidden_size=4, stateful=True).eval()
    x = torch.randn(2, 5, 3)
    with torch.no_grad():
        layer(x)
        state = layer._state
        recording = record(layer, x)
        assert layer._state is state
        torch.testing.assert_close(recording["layer.l0"].output, layer(x)[0])


def test_models_of_torch_are_recorded_once_their_layers_are_replaced() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.LSTM(3, 4, batch_first=True))
    with pytest.raises(OptionError) as caught:
        record(model, torch.zeros(1, 2, 2))
    assert str(caught.value) == (
        "No recurrent layer of Holdfast ran in this Sequential; expected a model with an LSTM, a GRU or an RNN of "
        "Holdfast. For a model with torch.nn's, call holdfast.replace_recurrent(model) first."
    )
    holdfast.replace_recurrent(model)
    assert list(record(model, torch.zeros(1, 2, 2)).layers) == ["1.l0"]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(OptionError, match=r"Reader.forward takes no lengths; its arguments are ids, fail\. Give all"):
        record(Reader(), torch.zeros(1, 2, dtype=torch.int64), lengths=[2])
    with pytest.raises(OptionError, match=r"Reader.forward takes no state; its arguments are ids, fail\. Give all"):
        record(Reader(), torch.zeros(1, 2, dtype=torch.int64), state=torch.zeros(1))
    with pytest.raises(OptionError, match=r"The model is an? int; expected a torch.nn.Module, a Predictor, a run"):
        record(3, torch.zeros(1))
    with pytest.raises(ShapeError, match="LSTM input has shape"):
        record(holdfast.LSTM(3, 4), torch.zeros(2, 2, 2))
