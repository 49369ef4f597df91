"""The names of activations and what they are parametrised by: what a description of a cell holds, without torch.

A name stands alone, ``"tanh"``, or with its parameters, ``"leaky_relu(0.2)"``: a cell with parametrised activations
can be saved as text, compared and printed like any other. Parameters that are left out have their defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from holdfast.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

Activation = str | Callable[["Tensor"], "Tensor"]

# What each name's parameters are when they are left out; holdfast.cells.activations says what they do.
PARAMETERS: dict[str, tuple[float, ...]] = {
    "tanh": (),
    "sigmoid": (),
    "relu": (),
    "linear": (),
    "hard_sigmoid": (1 / 6, 0.5),
    "hard_sigmoid_02": (),
    "softsign": (),
    "softplus": (),
    "elu": (1.0,),
    "selu": (),
    "exponential": (),
    "leaky_relu": (0.01,),
    "relu6": (),
    "thresholded_relu": (1.0,),
    "affine": (1.0, 0.0),
    "scaled_tanh": (1.0, 1.0),
    "silu": (),
    "gelu": (),
    "mish": (),
}


@lru_cache(256)  # not without bound: names come from files too
def parse_activation(name: str) -> tuple[str, tuple[float, ...]]:
    """``"leaky_relu(0.2)"`` -> ``("leaky_relu", (0.2,))``; a parameter that is left out has its default.

    Raises:
        OptionError: No activation has that name, or it has no such parameters.
    """
    base, bracket, given = name.partition("(")
    if base not in PARAMETERS:
        raise OptionError(f"There is no activation {name!r}: {did_you_mean(base, PARAMETERS)} A callable will do too.")
    defaults = PARAMETERS[base]
    if not bracket:
        return base, defaults
    try:
        values = tuple(map(float, given.removesuffix(")").split(",")))
    except ValueError:
        values = ()
    if not given.endswith(")") or not 1 <= len(values) <= len(defaults) or not all(map(math.isfinite, values)):
        example = f"{base}({', '.join(f'{value:.4g}' for value in defaults)})" if defaults else base
        raise OptionError(f"The activation {name!r} has other parameters than {base} takes: write it like {example!r}.")
    return base, values + defaults[len(values) :]


def check_activation(name: Activation) -> None:
    """Refuses an activation that does not exist; a callable passes.

    Raises:
        OptionError: No activation has that name, or it has no such parameters.
    """
    if callable(name):
        return
    if not isinstance(name, str):
        raise OptionError(f"There is no activation {name!r}: expected a name, or a callable.")
    parse_activation(name)
