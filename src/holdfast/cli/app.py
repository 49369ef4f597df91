"""The application that every command registers with, and its start."""

from __future__ import annotations

from typing import Annotated, NoReturn

import typer

from holdfast.terminal import run

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Recurrent networks from files to a trained model.\n\n"
    "[bold]Start here:[/bold] holdfast recipes, then holdfast train digits.",
)


def _version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        print(version("holdfast"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command line; :func:`holdfast.terminal.run` lists the exit codes."""
    run(app, arguments)
