"""Between the commands and the person: help for a mistyped option, one line for an error or a warning, exit codes."""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TextIO

import typer
from typer.core import TyperCommand

from holdfast.errors import HoldfastError, HoldfastWarning

if TYPE_CHECKING:
    from rich.console import Console

_UsageError: Any = typer.BadParameter.__mro__[1]  # that of the click that typer runs on


class RecipeCommand(TyperCommand):
    """A command whose ``--set`` gives values of a recipe: it says so of an option that is the name of one."""

    within: ClassVar[str] = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer's, with a hint in the error for an unknown option."""
        try:
            return super().parse_args(ctx, args)
        except _UsageError as error:
            option = str(getattr(error, "option_name", "")).lstrip("-").replace("-", "_")
            if option:
                from holdfast.recipes import RECIPES, keys

                known = dict.fromkeys(key for kind in RECIPES.values() for key in keys(kind, option))
                found = [key.removeprefix(self.within) for key in known if key.startswith(self.within)]
                if found:
                    error.message += f". A value of the recipe is given by --set {' or '.join(found)}=VALUE."
            raise


class AnswerCommand(RecipeCommand):
    """The same, where ``--set`` gives values of the table ``[predict]``."""

    within = "predict."


def messages() -> Console:
    """Where a person is told things: on stderr, as they are, as a bracket in a path is no markup."""
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False, highlight=False)


def as_one_line(value: Any) -> str:
    """A value as one line of JSON; null stands for NaN and the infinities, for which JSON has no word."""
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def run(app: typer.Typer, arguments: list[str] | None = None) -> NoReturn:
    """Runs a command line and ends the process.

    The exit code is 0 when all went well, 2 when something that was given is wrong (one sentence on stderr says what),
    130 when Ctrl-C stopped it, and 1 when whoever read the output has gone.

    Args:
        app: The commands.
        arguments: What follows the program's name; None for what it was called with.
    """
    code: Any = 0
    with warnings.catch_warnings():
        warnings.showwarning = _told(warnings.showwarning)
        try:
            app(arguments, prog_name="holdfast")
        except SystemExit as stop:
            code = stop.code
        except KeyboardInterrupt:
            code = 130
        except HoldfastError as error:
            code = _failed(str(error))
        except (MemoryError, RuntimeError) as error:
            if not _is_about_memory(error):
                raise
            code = _failed("There is not enough memory for this. Make the model, the batch or the data smaller.")
        except OSError as error:
            code = _failed(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.")
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would say so once more at its end
        code = 1
    sys.exit(code)


def _is_about_memory(error: Exception) -> bool:
    """Whether there was too little memory; torch has a class of its own for that on a GPU alone."""
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


def _failed(message: str) -> int:
    print(f"holdfast: {message}", file=sys.stderr)
    return 2


def _told(otherwise: Any) -> Any:
    """What prints a warning: Holdfast's own as one line, others as they are printed otherwise."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, HoldfastWarning):
            print(f"holdfast: {message}", file=sys.stderr)
        else:
            otherwise(message, category, filename, lineno, file, line)

    return show
