"""The command that trains."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.app import app
from holdfast.terminal import AsJson, DataDir, Overrides, RecipeCommand, as_one_line, messages

# Commands to try on a trained model.
_NEXT = (("evaluate", ""), ("predict", " FILES..."), ("summary", ""))


@app.command(cls=RecipeCommand)
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE|FILE.toml", help="A recipe's name or a TOML file.")],
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option(help="The run directory.", show_default="runs/NAME, or runs/NAME-2, ...")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in the run directory.")] = False,
    data_dir: DataDir = None,
    seed: Annotated[int | None, typer.Option(help="The same as --set train.seed=N.")] = None,
    threads: Annotated[int | None, typer.Option(help="The same as --set train.threads=N.")] = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Train a model, keep the best one, and measure it on the test data.

    [bold]Examples[/bold]

        holdfast train digits

        holdfast train mnist --data-dir data --set train.epochs=3 --set model.cell=gru

        holdfast train my-recipe.toml --out runs/mine

        holdfast train my-recipe.toml --out runs/mine --resume
    """
    from holdfast import experiment, recipes
    from holdfast.training import TrainingInterrupted, choose_progress

    values = list(overrides or [])
    values += [f"train.{key}={value}" for key, value in (("seed", seed), ("threads", threads)) if value is not None]
    resolved = recipes.load(recipe, values)
    folder = out or experiment.run_folder(resolved.name, resume=resume)
    console = messages()
    if not quiet:
        console.print(f"{resolved.name}: {resolved.description}", soft_wrap=True)
    listeners = [choose_progress(console, quiet=quiet)]
    try:
        done = experiment.train(resolved, folder, data_dir=data_dir, resume=resume, listeners=listeners)
    except TrainingInterrupted as stop:
        console.print(str(stop), soft_wrap=True)
        raise typer.Exit(130) from stop
    facts = {"epochs": done.epochs, "updates": done.updates, "seconds": done.seconds}
    if as_json:
        print(as_one_line({**{f"test_{name}": value for name, value in done.results.items()}, **facts}))
        return
    for name, value in done.results.items():
        print(f"test {name.replace('_', ' ')}: {value:.4f}")
    if not quiet:
        path = shlex.quote(str(done.path))
        commands = ", ".join(f"`holdfast {command} {path}{rest}`" for command, rest in _NEXT)
        line = f"{done.updates} updates in {done.seconds:.1f} s. The model is in {done.path}: try {commands}."
        console.print(line, soft_wrap=True)
