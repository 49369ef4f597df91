"""What the commands share: their common options, hints for mistyped ones, errors in one line, exit codes."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NoReturn, TextIO

import typer
from typer.core import TyperCommand

from holdfast.errors import HoldfastError, HoldfastWarning
from holdfast.files.json_values import as_text, finite

if TYPE_CHECKING:
    from rich.console import Console

# In help texts, a bracket that is not markup is escaped.
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the recipe: train.epochs=5. Repeatable."),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="A folder with local data files.",
        show_default="the folder of the run, or the environment variable HOLDFAST_DATA",
    ),
]
Answering = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="How to predict: a value of the recipe's \\[predict] table. Repeatable."
    ),
]
Format = Annotated[
    str | None,
    typer.Option("--from", metavar="FORMAT", help="The format of the source.", show_default="detected from the file"),
]


def _import_parts(sources: list[str] | None) -> list[str] | None:
    from holdfast.register import import_parts

    for source in sources or []:
        import_parts(source)
    return sources


Imports = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="FILE",
        callback=_import_parts,
        help="A Python file, or a module, that registers parts of your own. Repeatable.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory or a model file.")]

_UsageError: Any = typer.BadParameter.__mro__[1]  # that of the click that typer runs on


class RecipeCommand(TyperCommand):
    """A command with ``--set``. For an unknown option with the name of a recipe value, the error mentions ``--set``."""

    prefix: ClassVar[str] = ""
    """Only values of the recipe whose keys begin with this count."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer does, with the hint in the error."""
        try:
            return super().parse_args(ctx, args)
        except _UsageError as error:
            option = str(getattr(error, "option_name", "")).lstrip("-").replace("-", "_")
            if option:
                from holdfast.recipes import RECIPES, keys

                known = dict.fromkeys(key for kind in RECIPES.values() for key in keys(kind, option))
                matches = [key.removeprefix(self.prefix) for key in known if key.startswith(self.prefix)]
                if matches:
                    hint = f"Set a value of the recipe with --set {' or '.join(matches)}=VALUE."
                    error.message = f"{error.message.removesuffix('.')}. {hint}"
            raise


class AnswerCommand(RecipeCommand):
    """The same for the table ``[predict]``."""

    prefix = "predict."


def messages() -> Console:
    """A console on stderr for messages to the person. It prints brackets as they are: a path may contain some."""
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False, highlight=False)


def as_one_line(value: Any) -> str:
    """Formats a value as one line of JSON, with null for NaN and infinities."""
    return as_text(json.dumps(finite(value), ensure_ascii=False, allow_nan=False))


def run(app: typer.Typer, arguments: list[str] | None = None) -> NoReturn:
    """Runs a command line and ends the process.

    The exit code is 0 for success, 2 for wrong input (one sentence on stderr explains it), 130 for Ctrl-C, and 1 when
    the reader of the output has closed it.

    Args:
        app: The commands.
        arguments: The arguments after the program's name; None for those of this process.
    """
    code: Any = 0
    with warnings.catch_warnings():
        warnings.showwarning = _in_one_line(warnings.showwarning)
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
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # otherwise Python reports the error again at exit
        code = 1
    sys.exit(code)


def _is_about_memory(error: Exception) -> bool:
    """Whether the error means too little memory; torch has an error class for that only on GPUs."""
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)


def _failed(message: str) -> int:
    print(f"holdfast: {message}", file=sys.stderr)
    return 2


def _in_one_line(default: Any) -> Any:
    """Returns a function that prints Holdfast's warnings in one line, and others by ``default``."""

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
            default(message, category, filename, lineno, file, line)

    return show
