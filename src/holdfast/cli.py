"""The command line: parse, call one function, print. Data goes to stdout, messages to stderr; exit codes 0, 1, 2."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from holdfast.terminal import AnswerCommand, RecipeCommand, as_one_line, messages, run

# Everything heavy is imported inside the command that needs it, so that --help answers at once.
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

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the recipe: train.epochs=5. Repeatable."),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="A folder with local data files.",
        show_default="the one that the run remembers, or that the environment variable HOLDFAST_DATA names",
    ),
]
Answering = Annotated[
    list[str] | None,
    # A bracket that is not markup is escaped, here and in every other help.
    typer.Option("--set", metavar="KEY=VALUE", help="How to answer, as the recipe's \\[predict] table. Repeatable."),
]
Format = Annotated[
    str | None,
    typer.Option("--from", metavar="FORMAT", help="What the source is.", show_default="told by the file"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory or a model file.")]


# What to do with a trained model.
_NEXT = (("evaluate", ""), ("predict", " FILES..."), ("summary", ""))


@app.command(cls=RecipeCommand)
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE|FILE.toml", help="A recipe's name or a TOML file.")],
    overrides: Overrides = None,
    out: Annotated[
        Path | None, typer.Option(help="The run directory.", show_default="runs/NAME, or runs/NAME-2, ...")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that is there.")] = False,
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
    progress = choose_progress(console, quiet=quiet)
    try:
        done = experiment.train(resolved, folder, data_dir=data_dir, resume=resume, progress=progress)
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
        tries = ", ".join(f"`holdfast {verb} {path}{rest}`" for verb, rest in _NEXT)
        line = f"{done.updates} updates in {done.seconds:.1f} s. The model is in {done.path}: try {tries}."
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
    """Measure a trained model on its test data or on files of yours.

    [bold]Examples[/bold]

        holdfast evaluate runs/digits

        holdfast evaluate runs/digits scans/ --json

        holdfast evaluate runs/fra-eng --set beam=10
    """
    from holdfast import experiment

    found = experiment.evaluate(run, data or [], options=options or [], data_dir=data_dir)
    if as_json:
        print(as_one_line({**found.metrics, **found.figures}))
        return
    for name, value in found.metrics.items():
        print(f"{name.replace('_', ' ')}: {value:.4f}")
    if found.details:
        print(found.details)


@app.command(cls=AnswerCommand)
def predict(
    run: Run,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILES", help="Files or folders to answer for; - for lines on stdin, each answered as it comes."
        ),
    ] = None,
    options: Answering = None,
    text: Annotated[bool, typer.Option("--text", help="Print the answers alone instead of JSON.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the series and how they go on into this picture (forecasts).")
    ] = None,
) -> None:
    """Answer for files or for lines of text: one JSON object a line.

    [bold]Examples[/bold]

        holdfast predict runs/digits seven.png

        holdfast predict runs/japanese-vowels new.ts | head -3

        holdfast predict runs/airline Airline.csv --plot next-years.png

        tail -f titles.txt | holdfast predict runs/sentiment - --text
    """
    from holdfast.data.arriving import arriving
    from holdfast.predictor import Predictor

    predictor = Predictor(run, options=options or [])
    if [str(file) for file in files or []] == ["-"]:
        answers = predictor.predict_groups(arriving(sys.stdin))
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
        str | None, typer.Option("--to", metavar="FORMAT", help="What to write.", show_default="told by the ending")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="What the source does not say: nonlinearity=relu. Repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Convert a model from one format to another, and say whether it still computes the same.

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

    found = {name: recipes.load(name).description for name in recipes.names()}
    if as_json:
        print(as_one_line(found))
        return
    width = max(map(len, found))
    for name, description in found.items():
        print(f"{name:<{width}}  {description}")


@recipes_app.command("show")
def recipes_show(
    name: Annotated[str, typer.Argument(help="The recipe's name.")],
    resolved: Annotated[bool, typer.Option("--resolved", help="With every default written out.")] = False,
) -> None:
    """Print a recipe, to read or to start one of your own from."""
    from holdfast import recipes

    if not resolved:
        print(recipes.text(name), end="")
        return
    import tomli_w

    print(tomli_w.dumps(recipes.load(name).model_dump(mode="json", exclude_none=True)), end="")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what this installation has and can do, and what stands in the way of speed.

    [bold]Examples[/bold]

        holdfast doctor

        holdfast doctor --json
    """
    from holdfast.doctor import diagnose

    found = diagnose()
    print(as_one_line(found.as_dict()) if as_json else found)


def _version(wanted: bool) -> None:
    if wanted:
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
    """Runs the command line; :func:`holdfast.terminal.run` says with which exit codes."""
    run(app, arguments)
