"""The recurrent layers of the networks of all tasks."""

from __future__ import annotations

from holdfast.cells.options import NAMES
from holdfast.errors import OptionError, did_you_mean
from holdfast.layers import LAYERS
from holdfast.layers.layer_options import LayerOptions
from holdfast.layers.recurrent_layer import RecurrentLayer
from holdfast.settings import RecurrentSettings

_OPTIONS = {*LayerOptions.__annotations__, "bias", "proj_size"} - RecurrentSettings.model_fields.keys()
"""The names in ``model.options``: the arguments of a layer that are not fields of ``[model]``."""


def recurrent_layers(inputs: int, settings: RecurrentSettings) -> RecurrentLayer:
    """The recurrent layers of a recipe, batch first.

    Args:
        inputs: Values per step of their input.
        settings: The ``[model]`` table of the recipe.

    Raises:
        OptionError: An option of the cell is unknown or does not fit.
    """
    for name in settings.options:
        if name in type(settings).model_fields:
            raise OptionError(f"model.options has {name!r}, which is no option of the cell: set model.{name}.")
        if name not in _OPTIONS:
            raise OptionError(f"{NAMES[settings.cell]} has no option {name!r}: {did_you_mean(name, _OPTIONS)}")
    stacked = settings.num_layers > 1 or isinstance(settings.hidden_size, list)
    layers: RecurrentLayer = LAYERS[settings.cell](
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
