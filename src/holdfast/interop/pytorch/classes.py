"""The classes of modules after :func:`holdfast.replace_recurrent`: each derives from torch.nn's class and Holdfast's.

Python looks for a method first in a user's subclass, then in Holdfast's class, then in torch.nn's. So ``forward`` is
Holdfast's, ``super().forward`` in the subclass calls it, and everything else of torch.nn's class (``mode``,
``_flat_weights``, ``check_forward_args``, ``_apply``, ``__getstate__``, ...) works as before.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from holdfast import layers
from holdfast.cells import CellSpec
from holdfast.layers import cell_modules


class _Replaced:
    """The common part of the six classes below."""

    torch_class: ClassVar[type[nn.Module]]
    holdfast_class: ClassVar[Any]

    # torch.nn sets these on each instance; Holdfast's classes have properties of these names.
    nonlinearity = "tanh"
    proj_size = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        self.torch_class.__init__(cast(nn.Module, self), *args, **options)
        vars(self).update(own_attributes(counterpart(self)))

    @property
    def qconfig(self) -> Any:
        """The settings for quantisation, which torch.ao.quantization sets on every module of a model."""
        if "qconfig" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'qconfig'")
        return vars(self)["qconfig"]

    @qconfig.setter
    def qconfig(self, value: Any) -> None:
        name = self.torch_class.__name__
        warnings.warn(
            f"torch.ao.quantization does not quantise this {name}: it looks for the exact class torch.nn.{name}, and "
            "holdfast.replace_recurrent replaced the module. To quantise it, quantise the model first.",
            UserWarning,
            stacklevel=2,
        )
        vars(self)["qconfig"] = value

    @qconfig.deleter
    def qconfig(self) -> None:
        del vars(self)["qconfig"]


class _Layer(_Replaced):
    reset_parameters = nn.RNNBase.reset_parameters
    all_weights = nn.RNNBase.all_weights

    def named_weights(self) -> Mapping[str, Tensor]:
        """The weights that torch.nn's forward would use: ``_flat_weights``, after an update."""
        module, names = cast(Any, self), cast(Any, self)._flat_weights_names
        if module._weights_have_changed():
            if torch.compiler.is_compiling():  # do not keep the tensors of a compiler or exporter
                return {name: getattr(module, name) for name in names if hasattr(module, name)}
            module._init_flat_weights()
        return dict(zip(names, module._flat_weights, strict=True))

    def _weights_have_changed(self) -> bool:
        """The same as torch.nn's method, which takes a tenth of the time of a short call."""
        module = cast(Any, self)
        parameters = module._parameters
        for ref, name in zip(module._flat_weight_refs, module._flat_weights_names, strict=True):
            weight = parameters.get(name)
            if weight is None:  # it is an attribute or is computed
                return cast(bool, cast(Any, nn.RNNBase)._weights_have_changed(module))
            if ref is not None and ref() is not weight:
                return True
        return False


class _Cell(_Replaced):
    reset_parameters = nn.RNNCellBase.reset_parameters


class LSTM(_Layer, layers.LSTM, nn.LSTM):  # type: ignore[misc]
    """``torch.nn.LSTM``, computed by :class:`holdfast.LSTM`."""

    torch_class, holdfast_class = nn.LSTM, layers.LSTM


class GRU(_Layer, layers.GRU, nn.GRU):  # type: ignore[misc]
    """``torch.nn.GRU``, computed by :class:`holdfast.GRU`."""

    torch_class, holdfast_class = nn.GRU, layers.GRU


class RNN(_Layer, layers.RNN, nn.RNN):  # type: ignore[misc]
    """``torch.nn.RNN``, computed by :class:`holdfast.RNN`."""

    torch_class, holdfast_class = nn.RNN, layers.RNN


class LSTMCell(_Cell, cell_modules.LSTMCell, nn.LSTMCell):
    """``torch.nn.LSTMCell``, computed by :class:`holdfast.LSTMCell`."""

    torch_class, holdfast_class = nn.LSTMCell, cell_modules.LSTMCell


class GRUCell(_Cell, cell_modules.GRUCell, nn.GRUCell):
    """``torch.nn.GRUCell``, computed by :class:`holdfast.GRUCell`."""

    torch_class, holdfast_class = nn.GRUCell, cell_modules.GRUCell


class RNNCell(_Cell, cell_modules.RNNCell, nn.RNNCell):
    """``torch.nn.RNNCell``, computed by :class:`holdfast.RNNCell`."""

    torch_class, holdfast_class = nn.RNNCell, cell_modules.RNNCell


