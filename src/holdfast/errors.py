"""The exception classes of Holdfast.

Every message says what was wrong, what was got, what was expected and what to do next. Each class also inherits
the built-in exception that a caller would expect, so ``except ValueError`` keeps working.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST_MESSAGE = 2000
"""Characters. A message that quotes more of a file loses its middle."""


class HoldfastError(Exception):
    """Base class: catching it catches every error that Holdfast raises on purpose.

    A message may quote what a file holds, which may be anything: control characters are shown as escapes, so that it is
    one line, and a message of more than 2,000 characters is shortened.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(_readable(each) if isinstance(each, str) else each for each in args))


class ShapeError(HoldfastError, ValueError, RuntimeError):
    """A tensor has the wrong shape, dtype or device; torch raises one of the two built-in exceptions for it."""


class OptionError(HoldfastError, ValueError):
    """An option is unknown, out of range, or contradicts another."""


class EngineError(HoldfastError, RuntimeError):
    """The engine that was asked for cannot run this call."""


class RecipeError(HoldfastError, ValueError):
    """A recipe has an unknown key or a value that is not allowed."""


class DataError(HoldfastError, ValueError):
    """A data file cannot be read, or does not hold what it should."""


class MissingDataError(DataError, FileNotFoundError):
    """A data file is not there and could not be had."""

    __str__ = Exception.__str__  # OSError's own __str__ would look for an errno


class ModelFileError(HoldfastError, ValueError):
    """A model or checkpoint file is truncated, too new, or does not fit."""


class ConversionError(HoldfastError, ValueError):
    """Something of another software's model has no counterpart in the format that was asked for."""


class RunError(HoldfastError, RuntimeError):
    """A run directory is in a state that the command cannot go on from."""


class MissingLibraryError(HoldfastError, ImportError):
    """An optional library is needed for this and is not installed."""


class HoldfastWarning(UserWarning):
    """Something deserves a look, and nothing has failed."""


def _readable(message: str) -> str:
    if not message.isprintable():
        message = "".join(each if each.isprintable() else repr(each)[1:-1] for each in message)
    if len(message) <= LONGEST_MESSAGE:
        return message
    half = LONGEST_MESSAGE // 2 - 50
    return f"{message[:half]} ... ({len(message) - 2 * half:,} characters more) ... {message[-half:]}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, then all of them.

    Args:
        name: What was given.
        known: The names that are allowed.

    Returns:
        For example ``"did you mean 'tanh'? Known: linear, relu, tanh."``
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? Known:" if close else "known are"
    return f"{hint} {', '.join(names)}."
