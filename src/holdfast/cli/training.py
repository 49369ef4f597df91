"""The commands that train, and that show how runs learned."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.app import app
from holdfast.terminal import AsJson, DataDir, Imports, Overrides, RecipeCommand, as_one_line, messages

if TYPE_CHECKING:
    from holdfast.experiment import Trained

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
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Train several runs, each with its own seed; print mean and deviation."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="The same as --set train.threads=N.")] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Train with several processes of this machine, by torchrun.")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write RUN/tensorboard for TensorBoard.")
    ] = False,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Redraw the curves and the task's own picture in a window; without a display, in RUN/live.png.",
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    imports: Imports = None,
) -> None:
    """Train a model, keep the best one, and measure it on the test data.

    [bold]Examples[/bold]

        holdfast train digits

        holdfast train mnist --data-dir data --set train.epochs=3 --set model.cell=gru

        holdfast train my-recipe.toml --out runs/mine

        holdfast train my-recipe.toml --out runs/mine --resume

        holdfast train digits --seeds 5

        holdfast train cosine --live

        holdfast train digits --import my_parts.py --set model.cell=mingru

        holdfast train mnist --processes 2
    """
    from holdfast import experiment, recipes
    from holdfast.training import Listener, TrainingInterrupted, choose_progress
    from holdfast.training import processes as together

    values = list(overrides or [])
    values += [f"train.{key}={value}" for key, value in (("seed", seed), ("threads", threads)) if value is not None]
    resolved = recipes.load(recipe, values)
    if (processes or 1) > 1 and not together.started_by_torchrun():
        raise typer.Exit(together.run_again(processes or 1))
    name = f"{resolved.name}-seeds" if seeds else resolved.name
    console = messages()
    with together.joined() as group:
        quiet, speaks = quiet or not group.first, group.first
        begun = group.from_first(together.noted_run)  # by these processes, before torchrun started them again
        if begun:
            folder, resume = Path(begun).parent if seeds else Path(begun), True
        else:
            folder = out or Path(group.from_first(lambda: str(experiment.run_folder(name, resume=resume))))
        if not quiet:
            console.print(f"{resolved.name}: {resolved.description}", soft_wrap=True)

        def listeners(run: Path) -> list[Listener]:
            watching = [choose_progress(console, quiet=quiet)]
            if live:
                from holdfast.inspect.watching import Live

                watching.append(Live(run / "live.png", say=lambda text: console.print(text, soft_wrap=True)))
            if tensorboard:
                from holdfast.inspect.watching import TensorBoard

                watching.append(TensorBoard(run / "tensorboard"))
            return watching

        def of_seed(number: int) -> list[Listener]:
            if not quiet:
                console.print(f"seed {number}", soft_wrap=True)
            return listeners(folder / f"seed-{number}")

        done: list[Trained] | Trained
        try:
            if seeds is not None:
                done = experiment.train_seeds(
                    resolved, folder, seeds, data_dir=data_dir, resume=resume, listeners=of_seed
                )
            else:
                watching = listeners(folder)
                done = experiment.train(resolved, folder, data_dir=data_dir, resume=resume, listeners=watching)
        except TrainingInterrupted as stop:
            if speaks:
                console.print(str(stop), soft_wrap=True)
            raise typer.Exit(130) from stop
    if not speaks:
        return
    if isinstance(done, list):
        _show_spread(done, as_json)
    else:
        _show(done, as_json, quiet)


def _show(done: Trained, as_json: bool, quiet: bool) -> None:
    """Prints the results of one run."""
    facts = {"epochs": done.epochs, "updates": done.updates, "seconds": done.seconds}
    if as_json:
        print(as_one_line({**{f"test_{name}": value for name, value in done.results.items()}, **facts}))
        return
    for name, value in done.results.items():
        print(f"test {name.replace('_', ' ')}: {value:.4f}")
    if not quiet:
        path = shlex.quote(str(done.path))
        commands = ", ".join(f"`holdfast {command} {path}{rest}`" for command, rest in _NEXT)
        report = done.path / "report.html"
        shown = f", its report is {report}" if report.exists() else ""
        line = f"{done.updates} updates in {done.seconds:.1f} s. The model is in {done.path}{shown}: try {commands}."
        messages().print(line, soft_wrap=True)


def _show_spread(done: list[Trained], as_json: bool) -> None:
    """Prints mean and deviation over several runs."""
    from holdfast.inspect.comparison import spreads

    spread = spreads([run.results for run in done])
    if as_json:
        figures = {f"test_{name}": vars(value) for name, value in spread.items()}
        print(as_one_line({**figures, "runs": [str(run.path) for run in done]}))
        return
    for name, value in spread.items():
        low, high = min(value.values), max(value.values)
        print(
            f"test {name.replace('_', ' ')}: {value.mean:.4f} ± {value.deviation:.4f} ({low:.4f} to {high:.4f}, "
            f"{len(done)} runs)"
        )


@app.command()
def history(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")],
    plot: Annotated[Path | None, typer.Option(help="Draw the curves into this picture.")] = None,
    metric: Annotated[str, typer.Option(help="The metric to draw.")] = "loss",
    as_json: AsJson = False,
) -> None:
    """Show how a run learned: one line per epoch.

    [bold]Examples[/bold]

        holdfast history runs/digits

        holdfast history runs/digits --plot loss.png

        holdfast history runs/digits --plot accuracy.svg --metric accuracy
    """
    from holdfast.inspect.comparison import compare, epochs_table

    runs = compare([run])
    if plot is not None:
        runs.draw(plot, metric)
    elif as_json:
        print(as_one_line([row for one in runs.runs for row in one.rows]))
    else:
        print("\n\n".join(epochs_table(one) for one in runs.runs))


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run directories, or folders of them.")],
    plot: Annotated[Path | None, typer.Option(help="Draw the curves of all runs into this picture.")] = None,
    metric: Annotated[str, typer.Option(help="The metric to draw.")] = "loss",
    as_json: AsJson = False,
) -> None:
    """Compare runs: what differs in their recipes, and their results on the test data.

    [bold]Examples[/bold]

        holdfast compare runs/mnist runs/mnist-2

        holdfast compare runs/digits-seeds --plot curves.png
    """
    from holdfast.inspect import comparison

    compared = comparison.compare(runs)
    if plot is not None:
        compared.draw(plot, metric)
    if as_json:
        print(as_one_line(compared.as_dicts()))
    else:
        print(compared)
