"""The constructor arguments of estimators: the fields of the task's recipe, and a few for values in memory."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from holdfast import register
from holdfast.errors import OptionError, RecipeError, did_you_mean
from holdfast.recipes import validated
from holdfast.settings import Recipe

_RENAMED = {"seed": "random_state", "class_weights": "class_weight"}
"""The fields that scikit-learn has another name for."""
_OF_RUNS = ("limit", "report", "report_first", "checkpoint_seconds")
"""The fields of ``[train]`` for runs of the command line alone."""
_PLAIN = (str, int, float, bool)

OWN: dict[str, tuple[Any, str]] = {
    "random_state": (
        0,
        "Seed of initial values, order, dropout and the validation split: an integer, a ``RandomState``, or None for "
        "another seed at each fit. The same seed, data, thread count and engine give the same bits.",
    ),
    "validation": (
        None,
        "What chooses the best epoch: a fraction of the training examples to hold out, a pair ``(X, y)``, or None or 0 "
        "for nothing; then the latest weights are kept.",
    ),
    "warm_start": (False, "Whether a further ``fit`` continues from the weights of the one before."),
    "callbacks": (None, "A list of :class:`holdfast.training.Listener`, which watch training."),
    "verbose": (
        0,
        "0: show nothing. 1: show progress: a live line on a terminal, a bar in notebooks, else lines. ``'live'``: "
        "also draw curves and the task's own picture while it learns, in a notebook's cell, a window, or else in "
        "``live.png``, by :class:`holdfast.inspect.Live`.",
    ),
}
"""Default and description of the arguments that are not, or not only, fields of a recipe. The fraction that
``validation`` holds out by default comes from the recipe."""

LAYOUT = (
    "channels_last",
    "The order of 3-D arrays and of the arrays in a list: ``channels_last`` for [N, T, F], ``channels_first`` for "
    "[N, F, T], as aeon and sktime have it.",
)


@dataclass(frozen=True)
class Parameter:
    """An argument of a constructor.

    Attributes:
        name: Its name.
        place: The keys of its value in a recipe, such as ``("train", "epochs")``; empty for an argument that no recipe
            has.
        default: A plain value; None stands for a table, a list or a dict of the recipe's defaults.
        text: Its description.
    """

    name: str
    place: tuple[str, ...]
    default: Any
    text: str


def of_recipe(
    recipe: type[Recipe], fields: Sequence[str], without: Sequence[str], own: Mapping[str, tuple[Any, str]]
) -> dict[str, Parameter]:
    """The parameters of an estimator, by name.

    Args:
        recipe: The recipe's class.
        fields: The dotted keys of ``[data]`` and ``[predict]`` that are for values in memory, such as
            ``data.scaling``.
        without: Fields of ``[model]`` that have no effect here.
        own: Default and description of further arguments, by name.
    """
    model = [f"model.{name}" for name in _table(recipe, "model").model_fields if name not in without]
    train = [f"train.{name}" for name in _table(recipe, "train").model_fields if name not in _OF_RUNS]
    parameters = {}
    for key in [*model, *fields, *train]:
        place = tuple(key.split("."))
        field = _table(recipe, *place[:-1]).model_fields[place[-1]]
        name = _RENAMED.get(place[-1], place[-1])
        default = field.get_default()
        plain = default if isinstance(default, _PLAIN) and name not in _RENAMED.values() else None
        parameters[name] = Parameter(name, place, plain, str(field.description))
    for name, (default, text) in own.items():
        field_default = parameters[name].default if name in parameters else None
        place = parameters[name].place if name in parameters else ()
        parameters[name] = Parameter(name, place, field_default if default is None else default, text)
    return parameters


def constructor(
    parameters: Mapping[str, Parameter], then: Callable[[Any], None] = lambda estimator: None
) -> Callable[..., None]:
    """The ``__init__`` of a class, with the parameters as keyword arguments.

    Args:
        parameters: The parameters, by name.
        then: Called with the new object when it has its attributes.
    """

    def __init__(self: Any, **arguments: Any) -> None:  # noqa: N807  (it becomes the method of this name)
        for name in arguments:
            if name not in parameters:
                raise OptionError(f"{type(self).__name__} has no argument {name!r}: {did_you_mean(name, parameters)}")
        for name, parameter in parameters.items():
            setattr(self, name, arguments.get(name, parameter.default))
        then(self)

    keywords = [
        inspect.Parameter(p.name, inspect.Parameter.KEYWORD_ONLY, default=p.default) for p in parameters.values()
    ]
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    __init__.__signature__ = inspect.Signature([first, *keywords])  # type: ignore[attr-defined]
    return __init__


def described(text: str | None, parameters: Mapping[str, Parameter]) -> str:
    """The docstring of a class with its parameters."""
    lines = "\n".join(f"    {p.name}: {' '.join(p.text.split())}" for p in parameters.values())
    raises = "    OptionError: There is no such argument. The values are checked by ``fit``."
    return f"{inspect.cleandoc(text or '')}\n\nArgs:\n{lines}\n\nRaises:\n{raises}\n"


def recipe_of(
    kind: type[Recipe],
    name: str,
    parameters: Mapping[str, Parameter],
    values: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Any:
    """The recipe that the arguments of an estimator describe.

    Args:
        kind: The recipe's class.
        name: The name of the estimator.
        parameters: Its parameters.
        values: The value of each; None for the recipe's default.
        settings: Values of further fields, by dotted key.

    Raises:
        OptionError: A value is not allowed.
    """
    table: dict[str, Any] = {"name": name, "data": {}, "model": {}, "train": {}}
    placed = [(p.place, values[p.name]) for p in parameters.values() if p.place]
    for place, value in [*placed, *((tuple(key.split(".")), value) for key, value in settings.items())]:
        if value is None:
            continue
        *outer, last = place
        inner = table
        for key in outer:
            inner = inner.setdefault(key, {})
        inner[last] = _plain(_named(place, value))
    with as_arguments(parameters):
        return validated(kind, table, f"{name} cannot be used: ")


_OWN: dict[tuple[str, ...], register.Kind] = {
    ("model", "cell"): "cell",
    ("model", "head"): "head",
    ("model", "loss"): "loss",
    ("model", "metrics"): "metric",
}
"""The fields that name parts, which may be given as they are: a class or a function."""


def register_own(parameters: Mapping[str, Parameter], values: Mapping[str, Any]) -> None:
    """Registers the parts of your own among the arguments, as :func:`recipe_of` does."""
    for parameter in parameters.values():
        _named(parameter.place, values[parameter.name])


def _named(place: tuple[str, ...], value: Any) -> Any:
    """The name of a part that is given as it is; any other value unchanged."""
    kind = _OWN.get(tuple(place))
    if kind is None:
        return value
    if isinstance(value, list | tuple):
        return [register.name_of(kind, part) if callable(part) else part for part in value]
    return register.name_of(kind, value) if callable(value) else value


@contextlib.contextmanager
def as_arguments(parameters: Mapping[str, Parameter]) -> Iterator[None]:
    """In the block, an error of a recipe becomes an OptionError that has the names of arguments.

    Args:
        parameters: The parameters of the estimator.
    """
    try:
        yield
    except RecipeError as error:
        raise OptionError(in_arguments(parameters, str(error))) from error


def in_arguments(parameters: Mapping[str, Parameter], message: str) -> str:
    """A message about fields of a recipe, such as ``data.window``, as one about arguments."""
    for parameter in parameters.values():
        if parameter.place:
            message = re.sub(rf"\b{re.escape('.'.join(parameter.place))}\b", parameter.name, message)
    return message


def arguments_of(parameters: Mapping[str, Parameter], tables: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that differ from their defaults.

    Args:
        parameters: The parameters of an estimator.
        tables: The tables of a recipe, some or all, by name.
    """
    arguments = {}
    for parameter in parameters.values():
        value: Any = tables
        for key in parameter.place:
            value = value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)
        if not parameter.place or value is None or value == parameter.default:
            continue
        if parameter.default is None and value == _default(tables, parameter):
            continue
        arguments[parameter.name] = value.model_dump() if isinstance(value, BaseModel) else value
    return arguments


def _default(tables: Mapping[str, Any], parameter: Parameter) -> Any:
    """The recipe's default of a field that is a table, a list or a dict."""
    owner: Any = tables
    for key in parameter.place[:-1]:
        owner = owner.get(key) if isinstance(owner, Mapping) else getattr(owner, key)
    return type(owner).model_fields[parameter.place[-1]].get_default(call_default_factory=True)


def _table(recipe: type[BaseModel], *place: str) -> type[BaseModel]:
    """The class of a table of a recipe."""
    for key in place:
        inner = recipe.model_fields[key].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            raise TypeError(f"{key} is not a table of {recipe.__name__}")
        recipe = inner
    return recipe


def _plain(value: Any) -> Any:
    """A value as TOML has it: numbers of NumPy, as a search over parameters gives them, become Python's."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
