import pytest
import torch
from torch import nn

import holdfast
from holdfast.errors import ShapeError
from holdfast.inspect import summarise
from holdfast.tasks.classify.network import Classifier
from holdfast.tasks.classify.settings import ClassifyModel


class StepModel(nn.Module):
    """The layer that is checked by hand, and a unit on each of its outputs."""

    def __init__(self):
        super().__init__()
        self.lstm = holdfast.LSTM(2, 3, batch_first=True, single_bias=True)
        self.dense = nn.Linear(3, 1)

    def forward(self, x):
        return self.dense(self.lstm(x)[0])


def test_the_table_of_the_tutorial():
    table = summarise(StepModel(), (3, 2))
    assert [(row.name, row.output_shape, row.parameters) for row in table.rows] == [
        ("lstm (LSTM)", (None, 3, 3), 72),
        ("dense (Linear)", (None, 3, 1), 4),
    ]
    assert table.total == 72 + 4 == 76
    assert str(table).splitlines() == [
        "Layer           Output shape  Parameters",
        "----------------------------------------",
        "lstm (LSTM)     (None, 3, 3)          72",
        "dense (Linear)  (None, 3, 1)           4",
        "----------------------------------------",
        "Total parameters: 76 (76 trainable)",
    ]


def test_a_free_number_of_steps_is_none_where_it_shows():
    table = summarise(Classifier(12, 9, ClassifyModel(hidden_size=8, bidirectional=False)), (None, 12))
    shapes = {row.name: row.output_shape for row in table.rows}
    assert shapes["recurrent (LSTM)"] == (None, None, 8)
    assert shapes["output (Linear)"] == (None, 9)


def test_looking_changes_nothing():
    model = Classifier(4, 2, ClassifyModel(hidden_size=8, dropout=0.5, options={"zoneout_h": 0.1})).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    summarise(model, (5, 4))
    assert model.training
    assert all(not module._forward_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_frozen_parameters_are_counted_apart():
    model = StepModel()
    model.dense.requires_grad_(False)
    assert (summarise(model, (3, 2)).total, summarise(model, (3, 2)).trainable) == (76, 72)


def test_a_shape_that_does_not_fit_is_one_clear_error():
    with pytest.raises(ShapeError, match=r"The model cannot take an input of shape \(3, 5\) \(without the batch\)"):
        summarise(StepModel(), (3, 5))
