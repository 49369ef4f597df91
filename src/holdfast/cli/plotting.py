"""The command that draws figures of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.app import app
from holdfast.terminal import AnswerCommand, Answering, AsJson, DataDir, Imports, Run, as_one_line, messages

ALL = "all"
"""The name for every figure that fits a model."""


@app.command(cls=AnswerCommand)
def plot(
    run: Run,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The figure, or all.", show_default="list the figures")
    ] = "",
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILES", help="Labelled files.", show_default="the test data")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The picture; with all, a folder.", show_default="NAME.png, or plots"),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the figures that fit this model.")] = False,
    example: Annotated[int, typer.Option(min=0, help="The number of the example to look at.")] = 0,
    layer: Annotated[
        str, typer.Option(metavar="NAME", help="The layer to look at.", show_default="the last one that reads forwards")
    ] = "",
    unit: Annotated[
        int | None, typer.Option(min=0, help="The unit to look at.", show_default="all, or the one that changes most")
    ] = None,
    svg: Annotated[bool, typer.Option("--svg", help="With all: write SVG in place of PNG.")] = False,
    options: Answering = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    imports: Imports = None,
) -> None:
    """Draw a figure of a trained model: how it learned, how good it is, or what happens inside.

    Without NAME it lists the figures that fit the model.

    [bold]Examples[/bold]

        holdfast plot runs/digits

        holdfast plot runs/digits confusion --out confusion.svg

        holdfast plot runs/shakespeare unit --unit 17 --out unit.png

        holdfast plot runs/etth1 all --out pictures
    """
    from holdfast.inspect import plots
    from holdfast.inspect.figures.canvas import write_figure

    choice = plots.Choice(example, layer, unit)
    subject = plots.open_subject(run, files or [], options=options or [], data_dir=data_dir, choice=choice)
    if listed or not name:
        shows = {each: plot.shows for each, plot in plots.fitting(subject).items()}
        width = max(map(len, shows))
        print(as_one_line(shows) if as_json else "\n".join(f"{each:<{width}}  {text}" for each, text in shows.items()))
        return
    if name != ALL:
        path = out or Path(f"{name}.png")
        write_figure(plots.draw(subject, name), path)
        print(as_one_line({name: str(path)}) if as_json else path)
        return
    written = {}
    for each, picture, reason in plots.draw_all(subject, out or Path("plots"), ".svg" if svg else ".png"):
        if picture is None:
            messages().print(f"{each} is left out. {reason}", soft_wrap=True)
            continue
        written[each] = str(picture)
        if not as_json:
            print(picture, flush=True)
    if as_json:
        print(as_one_line(written))
