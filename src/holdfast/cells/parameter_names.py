"""The names of a layer's parameters, which are torch.nn's: ``weight_ih_l0``, ``bias_hh_l1_reverse``."""

from __future__ import annotations


def layer_suffix(layer: int, direction: int = 0) -> str:
    """What follows the names of the parameters and states of one layer and direction.

    Args:
        layer: The number of the layer, from 0.
        direction: 0 along time, 1 against it.

    Example:
        >>> layer_suffix(0), layer_suffix(1, 1)
        ('_l0', '_l1_reverse')
    """
    return f"_l{layer}" + ("_reverse" if direction else "")
