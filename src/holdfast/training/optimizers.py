"""Every optimiser of ``torch.optim`` and of :mod:`holdfast.training.proximal`, by class name."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from holdfast.errors import OptionError, did_you_mean
from holdfast.settings import TrainSettings
from holdfast.training.proximal import PROXIMAL

_SETTING_OF = {"lr": "learning_rate", "weight_decay": "weight_decay"}

_UNFIT = {
    "LBFGS": "evaluates the loss several times per update, which this training does not do",
    "SparseAdam": "needs sparse gradients, and those of recurrent layers are dense",
    "Muon": "is for matrices only, and recurrent layers also have vectors (biases)",
}
"""Optimisers of ``torch.optim`` that cannot train a recurrent network, and why."""


def make_optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """The optimiser of the settings, over the model's trainable parameters.

    Args:
        model: On the device of the training.
        settings: ``optimizer``, ``learning_rate``, ``weight_decay`` and ``optimizer_options`` are read.

    Raises:
        OptionError: There is no such optimiser, or it does not have one of the options.
    """
    known, options = _optimizers(), settings.optimizer_options
    name = {class_name.lower(): class_name for class_name in known}.get(settings.optimizer.lower(), settings.optimizer)
    for unfit, reason in _UNFIT.items():
        if name.lower() == unfit.lower():
            raise OptionError(f"optimizer {unfit!r} {reason}. Use another, such as 'Adam'.")
    if name not in known:
        raise OptionError(f"optimizer {name!r} is not known; {did_you_mean(name, known)}")
    accepted = set(inspect.signature(known[name]).parameters) - {"params"}
    for option in options:
        if option in _SETTING_OF:
            raise OptionError(f"optimizer_options has {option!r}; set {_SETTING_OF[option]} instead.")
        if option not in accepted:
            choices = did_you_mean(option, accepted - set(_SETTING_OF))
            raise OptionError(f"optimizer {name!r} has no argument {option!r}; {choices}")
    arguments: dict[str, Any] = {"lr": settings.learning_rate, **options}
    if "weight_decay" in accepted:  # passed even when 0, which is not the default of every optimiser
        arguments["weight_decay"] = settings.weight_decay
    elif settings.weight_decay:
        raise OptionError(f"optimizer {name!r} has no weight decay; leave weight_decay at 0 or use 'AdamW'.")
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise OptionError("the model has no parameter that requires a gradient; there is nothing to train.")
    try:
        return known[name](parameters, **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OptionError(f"optimizer {name!r} refuses its arguments: {error}") from error


def _optimizers() -> dict[str, type[torch.optim.Optimizer]]:
    base = torch.optim.Optimizer
    return {
        name: kind
        for name, kind in vars(torch.optim).items()
        if isinstance(kind, type) and issubclass(kind, base) and kind is not base and name not in _UNFIT
    } | PROXIMAL
