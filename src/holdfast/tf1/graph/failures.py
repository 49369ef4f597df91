"""The exceptions of ``tf.errors``."""

from __future__ import annotations

from typing import Any

from holdfast.errors import HoldfastError
from holdfast.tf1.graph.names import public


@public("errors.OpError", "OpError")
class OpError(HoldfastError):
    """An operation failed in a run.

    Attributes:
        op: The operation, or None.
        message: What went wrong.
    """

    def __init__(self, node_def: Any = None, op: Any = None, message: str = "") -> None:
        super().__init__(message or str(node_def))
        self.op, self.message = op, message or str(node_def)


@public("errors.InvalidArgumentError")
class InvalidArgumentError(OpError, ValueError):
    """A value does not fit an operation: a missing or wrong feed, shapes that do not match."""


@public("errors.FailedPreconditionError")
class FailedPreconditionError(OpError, RuntimeError):
    """A variable has no value yet in this session."""


@public("errors.NotFoundError")
class NotFoundError(OpError, FileNotFoundError):
    """A file, or a variable in a checkpoint, is not there."""

    __str__ = Exception.__str__  # OSError's __str__ expects an errno


@public("errors.OutOfRangeError")
class OutOfRangeError(OpError, IndexError):
    """A data set has no further elements."""


@public("errors.AlreadyExistsError")
class AlreadyExistsError(OpError, FileExistsError):
    """A file is there already."""

    __str__ = Exception.__str__  # OSError's __str__ expects an errno


@public("errors.ResourceExhaustedError")
class ResourceExhaustedError(OpError, MemoryError):
    """There is not enough memory. Holdfast raises Python's own errors; a program may name this one."""


@public("errors.UnimplementedError")
class UnimplementedError(OpError, NotImplementedError):
    """An operation cannot do this."""


@public("errors.AbortedError", "errors.CancelledError", "errors.DataLossError", "errors.DeadlineExceededError")
@public("errors.InternalError", "errors.PermissionDeniedError", "errors.UnavailableError", "errors.UnknownError")
class OtherError(OpError):
    """Stands for the errors that Holdfast never raises and a program may name."""
