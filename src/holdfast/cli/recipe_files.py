"""The commands that list, show and write recipes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.app import app
from holdfast.terminal import AsJson, as_one_line, messages

recipes_app = typer.Typer(invoke_without_command=True)
app.add_typer(recipes_app, name="recipes")


@recipes_app.callback()
def recipes_list(context: typer.Context, as_json: AsJson = False) -> None:
    """List the recipes that come with Holdfast, or show one.

    [bold]Examples[/bold]

        holdfast recipes

        holdfast recipes show digits > mine.toml
    """
    if context.invoked_subcommand:
        return
    from holdfast import recipes

    descriptions = {name: recipes.load(name).description for name in recipes.names()}
    if as_json:
        print(as_one_line(descriptions))
        return
    width = max(map(len, descriptions))
    for name, description in descriptions.items():
        print(f"{name:<{width}}  {description}")


@recipes_app.command("show")
def recipes_show(
    name: Annotated[str, typer.Argument(help="The recipe's name.")],
    resolved: Annotated[bool, typer.Option("--resolved", help="Write out every default.")] = False,
) -> None:
    """Print a recipe, to read it or to start your own from it."""
    from holdfast import recipes

    if not resolved:
        print(recipes.text(name), end="")
        return
    import tomli_w

    print(tomli_w.dumps(recipes.load(name).model_dump(mode="json", exclude_none=True)), end="")


@app.command()
def new(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Files or folders to learn from.")],
    task: Annotated[str | None, typer.Option(help="The task.", show_default="guessed from the files")] = None,
    out: Annotated[Path | None, typer.Option(help="The recipe to write.", show_default="NAME.toml")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Look at files and write a recipe for them, with comments.

    [bold]Examples[/bold]

        holdfast new GunPoint_TRAIN.ts GunPoint_TEST.ts

        holdfast new sales.csv --task forecast --out sales.toml
    """
    from holdfast.errors import OptionError, did_you_mean
    from holdfast.recipes import RECIPES
    from holdfast.recipes.proposal import propose

    if task is not None and task not in RECIPES:
        raise OptionError(f"There is no task {task!r}: {did_you_mean(task, RECIPES)}")
    proposal = propose(files, task)
    path = out or Path(f"{proposal.name}.toml")
    if path.exists() and not force:
        raise OptionError(f"{path} exists. Choose another --out, or replace it with --force.")
    path.write_text(proposal.text, encoding="utf-8")
    print(f"{path}: task {proposal.task}, because {proposal.reason}; {proposal.found}.")
    messages().print(f"Look at it, then run `holdfast train {shlex.quote(str(path))}`.", soft_wrap=True)
