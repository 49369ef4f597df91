"""The command that serves models over HTTP."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from holdfast.cli.app import app
from holdfast.terminal import Imports


@app.command()
def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|FILE...",
            help="Runs, model files, or folders of versions; NAME=PATH or NAME@VERSION=PATH gives one a name.",
        ),
    ],
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for every one of the machine.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for a free one.")] = 8000,
    limits: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="NAME=VALUE", help="A limit of docs/serve.md: body_bytes=1000000. Repeatable."),
    ] = None,
    grace: Annotated[float, typer.Option(min=1, help="Seconds from SIGTERM to the end, to finish requests.")] = 20,
    cors: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="The origin of web pages that may call the server. Repeatable."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name by which requests may call the server. Repeatable."),
    ] = None,
    device: Annotated[
        str, typer.Option(help="Where models that need torch are computed: cpu, cuda, ... Streams run on the CPU.")
    ] = "cpu",
    examples: Annotated[
        bool, typer.Option("--examples", help="Offer examples of each run's test data on the page, to all who see it.")
    ] = False,
    log_level: Annotated[
        str, typer.Option(metavar="LEVEL", help="What is logged at least: debug, info, warning or error.")
    ] = "info",
    imports: Imports = None,
) -> None:
    """Serve trained models over HTTP, with a page to try them at /.

    Clients send the token of the environment variable HOLDFAST_TOKEN, if it is set.

    [bold]Examples[/bold]

        holdfast serve runs/digits

        holdfast serve runs/digits vowels=runs/japanese-vowels --port 9000

        HOLDFAST_TOKEN=secret holdfast serve runs/digits --host 0.0.0.0
    """
    from holdfast.errors import OptionError

    if log_level not in ("debug", "info", "warning", "error"):
        raise OptionError(f"--log-level is {log_level!r}; expected debug, info, warning or error.")
    from holdfast.serve.start import start

    token = os.environ.get("HOLDFAST_TOKEN", "")
    code = start(
        models,
        host,
        port,
        limits or [],
        grace=grace,
        log_level=log_level,
        device=device,
        hosts=tuple(allow_host or ()),
        token=token,
        cors=tuple(cors or ()),
        examples=examples,
    )
    sys.exit(code)