# The modules of the classes in older files.
_FORMER_MODULES = {
    **dict.fromkeys((layers.LSTM, layers.GRU, layers.RNN), "holdfast.layers"),
    **dict.fromkeys((cell_modules.LSTMCell, cell_modules.GRUCell, cell_modules.RNNCell), "holdfast.cell_modules"),
}
_REPLACED: Mapping[type, type[_Replaced]] = {
    kind.torch_class: kind for kind in (LSTM, GRU, RNN, LSTMCell, GRUCell, RNNCell)
}
NAMES = frozenset(kind.__name__ for kind in _REPLACED)
"""The names of the classes that can be replaced."""


def replaced_class(kind: type) -> type[_Replaced] | None:
    """The class above for torch.nn's class or its subclass; None for other classes."""
    return next((_REPLACED[base] for base in kind.__mro__ if base in _REPLACED), None)


def class_for(module: nn.Module) -> type:
    """The new class for a module of torch.nn's class or of a subclass."""
    kind: Any = type(module)
    if not parametrize.is_parametrized(module):
        return cast(type, _subclass(kind))
    # torch made this class for this module only; its properties compute the weights.
    members = {name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__")}
    return type(kind.__name__, (_subclass(kind.__bases__[0]),), members)


@cache
def _subclass(kind: Any) -> Any:
    """The class that derives from ``kind`` and from Holdfast's class; for torch.nn's own classes, the class above."""
    replaced = cast(type, replaced_class(kind))
    if kind in _REPLACED:
        return replaced
    members = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "__reduce_ex__": lambda self, _protocol: (restore, (kind,), self.__getstate__()),
    }
    return types.new_class(kind.__name__, (kind, replaced), exec_body=lambda body: body.update(members))


def restore(kind: type) -> Any:
    """A replaced module of a user's subclass, without attributes yet; pickle and copy call this first."""
    replaced = _subclass(kind)
    return replaced.__new__(replaced)


def counterpart(module: Any) -> nn.Module:
    """A module of Holdfast's class with the options of torch.nn's ``module``, without memory for parameters.

    Raises:
        OptionError: Holdfast has no such module.
    """
    options: dict[str, Any] = {"bias": bool(module.bias), "init": "torch", "device": "meta"}
    nonlinearity = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}.get(getattr(module, "mode", ""))
    if isinstance(module, nn.RNN | nn.RNNCell):
        options["nonlinearity"] = nonlinearity or module.nonlinearity
    holdfast_class = cast(Any, replaced_class(type(module))).holdfast_class
    if isinstance(module, nn.RNNCellBase):
        return cast(nn.Module, holdfast_class(module.input_size, module.hidden_size, **options))
    options |= {"batch_first": module.batch_first, "bidirectional": module.bidirectional}
    if isinstance(module, nn.LSTM):
        options["proj_size"] = module.proj_size
    layer = holdfast_class(module.input_size, module.hidden_size, module.num_layers, **options)
    layer.dropout = module.dropout  # set here, as the constructor would repeat torch.nn's warning about a single layer
    return cast(nn.Module, layer)


def own_attributes(layer: nn.Module) -> dict[str, Any]:
    """The attributes that Holdfast's class adds to an instance, besides those of ``nn.Module``."""
    of_every_module = vars(nn.Module())
    return {name: value for name, value in vars(layer).items() if name not in of_every_module}


def safe_globals(*classes: type) -> list[Any]:
    """The classes that ``torch.load(..., weights_only=True)`` needs to load whole models with modules of Holdfast.

    A file of ``torch.save(model)`` names the class of every module, and torch only loads classes that it is told to
    trust. A state dict does not need this. Files that name Holdfast's classes by their former modules are loaded too.

    Args:
        *classes: The other classes in the file: your own and torch.nn's. The function
            ``torch.serialization.get_unsafe_globals_in_checkpoint`` lists them. A subclass of a recurrent class of
            torch.nn must be given here, not to torch, if :func:`holdfast.replace_recurrent` replaced modules of it.

    Returns:
        The argument of ``torch.serialization.safe_globals`` or ``torch.serialization.add_safe_globals``.

    Example:
        >>> import torch
        >>> import holdfast
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), holdfast.LSTM(3, 4))
        >>> torch.save(model, "model.pt")
        >>> with torch.serialization.safe_globals(holdfast.safe_globals(torch.nn.Sequential, torch.nn.Linear)):
        ...     loaded = torch.load("model.pt", weights_only=True)
    """
    ours = [kind.holdfast_class for kind in _REPLACED.values()]
    subclasses = [kind for kind in classes if kind not in _REPLACED and replaced_class(kind)]
    # torch also looks up a trusted class by name, and a subclass and its replacement have the same name.
    replaced = [(_subclass(kind), f"{__name__}.{kind.__module__}.{kind.__qualname__}") for kind in subclasses]
    former = [(kind, f"{module}.{kind.__name__}") for kind, module in _FORMER_MODULES.items()]
    return [*ours, *former, *_REPLACED.values(), CellSpec, restore, *classes, *replaced]
