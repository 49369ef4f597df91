"""The recurrent layers of the networks of all tasks."""

from __future__ import annotations

from typing import Any

from holdfast import register
from holdfast.cells.options import NAMES
from holdfast.errors import OptionError, did_you_mean
from holdfast.layers import LAYERS
from holdfast.layers.layer_options import LayerOptions
from holdfast.layers.own_layer import OwnLayer
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.settings import CELLS, RecurrentSettings

_LAYERS: dict[str, Any] = dict(LAYERS.items())
_NAMES: dict[str, str] = dict(NAMES.items())

_OPTIONS = {*LayerOptions.__annotations__, "bias", "proj_size"} - RecurrentSettings.model_fields.keys()
"""The names in ``model.options``: the arguments of a layer that are not fields of ``[model]``."""


def recurrent_layers(inputs: int, settings: RecurrentSettings) -> RecurrentLayer | OwnLayer:
    """The recurrent layers of a recipe, batch first.

    Args:
        inputs: Values per step of their input.
        settings: The ``[model]`` table of the recipe.

    Raises:
        OptionError: An option of the cell is unknown or does not fit, or a cell of your own cannot be made.
    """
    return known_layers(inputs, settings) if settings.cell in CELLS else _own_layers(inputs, settings)


def known_layers(inputs: int, settings: RecurrentSettings) -> RecurrentLayer:
    """The same for a network that needs one of Holdfast's own cells.

    Raises:
        OptionError: As for :func:`recurrent_layers`; or the cell is not one of Holdfast's.
    """
    if settings.cell not in CELLS:
        raise OptionError(f"model.cell is {settings.cell!r}; this network needs one of {', '.join(CELLS)}.")
    for name in settings.options:
        if name in type(settings).model_fields:
            raise OptionError(f"model.options has {name!r}, which is no option of the cell: set model.{name}.")
        if name not in _OPTIONS:
            raise OptionError(f"{_NAMES[settings.cell]} has no option {name!r}: {did_you_mean(name, _OPTIONS)}")
    stacked = settings.num_layers > 1 or isinstance(settings.hidden_size, list)
    layers: RecurrentLayer = _LAYERS[settings.cell](
        inputs,
        settings.hidden_size,
        settings.num_layers,
        batch_first=True,
        dropout=settings.dropout if stacked else 0.0,
        bidirectional=settings.bidirectional,
        merge=settings.merge,
        locked_dropout=settings.locked_dropout,
        residual=settings.residual,
        engine=settings.engine,
        memory=settings.memory,
        **settings.options,  # the layer checks their names and values
    )
    return layers


def _own_layers(inputs: int, settings: RecurrentSettings) -> OwnLayer:
    if settings.engine not in ("auto", "reference"):
        raise OptionError(
            f"model.engine is {settings.engine!r}, and the cell {settings.cell!r} is not one of Holdfast's: it runs "
            'step by step, as its own code says. Set model.engine = "auto".'
        )
    hidden = settings.hidden_size
    return OwnLayer(
        settings.cell,
        register.find("cell", settings.cell),
        inputs,
        hidden if isinstance(hidden, list) else [hidden] * settings.num_layers,
        bidirectional=settings.bidirectional,
        merge=settings.merge,
        dropout=settings.dropout,
        locked_dropout=settings.locked_dropout,
        residual=settings.residual,
        memory=settings.memory,
        **settings.options,
    )
