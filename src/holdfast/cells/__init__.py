"""The maths: each cell stated once, as equations and as the same lines of code under them.

A cell here is a function of one step. :class:`BoundCell` ties it to its parameters and masks, so that it can be run
over time; modules with parameters of their own: :mod:`holdfast.layers.cell_modules` and :mod:`holdfast.layers`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.cells.activation_names import Activation
    from holdfast.cells.activations import ACTIVATIONS, activation
    from holdfast.cells.bound import BoundCell
    from holdfast.cells.noise import Noise, draw_noise
    from holdfast.cells.products import Parameters
    from holdfast.cells.spec import NAMES, CellOptions, CellSpec, Kind, make_spec

# Each name is imported when it is first asked for: the description of a cell needs no torch, its equations do.
_HOMES = {
    "ACTIVATIONS": "activations",
    "NAMES": "spec",
    "Activation": "activation_names",
    "BoundCell": "bound",
    "CellOptions": "spec",
    "CellSpec": "spec",
    "Kind": "spec",
    "Noise": "noise",
    "Parameters": "products",
    "activation": "activations",
    "draw_noise": "noise",
    "make_spec": "spec",
}

__all__ = [
    "ACTIVATIONS",
    "NAMES",
    "Activation",
    "BoundCell",
    "CellOptions",
    "CellSpec",
    "Kind",
    "Noise",
    "Parameters",
    "activation",
    "draw_noise",
    "make_spec",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'holdfast.cells' has no attribute {name!r}")
    value = getattr(import_module(f"holdfast.cells.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
