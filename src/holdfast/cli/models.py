"""The commands about model files: summary and conversion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.app import app
from holdfast.terminal import AsJson, DataDir, Format, Imports, Overrides, RecipeCommand, Run, as_one_line


@app.command(cls=RecipeCommand)
def summary(
    source: Annotated[
        str, typer.Argument(metavar="RUN|RECIPE|FILE", help="A run, a recipe, or a model file of any format.")
    ],
    overrides: Overrides = None,
    source_format: Format = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
    imports: Imports = None,
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


@app.command(name="page")
def write_page(
    run: Run,
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="The page to write.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILES", help="Examples to begin with.", show_default="the run's test data"),
    ] = None,
    max_mb: Annotated[float, typer.Option(min=0, help="The largest page, in millions of bytes.")] = 20.0,
    data_dir: DataDir = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    as_json: AsJson = False,
    imports: Imports = None,
) -> None:
    """Write a page that runs a model: one HTML file, which needs no network.

    [bold]Examples[/bold]

        holdfast page runs/digits digits.html

        holdfast page runs/names names.html my-names.csv

        holdfast page runs/shakespeare shakespeare.html --max-mb 30
    """
    from holdfast.inspect.page.of_run import write_run_page

    written = write_run_page(run, out, files or [], max_mb=max_mb, data_dir=data_dir, force=force)
    if as_json:
        print(as_one_line({"path": str(written.path), "bytes": written.size}))
    else:
        print(f"{written.path}: {written.size / 1e6:.2f} MB; open it in a browser.")


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
    imports: Imports = None,
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
