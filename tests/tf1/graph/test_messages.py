from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    yield
    logging.getLogger("tensorflow").setLevel(logging.WARNING)


def test_messages_from_a_level_on(caplog: pytest.LogCaptureFixture) -> None:
    tf.logging.info("not shown")
    tf.logging.warn("shown %d", 1)
    tf.logging.set_verbosity(tf.logging.INFO)
    tf.logging.info("shown %s", "too")
    tf.logging.set_verbosity("ERROR")
    tf.logging.warning("not shown")
    tf.logging.log(tf.logging.ERROR, "an error")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "shown 1"), ("INFO", "shown too"), ("ERROR", "an error"),
    ]  # fmt: skip
    assert tf.logging.get_verbosity() == tf.logging.ERROR


def test_messages_that_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        tf.logging.log_every_n(tf.logging.WARN, "every other", 2)
        tf.logging.log_first_n(tf.logging.WARN, "twice", 2)
    tf.logging.log_if(tf.logging.WARN, "never", False)
    found = [record.getMessage() for record in caplog.records]
    assert (found.count("every other"), found.count("twice"), len(found)) == (3, 2, 5)
