"""The commands that show a run to a person: its report and its model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.app import app
from holdfast.terminal import DataDir, Imports

_Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
_Files = Annotated[
    list[Path] | None, typer.Argument(metavar="FILES", help="Labelled files.", show_default="the test data")
]


@app.command()
def report(
    run: _Run,
    files: _Files = None,
    out: Annotated[Path | None, typer.Option(help="The page to write.", show_default="RUN/report.html")] = None,
    data_dir: DataDir = None,
    imports: Imports = None,
) -> None:
    """Write a page that shows a run: data, curves, metrics, the worst mistakes, and what is inside the model.

    It is one file that needs no network. The same run gives the same bytes.

    [bold]Examples[/bold]

        holdfast report runs/digits

        holdfast report runs/digits scans/ --out scans.html
    """
    from holdfast.inspect import reporting

    print(reporting.report(run, files or [], out=out, data_dir=data_dir))


@app.command()
def card(
    run: _Run,
    files: _Files = None,
    out: Annotated[Path | None, typer.Option(help="The file to write.", show_default="RUN/README.md")] = None,
    data_dir: DataDir = None,
    imports: Imports = None,
) -> None:
    """Write a model card: a README with the metadata that the Hugging Face Hub reads.

    [bold]Examples[/bold]

        holdfast card runs/digits

        holdfast card runs/digits --out README.md
    """
    from holdfast.inspect import reporting

    print(reporting.write_card(run, files or [], out=out, data_dir=data_dir))
