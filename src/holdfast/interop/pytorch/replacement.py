"""``holdfast.replace_recurrent``: turns the recurrent modules of a PyTorch model into Holdfast's, in place."""

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

# Methods that torch.nn's forward calls and Holdfast's does not.
_FORWARD_CALLS = (
    *("check_forward_args", "check_input", "check_hidden_size", "permute_hidden"),
    *("get_expected_hidden_size", "get_expected_cell_size"),
)


@dataclass(frozen=True)
class Replacement:
    """The result for one recurrent module.

    Attributes:
        name: Its name from ``named_modules``; empty for the model itself. A module at several places has the first of
            its names.
        before: The class it had.
        after: The class it has now; the same if it was not replaced.
        why_not: Why it was not replaced; None if it was.
    """

    name: str
    before: str
    after: str
    why_not: str | None = None


@dataclass(frozen=True)
class Replacements:
    """The result of :func:`replace_recurrent`; ``print`` it for a table.

    Attributes:
        rows: The recurrent modules of the model, in its order.
    """

    rows: tuple[Replacement, ...]

    @property
    def replaced(self) -> tuple[Replacement, ...]:
        """The modules that were replaced."""
        return tuple(row for row in self.rows if row.why_not is None)

    @property
    def left(self) -> tuple[Replacement, ...]:
        """The modules that were not replaced."""
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
    """Turns every recurrent module of torch.nn in a model into Holdfast's, in place.

    The module objects themselves change, so every reference to one (an attribute, a list, several places) then refers
    to Holdfast's module; the model may be such a module itself. Parameters stay the same objects: existing optimisers
    work on, tied weights stay tied, and the names in ``state_dict`` stay. Hooks, training mode, device, dtype and other
    attributes of the module stay, too. No random number is drawn.

    A replaced module is an instance of Holdfast's class and of torch.nn's: ``isinstance(module, torch.nn.LSTM)`` stays
    True, and its other attributes and methods (``mode``, ``_flat_weights``, ``check_forward_args``,
    ``reset_parameters``, ...) work as before. A subclass of torch.nn's class keeps its own code, and its
    ``super().forward`` is Holdfast's.

    Some modules are not replaced, and the report gives the reason: scripted and quantised modules; modules whose
    ``forward`` was replaced; subclasses that override a method that torch.nn's ``forward`` calls, or that use a name of
    Holdfast's classes for something else; and modules that no layer of Holdfast can replace.

    Args:
        model: Any module. The modules in it of torch.nn's ``LSTM``, ``GRU``, ``RNN``, ``LSTMCell``, ``GRUCell`` and
            ``RNNCell``, and of subclasses, are replaced.

    Returns:
        Which modules were replaced, which were not, and why.

    Raises:
        OptionError: ``model`` is not a module.

    Example:
        >>> import torch
        >>> import holdfast
        >>> model = torch.nn.ModuleDict({"encoder": torch.nn.LSTM(3, 4), "output": torch.nn.Linear(4, 2)})
        >>> replacements = holdfast.replace_recurrent(model)
        >>> isinstance(model["encoder"], holdfast.LSTM), isinstance(model["encoder"], torch.nn.LSTM)
        (True, True)
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
    """Why a recurrent module cannot be replaced; None if this check finds no reason."""
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
        for method in _FORWARD_CALLS:
            if method in vars(base):
                name = f"torch.nn.{replaced.torch_class.__name__}"
                return f"it overrides {method}, which the forward of {name} calls and Holdfast's does not."
    return None


def _replace(module: nn.Module) -> str | None:
    """Changes a module of torch.nn into Holdfast's; or returns why it cannot."""
    try:
        like = counterpart(module)
    except OptionError as error:
        return str(error)
    # torch.nn's layers compute with this list. It still has a weight that was deleted to be computed from others.
    listed = dict(zip(getattr(module, "_flat_weights_names", ()), getattr(module, "_flat_weights", ()), strict=False))
    for name, expected in like.named_parameters():
        if parametrize.is_parametrized(module, name):
            continue
        weight = getattr(module, name, listed.get(name))
        if not isinstance(weight, torch.Tensor) or weight.shape != expected.shape:
            got = f"has shape {tuple(weight.shape)}" if isinstance(weight, torch.Tensor) else "is not there"
            return f"its {name} {got}; expected {tuple(expected.shape)}."
    attributes = own_attributes(like)
    for name in _clashes(module, type(like), attributes):
        return f"it has {name!r}, a name that holdfast.{type(like).__name__} uses for something else; rename it."
    kind = class_for(module)
    vars(module).update(attributes)
    module.__class__ = kind
    return None


def _clashes(module: nn.Module, ours: type, attributes: dict[str, Any]) -> Iterator[str]:
    """The names that Holdfast's class and a module, or the module's subclass of torch.nn's class, use differently."""
    torch_class: Any = cast(Any, replaced_class(type(module))).torch_class
    of_torch = {*dir(torch_class), *torch_class.__constants__, "nonlinearity"}
    names = {*attributes, *dir(ours)} - of_torch
    for base in _subclasses(type(module), torch_class):
        yield from sorted(names & vars(base).keys())
    for name in sorted(names & vars(module).keys()):
        value = vars(module)[name]
        if type(attributes.get(name)) is not type(value) or attributes[name] != value:
            yield name


def _subclasses(kind: type, base: type) -> Sequence[type]:
    """The classes of ``kind``, itself included, that derive from ``base``."""
    return kind.__mro__[: kind.__mro__.index(base)]


def _class_name(module: nn.Module) -> str:
    """The usual name of a module's class: torch.nn.LSTM, not torch.nn.modules.rnn.LSTM."""
    kind = parametrize.type_before_parametrizations(module)
    name, known = f"{kind.__module__}.{kind.__qualname__}", replaced_class(kind)
    if known is None:
        return name
    is_replaced = issubclass(kind, known)
    base = f"{'holdfast' if is_replaced else 'torch.nn'}.{known.__name__}"
    if kind in (known, known.torch_class):
        return base
    return f"{name} on {base}" if is_replaced else name
