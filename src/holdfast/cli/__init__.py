"""The command line: parse, call one function, print. Data goes to stdout, messages to stderr; exit codes 0, 1, 2.

Each module registers its commands with ``app`` when it is imported; the order here is the order in ``--help``.
A command imports what it needs when it runs, so that ``--help`` answers at once.
"""

from holdfast.cli import training, reports, plotting, answering, serving, models, recipe_files, caching, installation  # noqa: F401, I001
from holdfast.cli.app import app, main

__all__ = ["app", "main"]
