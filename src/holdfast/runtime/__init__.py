"""Recurrent layers and models as streams: a step in, a step out, the state kept between. It never imports torch.

:func:`load` opens a saved model, :func:`load_network` a network of other software that ``holdfast convert`` wrote.
:class:`holdfast.Stream`, which needs torch, makes a stream of a layer or a module.
"""

from typing import TYPE_CHECKING

from holdfast.lazy import on_demand
from holdfast.runtime import openmp

if TYPE_CHECKING:
    from holdfast.runtime.converted import ConvertedNetwork, load_network
    from holdfast.runtime.network import Network
    from holdfast.runtime.stream import Stream, load

__all__ = ["ConvertedNetwork", "Network", "Stream", "load", "load_network"]

_HOMES = {
    "ConvertedNetwork": "holdfast.runtime.converted",
    "Network": "holdfast.runtime.network",
    "Stream": "holdfast.runtime.stream",
    "load": "holdfast.runtime.stream",
    "load_network": "holdfast.runtime.converted",
}

openmp.prepare()  # here, because Python runs this before it imports any module of the package, the kernels included

__getattr__ = on_demand(__name__, _HOMES)
