"""What the networks of several tasks are built of."""

from __future__ import annotations

from holdfast.layers import LAYERS
from holdfast.recipes.schema import RecurrentSettings
from holdfast.recurrent_layer import RecurrentLayer


def recurrent_layers(inputs: int, settings: RecurrentSettings) -> RecurrentLayer:
    """The recurrent layers that a recipe asks for, batch first.

    Args:
        inputs: Values in a step of their input.
        settings: The ``[model]`` table of the recipe.

    Raises:
        OptionError: An option of the cell is unknown or does not fit.
    """
    several = settings.num_layers > 1 or isinstance(settings.hidden_size, list)
    layers: RecurrentLayer = LAYERS[settings.cell](
        inputs,
        settings.hidden_size,
        settings.num_layers,
        batch_first=True,
        dropout=settings.dropout if several else 0.0,
        bidirectional=settings.bidirectional,
        merge=settings.merge,
        locked_dropout=settings.locked_dropout,
        residual=settings.residual,
        engine=settings.engine,
        memory=settings.memory,
        **settings.options,  # the layer checks their names and values
    )
    return layers
