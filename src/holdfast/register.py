"""Parts of your own, by name, for recipes and model files: cells, heads, losses and metrics.

A file that registers parts is imported when a person says so, by ``--import my_parts.py`` or by Python's ``import``.
Nothing is ever imported because a recipe or a model file names it.

Example, of the file ``my_parts.py``::

    @holdfast.register.cell("mingru")
    class MinGRU(nn.Module):
        def __init__(self, input_size, hidden_size): ...
        def initial_state(self, batch, dtype=None, device=None): ...
        def forward(self, x, state): ...  # the output and the new state

    $ holdfast train recipe.toml --import my_parts.py --set model.cell=mingru
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from holdfast.errors import OptionError, did_you_mean

Part = TypeVar("Part", bound=Callable[..., Any])
Kind = Literal["cell", "head", "loss", "metric"]

_BUILT_IN: dict[Kind, tuple[str, ...]] = {
    "cell": ("lstm", "gru", "rnn"),
    "head": ("last_state", "last_output", "mean", "max"),
    "loss": ("mse", "mae", "huber", "quantile", "cross-entropy", "squared-error"),
    "metric": ("loss", "accuracy"),
}
_PARTS: dict[Kind, dict[str, Callable[..., Any]]] = {kind: {} for kind in _BUILT_IN}


def cell(name: str) -> Callable[[Part], Part]:
    """Registers a cell for ``model.cell``.

    Args:
        name: Its name in recipes.

    Returns:
        A decorator for a class, or a function that makes the cell. It is called with ``(input_size, hidden_size,
        **model.options)`` and gives a module as :func:`holdfast.unroll` takes it: ``initial_state(batch, dtype=...,
        device=...)``, and ``forward(x, state) -> (output, state)`` with x [B, input_size] and an output [B, O]. The
        hidden state is the first tensor of the state.

    Raises:
        OptionError: The name belongs to a cell of Holdfast or to another one that was registered.
    """
    return _registering("cell", name)


def head(name: str) -> Callable[[Part], Part]:
    """Registers a head for ``model.head``: what makes one vector of the outputs of a sequence.

    Args:
        name: Its name in recipes.

    Returns:
        A decorator for a class of modules. It is called with ``(input_size)``; its ``forward(outputs, lengths)`` takes
        outputs [B, T, input_size], which are zero past a row's length, and lengths [B] or None, and gives [B, O].

    Raises:
        OptionError: The name is taken.
    """
    return _registering("head", name)


def loss(name: str) -> Callable[[Part], Part]:
    """Registers a loss for ``model.loss``.

    Args:
        name: Its name in recipes.

    Returns:
        A decorator for a function ``(scores, targets) -> losses``: the network's scores [B, ...], the targets of the
        batch [B, ...], and one number per sequence, [B].

    Raises:
        OptionError: The name is taken.
    """
    return _registering("loss", name)


def metric(name: str) -> Callable[[Part], Part]:
    """Registers a metric for ``model.metrics``.

    Args:
        name: Its name in recipes and results.

    Returns:
        A decorator for a function ``(outputs, targets) -> number``, called with those of all sequences at once.

    Raises:
        OptionError: The name is taken.
    """
    return _registering("metric", name)


def find(kind: Kind, name: str) -> Callable[..., Any]:
    """A registered part.

    Args:
        kind: ``"cell"``, ``"head"``, ``"loss"`` or ``"metric"``.
        name: The name.

    Raises:
        OptionError: No part has this name.
    """
    if name not in _PARTS[kind]:
        raise OptionError(unknown(kind, name))
    return _PARTS[kind][name]


def is_registered(kind: Kind, name: str) -> bool:
    """Whether a part of your own has this name.

    Args:
        kind: ``"cell"``, ``"head"``, ``"loss"`` or ``"metric"``.
        name: The name.
    """
    return name in _PARTS[kind]


def unknown(kind: Kind, name: str, known: Iterable[str] | None = None) -> str:
    """The message about a name that no part has.

    Args:
        kind: What it should name.
        name: The unknown name.
        known: The names of Holdfast's own parts; None for all of this kind.
    """
    names = [*(_BUILT_IN[kind] if known is None else known), *_PARTS[kind]]
    return (
        f"there is no {kind} {name!r}: {did_you_mean(name, names)} A {kind} of your own is known once the file that "
        "registers it is imported, by --import FILE"
    )


def name_of(kind: Kind, part: str | Callable[..., Any]) -> str:
    """The name of a part given by its name or as it is.

    A part without a name is registered under the name of its class or function.

    Args:
        kind: ``"cell"``, ``"head"``, ``"loss"`` or ``"metric"``.
        part: The name, or the part itself.

    Raises:
        OptionError: Another part has this name.
    """
    if isinstance(part, str):
        return part
    for name, registered in _PARTS[kind].items():
        if registered is part:
            return name
    name = getattr(part, "__qualname__", type(part).__qualname__)
    _registering(kind, name)(part)
    return name


def import_parts(source: str) -> None:
    """Imports a file or a module that registers parts.

    Args:
        source: The path of a Python file, such as ``my_parts.py``; or the name of a module that Python finds.

    Raises:
        OptionError: There is no such file or module, or importing it fails.
    """
    path = Path(source)
    try:
        if path.suffix == ".py":
            _import_file(path)
        else:
            importlib.import_module(source)
    except OptionError:
        raise
    except Exception as error:
        raise OptionError(
            f"Importing {source} failed: {type(error).__name__}: {error}. Mend the file, or name another one."
        ) from error


def _import_file(path: Path) -> None:
    """Imports a Python file as a module with its own name, once per process."""
    if not path.is_file():
        raise OptionError(f"There is no file {path} to import. Check the path.")
    name = path.stem
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path.resolve()):
        return
    if loaded is not None:
        raise OptionError(f"{path} cannot be imported: there is already a module {name!r}. Give the file another name.")
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _registering(kind: Kind, name: str) -> Callable[[Part], Part]:
    if not isinstance(name, str) or not name.isprintable() or not name:
        raise OptionError(f"The name of a {kind} is {name!r}; expected a text.")
    if name in _BUILT_IN[kind]:
        raise OptionError(f"Holdfast has a {kind} {name!r} itself. Give yours another name.")

    def register(part: Part) -> Part:
        if not callable(part):
            raise OptionError(f"The {kind} {name!r} is {part!r:.60}; expected a class or a function.")
        known = _PARTS[kind].get(name)
        if known is not None and _place(known) != _place(part):
            raise OptionError(f"There is already a {kind} {name!r}, from {_place(known)}. Give yours another name.")
        _PARTS[kind][name] = part  # the same place again: a cell of a notebook was run again
        return part

    return register


def _place(part: Callable[..., Any]) -> str:
    return f"{getattr(part, '__module__', '')}.{getattr(part, '__qualname__', type(part).__qualname__)}"
