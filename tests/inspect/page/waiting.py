"""Waits for pages; Playwright's own waiting evaluates texts, which the policy of the pages forbids."""

from __future__ import annotations

import time
from typing import Any


def until(page: Any, expression: str, seconds: float = 120) -> None:
    """Waits until an expression of JavaScript is true."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"{expression} did not become true"
        page.wait_for_timeout(20)
