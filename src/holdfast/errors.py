"""The exception classes of Holdfast.

Every message says what is wrong, what was passed, what was expected and what to do next. Each class also inherits
from the built-in exception that a caller would expect, so ``except ValueError`` keeps working.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST_MESSAGE = 2000
"""Characters. The middle of a longer message is cut out."""


class HoldfastError(Exception):
    """Base class of every error that Holdfast raises on purpose.

    A message may quote any content of a file. So control characters are shown as escapes, which keeps the message in
    one line, and a message of more than 2,000 characters is shortened.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(_readable(part) if isinstance(part, str) else part for part in args))


class ShapeError(HoldfastError, ValueError, RuntimeError):
    """A tensor has the wrong shape, dtype or device; torch raises one of these two built-in exceptions for it."""


class OptionError(HoldfastError, ValueError):
    """An option is unknown, out of range, or contradicts another."""


class EngineError(HoldfastError, RuntimeError):
    """The chosen engine cannot run this call."""


class RecipeError(HoldfastError, ValueError):
    """A recipe has an unknown key or a value that is not allowed."""


class DataError(HoldfastError, ValueError):
    """A data file cannot be read, or its content is wrong."""


class DataTypeError(DataError, TypeError):
    """Values in memory are of a type that cannot be used; scikit-learn raises TypeError for it."""


class MissingDataError(DataError, FileNotFoundError):
    """A data file is not there and could not be downloaded."""

    __str__ = Exception.__str__  # OSError's __str__ expects an errno


class ModelFileError(HoldfastError, ValueError):
    """A model or checkpoint file is truncated, too new, or does not fit."""


class ConversionError(HoldfastError, ValueError):
    """A part of the model has no counterpart in the target format."""


class RunError(HoldfastError, RuntimeError):
    """A run directory is in a state that the command cannot use."""


class MissingLibraryError(HoldfastError, ImportError):
    """An optional library is needed and not installed."""


class HoldfastWarning(UserWarning):
    """Something needs attention, but nothing has failed."""


def _readable(message: str) -> str:
    if not message.isprintable():
        message = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in message)
    if len(message) <= LONGEST_MESSAGE:
        return message
    half = LONGEST_MESSAGE // 2 - 50
    return f"{message[:half]} ... ({len(message) - 2 * half:,} characters more) ... {message[-half:]}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known name, then all of them.

    Args:
        name: The unknown name.
        known: The names that are allowed.

    Returns:
        For example ``"did you mean 'tanh'? Known: linear, relu, tanh."``
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? Known:" if close else "known are"
    return f"{hint} {', '.join(names)}."
