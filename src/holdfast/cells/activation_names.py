"""The names and parameters of activations, which the description of a cell holds; without torch.

A name is alone, ``"tanh"``, or has its parameters in brackets, ``"leaky_relu(0.2)"``. So a cell with parametrised
activations can be saved as text, compared and printed like any other. Omitted parameters have their defaults.
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
"""A name in :data:`~holdfast.cells.activations.ACTIVATIONS`, with its parameters in brackets; or a function."""

# The default parameters of each name; holdfast.cells.activations says what they do.
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


@lru_cache(256)  # bounded, as names come from files too
def parse_activation(name: str) -> tuple[str, tuple[float, ...]]:
    """Splits ``"leaky_relu(0.2)"`` into ``("leaky_relu", (0.2,))``; an omitted parameter has its default.

    Raises:
        OptionError: No activation has that name, or it does not take these parameters.

    Example:
        >>> parse_activation("leaky_relu(0.2)"), parse_activation("elu"), parse_activation("tanh")
        (('leaky_relu', (0.2,)), ('elu', (1.0,)), ('tanh', ()))
    """
    base, bracket, listed = name.partition("(")
    if base not in PARAMETERS:
        raise OptionError(f"There is no activation {name!r}: {did_you_mean(base, PARAMETERS)} A callable will do too.")
    defaults = PARAMETERS[base]
    if not bracket:
        return base, defaults
    try:
        values = tuple(map(float, listed.removesuffix(")").split(",")))
    except ValueError:
        values = ()
    if not listed.endswith(")") or not 1 <= len(values) <= len(defaults) or not all(map(math.isfinite, values)):
        example = f"{base}({', '.join(f'{value:.4g}' for value in defaults)})" if defaults else base
        raise OptionError(f"The activation {name!r} has other parameters than {base} takes: write it like {example!r}.")
    return base, values + defaults[len(values) :]


def check_activation(name: Activation) -> None:
    """Refuses a name that no activation has, and parameters that it does not take. Any callable passes.

    Raises:
        OptionError: The activation is refused.
    """
    if callable(name):
        return
    if not isinstance(name, str):
        raise OptionError(f"There is no activation {name!r}: expected a name, or a callable.")
    parse_activation(name)
