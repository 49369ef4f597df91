"""The log: one JSON object per line on stderr."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from datetime import UTC, datetime
from typing import Any

LOG = logging.getLogger("holdfast.serve")


class JsonLines(logging.Formatter):
    """A record as one line of JSON: ``time``, ``level``, ``event``, the fields of ``extra``, ``traceback``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def begin(level: str) -> None:
    """Sends the records of the server, and warnings, to stderr.

    Args:
        level: The least severe level that is written: ``"debug"``, ``"info"``, ``"warning"`` or ``"error"``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("holdfast.serve", "uvicorn", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level.upper() if name == "holdfast.serve" else logging.WARNING)

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        LOG.warning(str(message), extra={"fields": {"category": category.__name__}})

    warnings.showwarning = show
