"""The command line: parse, call one function, print. Data goes to stdout, messages to stderr; exit codes 0, 1, 2."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from holdfast.terminal import (
    AnswerCommand,
    Answering,
    AsJson,
    DataDir,
    Format,
    Overrides,
    RecipeCommand,
    Run,
    as_one_line,
    messages,
    run,
)

# Each command imports what it needs, so that --help answers at once.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Recurrent networks from files to a trained model.\n\n"
    "[bold]Start here:[/bold] holdfast recipes, then holdfast train digits.",
)
recipes_app = typer.Typer(invoke_without_command=True)
app.add_typer(recipes_app, name="recipes")

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


@app.command(cls=AnswerCommand)
def evaluate(
    run: Run,
    data: Annotated[
        list[Path] | None, typer.Argument(metavar="DATA", help="Labelled files.", show_default="the test data")
    ] = None,
    options: Answering = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure a trained model on its test data or on your own files.

    [bold]Examples[/bold]

        holdfast evaluate runs/digits

        holdfast evaluate runs/digits scans/ --json

        holdfast evaluate runs/fra-eng --set beam=10
    """
    from holdfast import experiment

    evaluation = experiment.evaluate(run, data or [], options=options or [], data_dir=data_dir)
    if as_json:
        print(as_one_line({**evaluation.metrics, **evaluation.figures}))
        return
    for name, value in evaluation.metrics.items():
        print(f"{name.replace('_', ' ')}: {value:.4f}")
    if evaluation.details:
        print(evaluation.details)


@app.command(cls=AnswerCommand)
def predict(
    run: Run,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILES", help="Files or folders; - for lines on stdin, each answered as it arrives."),
    ] = None,
    options: Answering = None,
    text: Annotated[bool, typer.Option("--text", help="Print only the answers, not JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the series and the forecast into this picture.")] = None,
) -> None:
    """Predict for files or lines of text; prints one JSON object per line.

    [bold]Examples[/bold]

        holdfast predict runs/digits seven.png

        holdfast predict runs/japanese-vowels new.ts | head -3

        holdfast predict runs/airline Airline.csv --plot next-years.png

        tail -f titles.txt | holdfast predict runs/sentiment - --text
    """
    from holdfast.data.live_lines import line_groups
    from holdfast.predictor import Predictor

    predictor = Predictor(run, options=options or [])
    if [str(file) for file in files or []] == ["-"]:
        answers = predictor.predict_groups(line_groups(sys.stdin))
    elif plot:
        answers = iter(predictor.plot(files or [], plot))
    else:
        answers = predictor.predict(files or [])
    for answer in answers:
        print(predictor.task.text(answer) if text else as_one_line(answer), flush=True)


@app.command(cls=RecipeCommand)
def summary(
    source: Annotated[
        str, typer.Argument(metavar="RUN|RECIPE|FILE", help="A run, a recipe, or a model file of any format.")
    ],
    overrides: Overrides = None,
    source_format: Format = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show a model's layers, their output shapes and parameters.

    [bold]Examples[/bold]

        holdfast summary digits

        holdfast summary runs/digits --json

        holdfast summary model.pt
    """
    from holdfast import experiment

    table = experiment.summary(source, list(overrides or []), data_dir=data_dir, source_format=source_format)
    print(as_one_line(table.as_dict()) if as_json else table)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A run, or a model file of any format.")],
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="The file to write.")],
    source_format: Format = None,
    dest_format: Annotated[
        str | None,
        typer.Option("--to", metavar="FORMAT", help="The format to write.", show_default="detected from the file name"),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="What the source leaves out: nonlinearity=relu. Repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Convert a model from one format to another, and check that it still computes the same.

    [bold]Examples[/bold]

        holdfast convert model.pt model.safetensors

        holdfast convert runs/digits digits.pt

        holdfast convert checkpoint.pt encoder.safetensors --set layers=encoder.rnn
    """
    from holdfast.conversion import convert
    from holdfast.recipes import parsed

    formats = {"source_format": source_format, "dest_format": dest_format}
    done = convert(source, dest, force=force, options=dict(map(parsed, options or [])), **formats)
    print(as_one_line(done.as_dict()) if as_json else done)


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
def doctor(as_json: AsJson = False) -> None:
    """Show what this installation has and can do, and what makes it slow.

    [bold]Examples[/bold]

        holdfast doctor

        holdfast doctor --json
    """
    from holdfast.doctor import diagnose

    diagnosis = diagnose()
    print(as_one_line(diagnosis.as_dict()) if as_json else diagnosis)


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
