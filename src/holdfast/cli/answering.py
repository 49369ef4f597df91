"""The commands that use a trained model: measure it, predict with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from holdfast.cli.app import app
from holdfast.errors import OptionError
from holdfast.terminal import AnswerCommand, Answering, AsJson, DataDir, Imports, Run, as_one_line, messages


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
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Write the answers for files of any size: .parquet, .csv, .jsonl, or a folder of parts. Start again "
            "to resume.",
        ),
    ] = None,
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="With --out: only this share of the rows, such as 2/4.")
    ] = "1/1",
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="With --out: a column of the input to write too; or all. Repeatable."),
    ] = None,
    on_error: Annotated[
        Literal["stop", "skip", "null"],
        typer.Option(help="With --out: what to do with a row that cannot be read."),
    ] = "stop",
    format: Annotated[
        Literal["parquet", "csv", "jsonl"] | None,
        typer.Option(help="With --out DIR: the format of the parts.", show_default="parquet"),
    ] = None,
    part_rows: Annotated[
        int | None,
        typer.Option(
            help="With --out: rows per part, a multiple of 256.",
            show_default="65536; 2048 for tasks that write texts",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="With --out: threads of torch; 0 for its own number.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="With --out: replace other answers.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="With --out: show no progress.")] = False,
    imports: Imports = None,
) -> None:
    """Predict for files or lines of text; prints one JSON object per line, or writes a file with --out.

    [bold]Examples[/bold]

        holdfast predict runs/digits seven.png

        holdfast predict runs/japanese-vowels new.ts | head -3

        holdfast predict runs/airline Airline.csv --plot next-years.png

        tail -f titles.txt | holdfast predict runs/sentiment - --text

        holdfast predict runs/mine events.parquet --out answers.parquet --keep user

        holdfast predict runs/mine events.parquet --out answers/ --shard 2/4
    """
    if out is not None:
        if text or plot or [str(file) for file in files or []] == ["-"]:
            raise OptionError("--out writes the answers for files; leave out --text, --plot and -.")
        _score(
            run,
            files or [],
            out,
            quiet=quiet,
            shard=shard,
            keep=keep or [],
            on_error=on_error,
            format=format,
            part_rows=part_rows,
            options=options or [],
            threads=threads,
            force=force,
        )
        return
    if (shard, on_error) != ("1/1", "stop") or keep or format or part_rows or threads or force or quiet:
        raise OptionError("--shard, --keep, --on-error, --format, --part-rows, --threads, --force and -q need --out.")
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


def _score(run: Path, files: list[Path], out: Path, *, quiet: bool, **options: Any) -> None:
    """Scores files, and says how fast it was."""
    import time

    from holdfast.scoring import score
    from holdfast.scoring.progress import ScoringProgress

    console, began = messages(), time.monotonic()
    try:
        done = score(run, files, out, progress=ScoringProgress(None if quiet else console), **options)
    except KeyboardInterrupt:
        console.print("Stopped. The same command resumes after the parts that are done.", soft_wrap=True)
        raise
    if quiet:
        return
    if not done.computed:
        console.print(f"All {done.rows:,} rows were done before. The answers are in {done.path}.", soft_wrap=True)
        return
    seconds = max(time.monotonic() - began, 1e-9)
    bad = f", {done.bad:,} of them bad" if done.bad else ""
    console.print(
        f"{done.computed:,} of {done.rows:,} rows in {seconds:.1f} s ({done.computed / seconds:,.0f} rows/s){bad}. "
        f"The answers are in {done.path}.",
        soft_wrap=True,
    )
