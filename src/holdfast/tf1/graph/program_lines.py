"""Where a program calls this package, for messages."""

from __future__ import annotations

import sys


def line_of_the_program() -> str:
    """The line of the program that is running now, such as ``line 12 of program.py``."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("holdfast."):
        frame = frame.f_back
    return f"line {frame.f_lineno} of {frame.f_code.co_filename.rsplit('/', 1)[-1]}"
