"""Recurrent layers and models as streams: a step in, a step out, the state kept between. It never imports torch.

:func:`load` opens a saved model; :class:`holdfast.Stream`, which needs torch, makes a stream of a layer or a module.
"""

from typing import TYPE_CHECKING

from holdfast.lazy import on_demand

if TYPE_CHECKING:
    from holdfast.runtime.network import Network
    from holdfast.runtime.stream import Stream, load

__all__ = ["Network", "Stream", "load"]

_HOMES = {"Network": "holdfast.runtime.network", "Stream": "holdfast.runtime.stream", "load": "holdfast.runtime.stream"}

__getattr__ = on_demand(__name__, _HOMES)
