"""Requests that are not answered: the status, the reason by which they are counted, and the message."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.errors import HoldfastError

REASONS = {
    400: "malformed",
    401: "token",
    403: "origin",
    404: "unknown",
    405: "method",
    408: "slow_body",
    409: "exists",
    412: "ended",
    413: "too_large",
    415: "content_type",
    421: "host",
    422: "unfit",
    426: "no_upgrade",
    429: "client_full",
    500: "internal",
    503: "full",
}
"""The usual reason of each status, for the counter of errors."""


class Refusal(HoldfastError):  # noqa: N818  (an answer, not a failure)
    """A request that is not answered.

    Args:
        status: The status of HTTP.
        message: What is wrong, for the client. It names no path of the server.
        reason: By which the refusal is counted; empty for the usual one of the status.
        headers: Further headers of the answer.

    Example:
        >>> refusal = Refusal(404, "There is no model 'digit'.")
        >>> refusal.status, refusal.reason
        (404, 'unknown')
    """

    def __init__(self, status: int, message: str, reason: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.headers = status, reason or REASONS[status], dict(headers or {})
        if status in (429, 503):
            self.headers.setdefault("Retry-After", "1")

    @property
    def close_reason(self) -> str:
        """The message as the reason of the end of a websocket, which has at most 123 bytes (RFC 6455, 5.5)."""
        return str(self).encode()[:123].decode("utf-8", "ignore")
