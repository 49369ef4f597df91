"""``holdfast.replace_recurrent``: the recurrent modules of a PyTorch model become Holdfast's, where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.nn.utils import parametrize

from holdfast.errors import OptionError
from holdfast.interop.pytorch.classes import NAMES, class_for, counterpart, own_attributes, replaced_class
from holdfast.layers.cell_modules import CellModule
from holdfast.layers.recurrent_layer import RecurrentLayer

# What torch.nn's forward calls; Holdfast's does not.
_CALLED = (
    *("check_forward_args", "check_input", "check_hidden_size", "permute_hidden"),
    *("get_expected_hidden_size", "get_expected_cell_size"),
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

    A replaced module is an instance of Holdfast's class and of torch.nn's: ``isinstance(module, torch.nn.LSTM)`` stays
    True, and what programs ask of it or set on it (``mode``, ``_flat_weights``, ``check_forward_args``,
    ``reset_parameters``, ...) does what it did. A subclass of torch.nn's class keeps its own code, and its
    ``super().forward`` is Holdfast's.

    These modules stay as they are, each with its reason in the report: scripted and quantised ones; those whose
    ``forward`` was replaced; subclasses that override what torch.nn's ``forward`` calls, or that use a name of
    Holdfast's classes for something else; and what no layer of Holdfast can stand in for.

    Args:
        model: Any module: torch.nn's ``LSTM``, ``GRU``, ``RNN``, ``LSTMCell``, ``GRUCell`` and ``RNNCell`` in it, and
            modules of classes that derive from these, are replaced.

    Returns:
        What was replaced, what not, and why.

    Raises:
        OptionError: ``model`` is not a module.
    """
    if not isinstance(model, nn.Module):
        raise OptionError(f"replace_recurrent got a {type(model).__name__}; expected a torch.nn.Module.")
    rows = []
    for name, module in model.named_modules():
        if isinstance(module, RecurrentLayer | CellModule) or not _is_recurrent(module):
            continue
        before = _class_name(module)
        reason = _reason(module) or _replace(module)
        rows.append(Replacement(name, before, _class_name(module), reason))
    return Replacements(tuple(rows))


def _is_recurrent(module: nn.Module) -> bool:
    kind = type(module)
    if isinstance(module, torch.jit.ScriptModule):
        return getattr(module, "original_name", "") in NAMES
    return isinstance(module, nn.RNNBase | nn.RNNCellBase) or (_is_quantised(kind) and kind.__name__ in NAMES)


def _is_quantised(kind: type) -> bool:
    return "quantiz" in kind.__module__ or "quantized" in kind.__module__


def _reason(module: nn.Module) -> str | None:
    """Why a recurrent module cannot be replaced; None for one that perhaps can."""
    kind = type(module)
    if isinstance(module, torch.jit.ScriptModule):
        return "it is scripted; replace before torch.jit.script."
    if _is_quantised(kind):
        return "it is quantised."
    replaced = replaced_class(kind)
    if replaced is None:
        return "it derives from none of torch.nn's LSTM, GRU and RNN and their cells: its forward is its own."
    if "forward" in vars(module):
        return "its forward was replaced; replace the module before that."
    for base in _subclasses(kind, replaced.torch_class):
        for method in _CALLED:
            if method in vars(base):
                name = f"torch.nn.{replaced.torch_class.__name__}"
                return f"it overrides {method}, which the forward of {name} calls and Holdfast's does not."
    return None


def _replace(module: nn.Module) -> str | None:
    """Changes a module of torch.nn into Holdfast's; or leaves it alone and says why."""
    try:
        like = counterpart(module)
    except OptionError as error:
        return str(error)
    # A layer of torch.nn computes with this list, in which a weight stays that was deleted to be computed from others.
    listed = dict(zip(getattr(module, "_flat_weights_names", ()), getattr(module, "_flat_weights", ()), strict=False))
    for name, expected in like.named_parameters():
        if parametrize.is_parametrized(module, name):
            continue
        found = getattr(module, name, listed.get(name))
        if not isinstance(found, torch.Tensor) or found.shape != expected.shape:
            got = f"has shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else "is not there"
            return f"its {name} {got}; expected {tuple(expected.shape)}."
    own = own_attributes(like)
    for name in _clashes(module, type(like), own):
        return f"it has {name!r}, a name that holdfast.{type(like).__name__} uses for something else; rename it."
    kind = class_for(module)
    vars(module).update(own)
    module.__class__ = kind
    return None


def _clashes(module: nn.Module, ours: type, own: dict[str, Any]) -> Iterator[str]:
    """The names that a module, or its class where it derives from torch.nn's, and Holdfast's class use differently."""
    torch_class: Any = cast(Any, replaced_class(type(module))).torch_class
    of_torch = {*dir(torch_class), *torch_class.__constants__, "nonlinearity"}
    names = {*own, *dir(ours)} - of_torch
    for base in _subclasses(type(module), torch_class):
        yield from sorted(names & vars(base).keys())
    for name in sorted(names & vars(module).keys()):
        if type(own.get(name)) is not type(vars(module)[name]) or own[name] != vars(module)[name]:
            yield name


def _subclasses(kind: type, base: type) -> Sequence[type]:
    """The classes below ``base`` that ``kind`` is made of."""
    return kind.__mro__[: kind.__mro__.index(base)]


def _class_name(module: nn.Module) -> str:
    """The class by the name that people write: torch.nn.LSTM, not torch.nn.modules.rnn.LSTM."""
    kind = parametrize.type_before_parametrizations(module)
    name, known = f"{kind.__module__}.{kind.__qualname__}", replaced_class(kind)
    if known is None:
        return name
    is_replaced = issubclass(kind, known)
    base = f"{'holdfast' if is_replaced else 'torch.nn'}.{known.__name__}"
    if kind in (known, known.torch_class):
        return base
    return f"{name} on {base}" if is_replaced else name
