"""The commands that use a trained model: measure it, predict with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.app import app
from holdfast.terminal import AnswerCommand, Answering, AsJson, DataDir, Imports, Run, as_one_line


@app.command(cls=AnswerCommand)
def evaluate(
    run: Run,
    data: Annotated[
        list[Path] | None, typer.Argument(metavar="DATA", help="Labelled files.", show_default="the test data")
    ] = None,
    options: Answering = None,
    data_dir: DataDir = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the main figure of the task into this picture, such as confusion.png.")
    ] = None,
    as_json: AsJson = False,
    imports: Imports = None,
) -> None:
    """Measure a trained model on its test data or on your own files.

    [bold]Examples[/bold]

        holdfast evaluate runs/digits

        holdfast evaluate runs/digits scans/ --json

        holdfast evaluate runs/fra-eng --set beam=10

        holdfast evaluate runs/digits --plot confusion.png
    """
    from holdfast import experiment

    evaluation = experiment.evaluate(run, data or [], options=options or [], data_dir=data_dir, plot=plot)
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
    plot: Annotated[Path | None, typer.Option(help="Draw forecasts, or predicted numbers, into this picture.")] = None,
    imports: Imports = None,
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
    for line in predictor.task.texts(answers) if text else map(as_one_line, answers):
        print(line, flush=True)
