"""What a program that failed prints: the lines of the program and the message, without the lines of this package."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from pathlib import Path
from types import TracebackType

from holdfast.errors import HoldfastError
from holdfast.tf1.graph import old_libraries, python2

_OURS = str(Path(__file__).parents[2])
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints an error that ended a program; a function for ``sys.excepthook``."""
    advice = python2.advice_for(error) or old_libraries.advice_for(error)
    if advice is not None and isinstance(error, SyntaxError):
        print(f"holdfast: {advice}", file=sys.stderr)
        return
    print(shortened(error, trace), end="", file=sys.stderr)
    if advice is not None:
        print(f"holdfast: {advice}", file=sys.stderr)


def shortened(error: BaseException, trace: TracebackType | None) -> str:
    """The traceback of an error without the lines of this package and of what it calls."""
    lines, raised_here = _of_the_program(traceback.extract_tb(trace))
    before = ""
    if not raised_here:  # otherwise what led to it is not the program's
        if error.__cause__ is not None:
            before = shortened(error.__cause__, error.__cause__.__traceback__) + _CAUSE
        elif error.__context__ is not None and not error.__suppress_context__:
            before = shortened(error.__context__, error.__context__.__traceback__) + _CONTEXT
    head = "Traceback (most recent call last):\n" if lines else ""
    body = "".join(traceback.StackSummary.from_list(lines).format())
    if isinstance(error, HoldfastError):
        return f"{before}{head}{body}{type(error).__name__}: {error}\n"
    return f"{before}{head}{body}{''.join(traceback.format_exception_only(error))}"


def _of_the_program(stack: traceback.StackSummary) -> tuple[list[traceback.FrameSummary], bool]:
    """The lines outside of this package, and whether the last one is not among them.

    A library's line is shown if the program called the library, and not if this package did.
    """
    kept, inside = [], True
    for frame in stack:
        if frame.filename.startswith("<frozen "):
            continue
        if frame.filename.startswith(_OURS) or frame.filename.startswith("<a plan of holdfast."):
            inside = True
        elif not (inside and frame.filename.startswith(_LIBRARIES)):
            inside = False
            kept.append(frame)
    return kept, inside
