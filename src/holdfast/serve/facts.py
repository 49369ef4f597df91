"""What is known about a request while it is answered: for its log line and the counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

KEY = "holdfast"


@dataclass
class Facts:
    """A request.

    Attributes:
        id: From ``X-Request-ID``, or a new one.
        client: The address of the client.
        path: The path as the server names it, such as ``/predict/{model}``; empty for an unknown one.
        model: The name of the model, once it is known to be one.
        reason: Why the request was refused; empty if it was not.
        status: Of the answer; 0 before it begins.
        held: Bytes of its body that the server holds.
    """

    id: str
    client: str
    path: str = ""
    model: str = ""
    reason: str = ""
    status: int = 0
    held: int = 0

    @classmethod
    def of(cls, scope: Any) -> Facts:
        """The facts of a request, a websocket or their scope."""
        facts = getattr(scope, "scope", scope)[KEY]
        assert isinstance(facts, cls)
        return facts
