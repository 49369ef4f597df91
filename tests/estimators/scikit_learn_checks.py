"""scikit-learn's own checks of an estimator, of which some are expected to fail on some processors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

# A check that is expected to fail may pass on another processor, which scikit-learn can allow from version 1.8 on.
_LENIENT = {"xfail_strict": False} if "xfail_strict" in inspect.signature(parametrize_with_checks).parameters else {}


def checks_of(estimator: Any, expected_failures: Mapping[str, str] = {}) -> Any:
    """A decorator that gives a test each ``estimator`` and ``check``.

    Args:
        estimator: An estimator.
        expected_failures: Why a check may fail, by the name of the check.
    """
    failures = dict(expected_failures) if _LENIENT else {}
    return parametrize_with_checks([estimator], expected_failed_checks=lambda _: failures, **_LENIENT)


def run(estimator: Any, check: Any, expected_failures: Mapping[str, str] = {}) -> None:
    """Runs a check, or skips it where scikit-learn cannot say that it may fail."""
    if not _LENIENT and check.func.__name__ in expected_failures:
        pytest.skip(expected_failures[check.func.__name__])
    check(estimator)
