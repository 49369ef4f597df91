"""replace_recurrent: the same parameters, names and numbers, at every place of the tree."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.nn.utils.rnn import pack_padded_sequence

import holdfast
from holdfast.errors import OptionError

F64 = torch.float64
LAYERS: dict[str, Callable[[], Any]] = {
    "LSTM": lambda: nn.LSTM(3, 5, 2, batch_first=True, dtype=F64),
    "LSTM projected": lambda: nn.LSTM(3, 5, 2, proj_size=2, bidirectional=True, dtype=F64),
    "LSTM without bias": lambda: nn.LSTM(3, 5, bias=False, dtype=F64),
    "GRU": lambda: nn.GRU(3, 5, 2, bidirectional=True, batch_first=True, dtype=F64),
    "RNN tanh": lambda: nn.RNN(3, 5, dtype=F64),
    "RNN relu": lambda: nn.RNN(3, 5, 2, "relu", dtype=F64),
}
CELLS: dict[str, Callable[[], Any]] = {
    "LSTMCell": lambda: nn.LSTMCell(3, 5, dtype=F64),
    "LSTMCell without bias": lambda: nn.LSTMCell(3, 5, bias=False, dtype=F64),
    "GRUCell": lambda: nn.GRUCell(3, 5, dtype=F64),
    "RNNCell tanh": lambda: nn.RNNCell(3, 5, dtype=F64),
    "RNNCell relu": lambda: nn.RNNCell(3, 5, nonlinearity="relu", dtype=F64),
}


class Tagger(nn.Module):
    """A model with recurrent modules at several depths, one of them twice."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 4)
        self.encoder = nn.Sequential()
        self.encoder.append(nn.GRU(4, 6, batch_first=True, bidirectional=True))
        self.decoder = nn.ModuleDict({"lstm": nn.LSTM(12, 6, batch_first=True)})
        self.again = self.decoder["lstm"]
        self.cell = nn.RNNCell(6, 5)
        self.output = nn.Linear(5, 3)

    def forward(self, ids: Tensor) -> Tensor:
        x, _ = self.encoder(self.embedding(ids))
        x, _ = self.decoder["lstm"](x)
        return self.output(self.cell(x[:, -1]))


def flat(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [tensor for part in value for tensor in flat(part)]


def assert_same(got: Any, expected: Any) -> None:
    for a, b in zip(flat(got), flat(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [*LAYERS, *CELLS])
def test_a_module_alone_is_replaced_where_it_stands(kind: str) -> None:
    module = {**LAYERS, **CELLS}[kind]()
    before, parameters = copy.deepcopy(module), dict(module.named_parameters())
    report = holdfast.replace_recurrent(module)
    assert isinstance(module, getattr(holdfast, kind.split()[0]))
    assert isinstance(module, type(before))
    assert [(row.name, row.why_not) for row in report.rows] == [("", None)]
    assert list(module.state_dict()) == list(before.state_dict())
    assert all(module.get_parameter(name) is parameter for name, parameter in parameters.items())
    x = torch.randn(4, 6, 3, dtype=F64) if kind in LAYERS else torch.randn(4, 3, dtype=F64)
    assert_same(module(x), before(x))


def test_everywhere_in_a_tree_and_once_where_shared() -> None:
    model, ids = Tagger(), torch.randint(11, (2, 7))
    expected = model(ids)
    held = [model.again]
    report = holdfast.replace_recurrent(model)
    torch.testing.assert_close(model(ids), expected, rtol=0, atol=1e-6)
    assert held[0] is model.again is model.decoder["lstm"]
    assert isinstance(held[0], holdfast.LSTM)
    assert str(report).splitlines() == [
        "Module        Was               Is now",
        "------------------------------------------------",
        "encoder.0     torch.nn.GRU      holdfast.GRU",
        "decoder.lstm  torch.nn.LSTM     holdfast.LSTM",
        "cell          torch.nn.RNNCell  holdfast.RNNCell",
        "------------------------------------------------",
        "3 of 3 recurrent modules replaced",
    ]
    assert not report.left


def test_an_optimiser_made_before_goes_on_as_with_torch() -> None:
    ours = Tagger().double()
    theirs = copy.deepcopy(ours)
    ids, targets = torch.randint(11, (4, 9)), torch.randint(3, (4,))
    steps = [torch.optim.Adam(model.parameters(), 0.01) for model in (ours, theirs)]
    for number in range(6):
        if number == 3:
            holdfast.replace_recurrent(ours)
        for model, optimiser in zip((ours, theirs), steps, strict=True):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(ids), targets).backward()
            optimiser.step()
    for (name, a), (_, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


def test_tied_weights_stay_tied() -> None:
    model = nn.ModuleList([nn.GRU(4, 4), nn.GRU(4, 4)])
    model[1].weight_hh_l0 = model[0].weight_hh_l0
    holdfast.replace_recurrent(model)
    assert model[1].weight_hh_l0 is model[0].weight_hh_l0
    assert len(list(model.parameters())) == 7


def test_hooks_mode_dtype_and_attributes_stay() -> None:
    layer = nn.GRU(3, 5, 2, dropout=0.5, dtype=torch.bfloat16).eval()
    layer.note = "mine"
    seen: list[str] = []
    layer.register_forward_hook(lambda *_: seen.append("forward"))
    layer.register_forward_pre_hook(lambda *_: seen.append("before"))
    layer.register_state_dict_post_hook(lambda *_: seen.append("state"))
    layer.weight_hh_l0.requires_grad_(False)
    holdfast.replace_recurrent(layer)
    layer(torch.randn(2, 1, 3, dtype=torch.bfloat16))
    layer.state_dict()
    assert seen == ["before", "forward", "state"]
    assert (layer.training, layer.note, layer.dropout) == (False, "mine", 0.5)
    assert {parameter.dtype for parameter in layer.parameters()} == {torch.bfloat16}
    assert not layer.weight_hh_l0.requires_grad
    layer.train()
    x = torch.randn(4, 2, 3, dtype=torch.bfloat16)
    assert not torch.equal(layer(x)[0], layer(x)[0]), "dropout between the layers is on while training"


def test_no_random_number_is_drawn_and_nothing_is_warned() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = nn.LSTM(3, 5, dropout=0.5)  # torch warns here
    state = torch.get_rng_state()
    holdfast.replace_recurrent(layer)
    assert torch.equal(torch.get_rng_state(), state)
    assert layer.dropout == 0.5


def test_packed_sequences_states_and_lengths() -> None:
    layer = LAYERS["GRU"]()
    before = copy.deepcopy(layer)
    holdfast.replace_recurrent(layer)
    x, h0 = torch.randn(3, 6, 3, dtype=F64), torch.randn(4, 3, 5, dtype=F64)
    lengths = torch.tensor([2, 6, 5])
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    (got, state), (expected, other) = layer(packed, h0), before(packed, h0)
    assert_same((got.data, state), (expected.data, other))
    assert_same(layer(x, h0, lengths=lengths)[1], other)


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "torch.save", "state_dict"])
def test_a_replaced_model_is_copied_and_saved_as_before(way: str) -> None:
    model, ids = Tagger(), torch.randint(11, (2, 7))
    untouched = copy.deepcopy(model)
    holdfast.replace_recurrent(model)
    if way == "deepcopy":
        other = copy.deepcopy(model)
    elif way == "pickle":
        other = pickle.loads(pickle.dumps(model))
    elif way == "torch.save":
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    else:
        untouched.load_state_dict(model.state_dict(), strict=True)
        other = Tagger()
        other.load_state_dict(untouched.state_dict(), strict=True)
        holdfast.replace_recurrent(other)
    assert isinstance(other.again, holdfast.LSTM)
    assert torch.equal(other(ids), model(ids))
    other(ids).sum().backward()


