"""``holdfast.replace_recurrent``: the recurrent modules of a PyTorch model become Holdfast's, where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn.modules.rnn import RNNBase, RNNCellBase
from torch.nn.utils import parametrize

from holdfast.cell_modules import GRUCell, LSTMCell, RNNCell
from holdfast.errors import OptionError
from holdfast.layers import GRU, LSTM, RNN

_COUNTERPARTS: Mapping[type, Any] = {
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.RNN: RNN,
    nn.LSTMCell: LSTMCell,
    nn.GRUCell: GRUCell,
    nn.RNNCell: RNNCell,
}
_NAMES = frozenset(kind.__name__ for kind in _COUNTERPARTS)

# What torch.nn keeps beside the parameters to hand them to cuDNN in one piece, and what is a property in Holdfast.
_LEFT_BEHIND = (
    *("_flat_weights", "_flat_weights_names", "_flat_weight_refs", "_all_weights"),
    *("proj_size", "nonlinearity"),
)


@dataclass(frozen=True)
class Replacement:
    """What became of one recurrent module.

    Attributes:
        name: Its name in the model, as ``named_modules`` gives it; empty for the model itself. A module that stands in
            several places has the first of its names.
        before: The class it had.
        after: The class it has now; the same where it was not replaced.
        why_not: Why it was not replaced; None where it was.
    """

    name: str
    before: str
    after: str
    why_not: str | None = None


@dataclass(frozen=True)
class Replacements:
    """What :func:`replace_recurrent` did; ``print`` it for a table.

    Attributes:
        rows: The recurrent modules of the model, in its order.
    """

    rows: tuple[Replacement, ...]

    @property
    def replaced(self) -> tuple[Replacement, ...]:
        """Those that are Holdfast's now."""
        return tuple(row for row in self.rows if row.why_not is None)

    @property
    def left(self) -> tuple[Replacement, ...]:
        """Those that are still what they were."""
        return tuple(row for row in self.rows if row.why_not is not None)

    def __str__(self) -> str:
        if not self.rows:
            return "The model has no recurrent module of torch.nn."
        head = ("Module", "Was", "Is now")
        body = [(row.name or "(the model)", row.before, row.after) for row in self.rows]
        first, second, third = (max(len(line[column]) for line in [head, *body]) for column in range(3))
        lines = [f"{a:<{first}}  {b:<{second}}  {c}" for a, b, c in [head, *body]]
        lines.insert(1, "-" * (first + second + third + 4))
        lines += [lines[1], f"{len(self.replaced)} of {len(self.rows)} recurrent modules replaced"]
        lines += [f"{row.name or 'the model'} stays as it is: {row.why_not}" for row in self.left]
        return "\n".join(lines)


def replace_recurrent(model: nn.Module) -> Replacements:
    """Makes every recurrent module of torch.nn in a model one of Holdfast, in place.

    The modules themselves change: whoever holds one (an attribute, a list, several places at once) holds Holdfast's
    afterwards, and the model may be such a module itself. Parameters stay the same objects, so an optimiser made before
    goes on, tied weights stay tied and the names in ``state_dict`` stay; so do hooks, training mode, device, dtype and
    whatever else was put on the module. No random number is drawn.

    What stays as it is, each with its reason in the report: subclasses, since what they override would be lost; modules
    with weights under ``torch.nn.utils.parametrize``; quantised and scripted ones; and what no layer of Holdfast can
    stand in for. Code that asks ``isinstance(module, torch.nn.LSTM)`` afterwards gets False.

    Args:
        model: Any module: torch.nn's ``LSTM``, ``GRU``, ``RNN``, ``LSTMCell``, ``GRUCell`` and ``RNNCell`` in it are
            replaced.

    Returns:
        What was replaced, what not, and why.

    Raises:
        OptionError: ``model`` is not a module.
    """
    if not isinstance(model, nn.Module):
        raise OptionError(f"replace_recurrent got a {type(model).__name__}; expected a torch.nn.Module.")
    rows = []
    for name, module in model.named_modules():
        kind = type(module)
        reason = _reason(module)
        if reason is None and kind in _COUNTERPARTS:
            reason = _replace(module)
        elif reason is None:
            continue
        rows.append(Replacement(name, _class_name(kind), _class_name(type(module)), reason))
    return Replacements(tuple(rows))


def _reason(module: nn.Module) -> str | None:
    """Why a module is a recurrent one that cannot be replaced; None for one that can be, or is not recurrent."""
    kind = type(module)
    if isinstance(module, torch.jit.ScriptModule):
        scripted = getattr(module, "original_name", "") in _NAMES
        return "it is scripted; replace before torch.jit.script." if scripted else None
    if not isinstance(module, RNNBase | RNNCellBase):
        quantised = "quantiz" in kind.__module__ or "quantized" in kind.__module__
        return "it is quantised." if quantised and kind.__name__ in _NAMES else None
    if parametrize.is_parametrized(module):
        return (
            "its weights are parametrised; replace first and register the parametrisation on Holdfast's layer, or "
            "remove it (torch.nn.utils.parametrize.remove_parametrizations)."
        )
    if kind not in _COUNTERPARTS:
        base = next(base for base in kind.__mro__ if base.__module__.startswith("torch.nn."))
        return f"what it overrides of {_class_name(base)} would be lost; derive it from Holdfast's class."
    if "forward" in vars(module):
        return "its forward was replaced."
    return None


def _replace(module: nn.Module) -> str | None:
    """Changes a module of torch.nn into Holdfast's; or leaves it alone and says why."""
    try:
        model = _like(module)
    except OptionError as error:
        return str(error)
    for name, expected in model.named_parameters():
        found = getattr(module, name, None)
        if not isinstance(found, torch.Tensor) or found.shape != expected.shape:
            got = f"has shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else "is not there"
            return f"its {name} {got}; expected {tuple(expected.shape)}."
    base = vars(nn.Module())  # parameters, hooks, training mode: of every module
    own = {name: value for name, value in vars(model).items() if name not in base}
    for name in _LEFT_BEHIND:
        vars(module).pop(name, None)
    vars(module).update(own)
    module.__class__ = type(model)
    return None


def _like(module: Any) -> nn.Module:
    """Holdfast's counterpart of a module, without memory for its parameters."""
    options: dict[str, Any] = {"bias": bool(module.bias), "device": "meta"}
    nonlinearity = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}.get(getattr(module, "mode", ""))
    if isinstance(module, nn.RNN | nn.RNNCell):
        options["nonlinearity"] = nonlinearity or module.nonlinearity
    if isinstance(module, RNNCellBase):
        return cast(nn.Module, _COUNTERPARTS[type(module)](module.input_size, module.hidden_size, **options))
    options |= {"batch_first": module.batch_first, "bidirectional": module.bidirectional}
    if isinstance(module, nn.LSTM):
        options["proj_size"] = module.proj_size
    layer = _COUNTERPARTS[type(module)](module.input_size, module.hidden_size, module.num_layers, **options)
    layer.dropout = module.dropout  # set, not given: torch.nn has warned already where there is one layer alone
    return cast(nn.Module, layer)


def _class_name(kind: type) -> str:
    """The class by the name that people write: torch.nn.LSTM, not torch.nn.modules.rnn.LSTM."""
    if kind in _COUNTERPARTS:
        return f"torch.nn.{kind.__name__}"
    if kind in _COUNTERPARTS.values():
        return f"holdfast.{kind.__name__}"
    return f"{kind.__module__}.{kind.__qualname__}"
