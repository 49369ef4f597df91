"""The maths: each cell stated once, as equations and as the same lines of code under them.

A cell here is a function of one step. :class:`BoundCell` binds it to its parameters and masks and runs it over time;
:mod:`holdfast.layers` has the modules with parameters of their own. The description of a cell needs no torch, so each
name is imported when it is first used.
"""

from typing import TYPE_CHECKING

from holdfast.lazy import on_demand

if TYPE_CHECKING:
    from holdfast.cells.activation_names import Activation
    from holdfast.cells.activations import ACTIVATIONS, activation
    from holdfast.cells.bound import BoundCell
    from holdfast.cells.noise import Noise, draw_noise
    from holdfast.cells.options import NAMES, CellOptions, Kind
    from holdfast.cells.products import Parameters
    from holdfast.cells.spec import CellSpec, make_spec

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

_NAMES_IN = {
    "activation_names": ["Activation"],
    "activations": ["ACTIVATIONS", "activation"],
    "bound": ["BoundCell"],
    "noise": ["Noise", "draw_noise"],
    "options": ["NAMES", "CellOptions", "Kind"],
    "products": ["Parameters"],
    "spec": ["CellSpec", "make_spec"],
}
_HOMES = {name: f"{__name__}.{module}" for module, names in _NAMES_IN.items() for name in names}

__getattr__ = on_demand(__name__, _HOMES)