def test_it_can_be_done_twice() -> None:
    model = Tagger()
    holdfast.replace_recurrent(model)
    assert str(holdfast.replace_recurrent(model)) == "The model has no recurrent module of torch.nn."


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@pytest.mark.parametrize("how", ["weight_norm", "spectral_norm", "prune"])
def test_weights_that_a_hook_computes_are_computed_on(how: str) -> None:
    layer: Any = nn.LSTM(3, 5, dtype=F64)
    if how == "weight_norm":
        layer = nn.utils.weight_norm(layer, "weight_hh_l0")
    elif how == "spectral_norm":
        layer = nn.utils.spectral_norm(layer, "weight_hh_l0").eval()
    else:
        prune.random_unstructured(layer, "weight_hh_l0", 0.5)
    x = torch.randn(4, 2, 3, dtype=F64)
    layer(x)  # the weight that torch's weight_norm computes is there from the first call on
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    expected = layer(x)
    expected[0].sum().backward()
    gradients = {name: parameter.grad for name, parameter in layer.named_parameters()}
    layer.zero_grad()
    holdfast.replace_recurrent(layer)
    assert isinstance(layer, holdfast.LSTM)
    got = layer(x)
    assert_same(got, expected)
    got[0].sum().backward()
    for name, parameter in layer.named_parameters():
        assert_same(parameter.grad, gradients[name])
    assert list(layer.state_dict()) == list(before)


def test_what_is_not_a_module() -> None:
    with pytest.raises(OptionError) as error:
        holdfast.replace_recurrent({"weight": torch.zeros(2)})  # type: ignore[arg-type]
    assert str(error.value) == "replace_recurrent got a dict; expected a torch.nn.Module."


def test_what_programs_ask_a_module_of_torch() -> None:
    rnn, cell = nn.RNN(3, 5, 2, "relu", dropout=0.1), nn.RNNCell(3, 5, nonlinearity="relu")
    asked = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size")
    before = [getattr(rnn, name) for name in asked], cell.input_size, cell.hidden_size, cell.bias
    holdfast.replace_recurrent(rnn)
    holdfast.replace_recurrent(cell)
    assert ([getattr(rnn, name) for name in asked], cell.input_size, cell.hidden_size, cell.bias) == before
    assert rnn.nonlinearity == cell.nonlinearity == "relu"
    rnn.flatten_parameters()
    assert [len(weights) for weights in rnn.all_weights] == [4, 4]


def test_a_wrong_shape_is_caught_by_what_torch_raises() -> None:
    layer, cell = nn.LSTM(3, 5), nn.LSTMCell(3, 5)
    wrong = [(layer, torch.zeros(2, 1, 4)), (cell, torch.zeros(2, 4))]
    for replaced in (False, True):
        for module, x in wrong:
            if replaced:
                holdfast.replace_recurrent(module)
            with pytest.raises(RuntimeError):
                module(x)


def test_a_cell_without_chance_does_not_ask_for_the_mode() -> None:
    cell = holdfast.GRUCell(3, 5)
    del cell.training
    assert cell(torch.zeros(2, 3)).shape == (2, 5)
