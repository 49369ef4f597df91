"""Recurrent layers and models as streams: a step in, a step out, the state kept between. It never imports torch.

:func:`load` opens a saved model; :class:`holdfast.Stream`, which needs torch, makes a stream of a layer or a module.
"""

from holdfast.runtime.network import Network
from holdfast.runtime.stream import Stream, load

__all__ = ["Network", "Stream", "load"]
