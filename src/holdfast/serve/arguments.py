"""The arguments of ``python -m holdfast.serve``, which needs neither torch nor the libraries of the command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from holdfast.errors import HoldfastError


def parser() -> argparse.ArgumentParser:
    """What reads the arguments; ``holdfast serve`` takes the same."""
    made = argparse.ArgumentParser(
        prog="python -m holdfast.serve",
        description="Serve trained models over HTTP. Clients send the token of HOLDFAST_TOKEN, if it is set.",
    )
    made.add_argument("models", nargs="+", metavar="FILE", help="Runs or model files; NAME=PATH gives one a name.")
    made.add_argument("--host", default="127.0.0.1", help="The address to listen on; 0.0.0.0 for every one.")
    made.add_argument("--port", type=int, default=8000, help="The port; 0 for a free one.")
    made.add_argument("--limit", action="append", default=[], metavar="NAME=VALUE", help="A limit. Repeatable.")
    made.add_argument("--grace", type=float, default=20.0, help="Seconds from SIGTERM to the end.")
    made.add_argument("--cors", action="append", default=[], metavar="ORIGIN", help="The origin of pages. Repeatable.")
    made.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="A name of the server. Repeatable."
    )
    made.add_argument("--device", default="cpu", help="Where models that need torch are computed: cpu, cuda, ...")
    made.add_argument("--examples", action="store_true", help="Offer examples of each run's test data on the page.")
    levels = ("debug", "info", "warning", "error")
    made.add_argument("--log-level", choices=levels, default="info", help="What is logged at least.")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until a signal.

    Args:
        arguments: Those of the command; None for those of the process.

    Returns:
        The exit code: that of :func:`holdfast.serve.start.start`, or 2 where a model or an argument cannot be used.
    """
    chosen = parser().parse_args(arguments)
    from holdfast.serve.start import start

    token = os.environ.get("HOLDFAST_TOKEN", "")
    try:
        return start(
            chosen.models,
            chosen.host,
            chosen.port,
            chosen.limit,
            grace=max(1.0, chosen.grace),
            log_level=chosen.log_level,
            device=chosen.device,
            hosts=tuple(chosen.allow_host),
            token=token,
            cors=tuple(chosen.cors),
            examples=chosen.examples,
        )
    except HoldfastError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
