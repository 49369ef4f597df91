"""The commands that list and show recipes."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.app import app
from holdfast.terminal import AsJson, as_one_line

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
