from __future__ import annotations

import pytest
import torch
from torch import nn

from holdfast.errors import OptionError
from holdfast.training import proximal
from holdfast.training.optimizers import make_optimizer

from .standin import settings


@pytest.mark.parametrize(
    "name",
    [
        "ASGD",
        "Adadelta",
        "Adafactor",
        "Adagrad",
        "AdagradDA",
        "Adam",
        "AdamW",
        "Adamax",
        "Ftrl",
        "NAdam",
        "ProximalAdagrad",
        "ProximalSGD",
        "RAdam",
        "RMSprop",
        "Rprop",
        "SGD",
    ],
)
def test_every_optimiser_trains(name: str) -> None:
    model = nn.Linear(3, 1)
    optimizer = make_optimizer(model, settings(optimizer=name, learning_rate=0.05))
    assert type(optimizer) is (getattr(torch.optim, name, None) or getattr(proximal, name))
    x = torch.linspace(-1, 1, 12).reshape(4, 3)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_settings_reach_the_optimiser() -> None:
    chosen = settings(
        optimizer="SGD",
        learning_rate=0.5,
        weight_decay=0.25,
        optimizer_options={"momentum": 0.5, "nesterov": True},
    )
    group = make_optimizer(nn.Linear(1, 1), chosen).param_groups[0]
    assert (group["lr"], group["weight_decay"], group["momentum"], group["nesterov"]) == (0.5, 0.25, 0.5, True)
    assert make_optimizer(nn.Linear(1, 1), settings(optimizer="AdamW")).param_groups[0]["weight_decay"] == 0


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    assert make_optimizer(model, settings()).param_groups[0]["params"] == [model.weight]
    model.weight.requires_grad_(False)
    with pytest.raises(OptionError) as error:
        make_optimizer(model, settings())
    assert str(error.value) == "the model has no parameter that requires a gradient; there is nothing to train."


@pytest.mark.parametrize(
    ("how", "start"),
    [
        ({"optimizer": "Adm"}, "optimizer 'Adm' is not known; did you mean 'Adam'? Known: ASGD, Ada"),
        ({"optimizer": "Optimizer"}, "optimizer 'Optimizer' is not known; known are ASGD, Ada"),
        (
            {"optimizer": "SGD", "optimizer_options": {"momentom": 0.9}},
            "optimizer 'SGD' has no argument 'momentom'; did you mean 'momentum'? Known: dampening, differentiable, "
            "foreach, fused, maximize, momentum, nesterov.",
        ),
        ({"optimizer_options": {"lr": 1}}, "optimizer_options has 'lr'; set learning_rate instead."),
        (
            {"optimizer_options": {"weight_decay": 1}},
            "optimizer_options has 'weight_decay'; set weight_decay instead.",
        ),
        (
            {"optimizer": "Rprop", "weight_decay": 0.1},
            "optimizer 'Rprop' has no weight decay; leave weight_decay at 0 or use 'AdamW'.",
        ),
        (
            {"optimizer": "LBFGS"},
            "optimizer 'LBFGS' evaluates the loss several times per update, which this training does not do. "
            "Use another, such as 'Adam'.",
        ),
        (
            {"optimizer_options": {"eps": -1}},
            "optimizer 'Adam' refuses its arguments: Invalid epsilon value: -1",
        ),
        ({"optimizer_options": {"betas": 0.9}}, "optimizer 'Adam' refuses its arguments: "),
    ],
)
def test_what_an_optimiser_is_not(how: dict[str, object], start: str) -> None:
    with pytest.raises(OptionError) as error:
        make_optimizer(nn.Linear(1, 1), settings(**how))
    assert str(error.value).startswith(start)
