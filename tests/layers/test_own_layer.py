"""Layers with a cell of your own."""

import pytest
import torch
from torch import nn

import holdfast
from holdfast.errors import OptionError, ShapeError
from holdfast.layers.chain import Chain
from holdfast.layers.own_layer import OwnLayer
from own_parts import Counter, MinGRU

X = torch.randn(3, 5, 4)


def layer(sizes=(6,), **options):
    return OwnLayer("mingru", MinGRU, 4, sizes, **options)


def test_one_layer_is_unroll():
    own = layer()
    outputs, (state,) = own(X, lengths=[5, 2, 0])
    expected, final = holdfast.unroll(own.cells[0], X, lengths=[5, 2, 0])
    assert torch.equal(outputs, expected)
    assert torch.equal(state, final)
    assert torch.equal(own.last_hidden((state,)), final)


def test_layers_and_directions_are_stacked():
    own = layer((6, 7), bidirectional=True)
    assert own.output_size == 14
    outputs, states = own(X)
    below = torch.cat([holdfast.unroll(own.cells[k], X, reverse=k == 1)[0] for k in (0, 1)], -1)
    above = [holdfast.unroll(own.cells[k], below, reverse=k == 3) for k in (2, 3)]
    assert torch.equal(outputs, torch.cat([above[0][0], above[1][0]], -1))
    assert torch.equal(own.last_hidden(states), torch.cat([above[0][1], above[1][1]], -1))


@pytest.mark.parametrize("merge", ["sum", "mean", "product"])
def test_directions_are_merged_as_in_holdfasts_own_layers(merge):
    own = layer(bidirectional=True, merge=merge)
    halves = [holdfast.unroll(own.cells[k], X, reverse=k == 1)[0] for k in (0, 1)]
    expected = halves[0] * halves[1] if merge == "product" else (halves[0] + halves[1]) / (1 + (merge == "mean"))
    assert torch.equal(own(X)[0], expected)


def test_a_state_goes_on():
    own = layer((6, 6), residual=True)
    whole, final = own(X)
    first, state = own(X[:, :2])
    second, end = own(X[:, 2:], state)
    assert torch.allclose(torch.cat([first, second], 1), whole, atol=1e-6)
    assert torch.allclose(own.last_hidden(end), own.last_hidden(final), atol=1e-6)


def test_dropout_acts_between_layers_in_training_alone():
    own = layer((6, 6), dropout=0.5, locked_dropout=True)
    assert not torch.equal(own(X)[0], own(X)[0])
    own.eval()
    assert torch.equal(own(X)[0], own(X)[0])


def test_making_it_draws_no_number_beyond_those_of_the_cells():
    torch.manual_seed(1)
    cell = MinGRU(4, 6)
    after = torch.rand(1)
    torch.manual_seed(1)
    own = layer()
    assert torch.equal(own.cells[0].gates.weight, cell.gates.weight)
    assert torch.equal(torch.rand(1), after)


def test_the_chain_says_what_it_is_and_has_every_tensor():
    own = layer((6, 7))
    chain = Chain((own.part("recurrent"),))
    assert Chain.from_document(chain.to_document()) == chain
    assert (chain.input_size, chain.output_size) == (4, 7)
    shapes = {f"recurrent.{name}": tuple(value.shape) for name, value in own.state_dict().items()}
    assert chain.tensor_shapes() == shapes
    with pytest.raises(OptionError, match="the cell 'mingru', which is no part of Holdfast"):
        _ = chain.recurrent
    with pytest.raises(OptionError, match="the cell 'mingru', which is no part of Holdfast"):
        holdfast.Stream(_WithChain(chain))


class _WithChain(nn.Module):
    def __init__(self, chain):
        super().__init__()
        self._chain = chain

    def chain(self):
        return self._chain


def test_a_cell_whose_state_begins_with_something_else_has_no_hidden_state():
    own = OwnLayer("counter", Counter, 4, [6])
    outputs, state = own(X)
    assert outputs.shape == (3, 5, 6)
    with pytest.raises(OptionError, match="first tensor in the state of the cell 'counter' has 1 values"):
        own.last_hidden(state)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda inputs: MinGRU(inputs, 2), r"cannot be made with \(input_size, hidden_size\)"),
        (lambda inputs, units: nn.Linear(inputs, units), "expected a module with initial_state"),
        (lambda inputs, units: None, "is a NoneType; expected a module with initial_state"),
    ],
)
def test_what_is_no_cell_is_refused(make, message):
    with pytest.raises(OptionError, match=message):
        OwnLayer("mine", make, 4, [6])


def test_a_step_that_fails_or_gives_something_else_is_refused():
    class Wrong(MinGRU):
        def forward(self, x, h):
            return h

    with pytest.raises(ShapeError, match=r"Wrong\.forward\(x, state\) returned a tensor"):
        OwnLayer("mine", Wrong, 4, [6])

    class Flat(MinGRU):
        def forward(self, x, h):
            return h.sum(-1), h

    with pytest.raises(OptionError, match=r"The output of the cell 'mine' for x \[2, 4\] has shape \(2,\)"):
        OwnLayer("mine", Flat, 4, [6])

    class NoState(MinGRU):
        def forward(self, x):
            return x, x

    with pytest.raises(OptionError, match="A step of the cell 'mine' failed"):
        OwnLayer("mine", NoState, 4, [6])


def test_residual_layers_of_other_widths_are_refused():
    with pytest.raises(OptionError, match="layer 1 takes 6 values and gives 7"):
        layer((6, 7), residual=True)
