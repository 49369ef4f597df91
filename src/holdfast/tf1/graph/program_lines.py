"""Where a program calls this package, for messages, and what the calling line does with a result."""

from __future__ import annotations

import dis
import sys
from types import FrameType


def line_of_the_program() -> str:
    """The line of the program that is running now, such as ``line 12 of program.py``."""
    frame = _frame_of_the_program()
    return f"line {frame.f_lineno} of {frame.f_code.co_filename.rsplit('/', 1)[-1]}"


def results_that_the_program_takes() -> int | None:
    """The number of names to which the calling line gives the parts of a result: 2 in ``a, b = f()``.

    None if the line does anything else with the result, such as ``whole = f()`` or ``f()[0]``.
    """
    frame = _frame_of_the_program()
    after = (each for each in dis.get_instructions(frame.f_code) if each.offset > frame.f_lasti)
    following = next(after, None)
    return following.arg if following is not None and following.opname == "UNPACK_SEQUENCE" else None


def _frame_of_the_program() -> FrameType:
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("holdfast."):
        frame = frame.f_back
    return frame
