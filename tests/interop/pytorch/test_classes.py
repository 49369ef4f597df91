"""Replaced modules in programs that expect torch.nn's: its classes, subclasses and attributes."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from tests.interop.pytorch.subclasses import (
    F64,
    PLAIN,
    SUBCLASSES,
    Explicit,
    Shifted,
    X,
    assert_gradients_are_the_same,
    assert_same,
    replaced,
    run,
)
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import holdfast


@pytest.mark.parametrize("kind", SUBCLASSES)
def test_a_subclass_keeps_its_code_and_computes_with_holdfast(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = SUBCLASSES[kind]()
    ours = copy.deepcopy(theirs)
    cls = type(theirs)
    report = holdfast.replace_recurrent(ours)
    base = next(kind for kind in cls.__mro__ if kind.__module__.startswith("torch.nn")).__name__
    name = f"{cls.__module__}.{cls.__qualname__}"
    assert [(row.before, row.after, row.why_not) for row in report.rows] == [(name, f"{name} on holdfast.{base}", None)]
    assert isinstance(ours, (cls, getattr(nn, base)))
    assert isinstance(ours, getattr(holdfast, base))
    assert repr(ours).startswith(f"{cls.__name__}(")
    assert_same(run(ours), run(theirs))
    assert_gradients_are_the_same(ours, theirs)
    if cls is not Explicit:  # that one asks for torch's own forward
        for forward in (holdfast.LSTM, holdfast.LSTMCell):
            owner = next(cls for cls in forward.__mro__ if "forward" in vars(cls))
            monkeypatch.setattr(owner, "forward", lambda *_: pytest.fail("called"))
        with pytest.raises(pytest.fail.Exception):
            run(ours)


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "torch.save", "weights_only"])
@pytest.mark.parametrize("kind", SUBCLASSES)
def test_a_replaced_subclass_is_copied_and_saved(kind: str, way: str) -> None:
    theirs = SUBCLASSES[kind]()
    ours = replaced(copy.deepcopy(theirs))
    ours.circle = [ours]  # as hooks that are methods of the module make one
    if way == "deepcopy":
        other = copy.deepcopy(ours)
    elif way == "pickle":
        other = pickle.loads(pickle.dumps(ours))
    else:
        file = io.BytesIO()
        torch.save(ours, file)
        file.seek(0)
        with torch.serialization.safe_globals(holdfast.safe_globals(type(theirs), nn.LayerNorm)):
            other = torch.load(file, weights_only=way == "weights_only")
    assert type(other) is type(ours)
    assert other is not ours
    assert other.circle[0] is other
    assert_same(run(other), run(theirs))
    run(other)[0].sum().backward()
    if isinstance(other, nn.RNNBase):
        assert other._flat_weights[0] is other.weight_ih_l0


def test_a_subclass_is_replaced_once_and_several_modules_of_it_have_one_class() -> None:
    model = nn.Sequential(Shifted(3, 5), Shifted(3, 4))
    assert len(replaced(model)) == 2
    assert type(model[0]) is type(model[1])
    assert not holdfast.replace_recurrent(model).rows


@pytest.mark.parametrize("kind", [*PLAIN, *(f"subclass: {name}" for name in SUBCLASSES)])
def test_what_is_made_anew_of_the_class_is_initialised_as_torch_does(kind: str) -> None:
    theirs = SUBCLASSES[kind.removeprefix("subclass: ")]() if kind.startswith("sub") else PLAIN[kind]()
    ours = replaced(copy.deepcopy(theirs))
    for module in (ours, theirs):
        torch.manual_seed(3)
        module.reset_parameters()
    assert_same(list(ours.parameters()), list(theirs.parameters()))
    made = []
    for module in (ours, theirs):
        torch.manual_seed(4)
        made.append(type(module)(3, 5, dtype=F64))
    assert isinstance(made[0], holdfast.LSTM | holdfast.GRU | holdfast.RNN | type(made[0]))
    assert_same(run(made[0]), run(made[1]))


def test_an_initialiser_that_asks_for_the_class_acts_on_a_replaced_module() -> None:
    def initialise(module: nn.Module) -> None:
        if isinstance(module, nn.LSTM):
            for names in module._all_weights:
                for name in names:
                    if name.startswith("bias_ih"):
                        bias = getattr(module, name)
                        bias.data[len(bias) // 4 : len(bias) // 2].fill_(1.0)
            for weight in module.all_weights[0][:2]:
                nn.init.orthogonal_(weight)
        elif isinstance(module, nn.RNNCellBase):
            nn.init.zeros_(module.bias_hh)

    theirs = nn.ModuleList([nn.LSTM(3, 5, 2, dtype=F64), nn.GRUCell(3, 5, dtype=F64)])
    ours = replaced(copy.deepcopy(theirs))
    for model in (ours, theirs):
        torch.manual_seed(5)
        model.apply(initialise)
    assert (ours[0].bias_ih_l1[5:10] == 1).all()
    for a, b in zip(ours, theirs, strict=True):
        assert_same(run(a), run(b))


def test_the_attributes_and_checks_of_torch() -> None:
    module = replaced(nn.LSTM(3, 5, 2, bidirectional=True, proj_size=2))
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"]
    every = [[f"{name}{suffix}" for name in names] for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse")]
    assert (module.mode, module.proj_size, module._all_weights) == ("LSTM", 2, every)
    assert module._flat_weights_names == [name for names in every for name in names]
    assert [a is b for a, b in zip(module._flat_weights, module.parameters(), strict=True)] == [True] * 20
    x, h, c = torch.zeros(7, 4, 3), torch.zeros(4, 4, 2), torch.zeros(4, 4, 5)
    assert module.get_expected_hidden_size(x, None) == (4, 4, 2)
    assert module.get_expected_cell_size(x, None) == (4, 4, 5)
    module.check_forward_args(x, (h, c), None)
    module.check_input(x, None)
    with pytest.raises(RuntimeError, match=r"Expected hidden\[1\] size \(4, 4, 5\), got \[4, 4, 2\]"):
        module.check_forward_args(x, (h, h), None)
    order = torch.tensor([3, 1, 0, 2])
    h = torch.randn(4, 4, 2)
    assert torch.equal(module.permute_hidden((h, c), order)[0], h[:, order])
    module.flatten_parameters()
    rnn, cell = replaced(nn.RNN(3, 5, nonlinearity="relu")), replaced(nn.RNNCell(3, 5, nonlinearity="relu"))
    assert (rnn.mode, rnn.nonlinearity, cell.nonlinearity) == ("RNN_RELU", "relu", "relu")
    assert replaced(nn.GRU(3, 5)).mode == "GRU"


def test_a_program_that_asks_for_the_class_in_its_forward() -> None:
    class Encoder(nn.Module):
        def __init__(self, rnn: nn.RNNBase) -> None:
            super().__init__()
            self.rnn = rnn

        def forward(self, x: Tensor) -> Tensor:
            state = self.rnn(pack_padded_sequence(x, torch.tensor([4, 2]), enforce_sorted=True))[1]
            return state[0] if isinstance(self.rnn, nn.LSTM) else state

    for rnn in (nn.LSTM(3, 5, dtype=F64), nn.GRU(3, 5, dtype=F64)):
        ours = Encoder(copy.deepcopy(rnn))
        holdfast.replace_recurrent(ours)
        assert_same([ours(X)], [Encoder(rnn)(X)])
