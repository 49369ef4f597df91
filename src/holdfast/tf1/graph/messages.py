"""``tf.logging``: a program's messages on stderr, by Python's logging."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from holdfast.tf1.graph.names import public, publish

_LEVELS = {
    "DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "WARNING": logging.WARNING,
    "ERROR": logging.ERROR, "FATAL": logging.CRITICAL,
}  # fmt: skip
for _name, _level in _LEVELS.items():
    publish(_level, f"logging.{_name}")
_TIMES: Counter[str] = Counter()


@public("get_logger")
def get_logger() -> logging.Logger:
    """Python's logger ``tensorflow``; it writes ``LEVEL:tensorflow:message`` to stderr, from WARN on by default."""
    logger = logging.getLogger("tensorflow")
    if not logger.handlers and not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
        logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)
    return logger


@public("logging.set_verbosity", "compat.v1.logging.set_verbosity")
def set_verbosity(v: Any) -> None:
    """The lowest level that is written: a number, or the name of a level."""
    get_logger().setLevel(_LEVELS.get(v, v) if isinstance(v, str) else int(v))


@public("logging.get_verbosity")
def get_verbosity() -> int:
    """The lowest level that is written."""
    return get_logger().getEffectiveLevel()


@public("logging.log")
def log(level: int, msg: Any, *args: Any, **options: Any) -> None:
    """Writes a message of a level."""
    get_logger().log(level, msg, *args, **options)


def _writer(name: str, level: int) -> None:
    def write(msg: Any, *args: Any, **options: Any) -> None:
        get_logger().log(level, msg, *args, **options)

    write.__name__ = name
    write.__doc__ = f"Writes a message of the level {logging.getLevelName(level)}."
    publish(write, f"logging.{name}")


for _name, _level in (*_LEVELS.items(), ("VLOG", logging.DEBUG)):
    _writer(_name.lower(), _level)


@public("logging.log_if")
def log_if(level: int, msg: Any, condition: Any, *args: Any) -> None:
    """Writes a message if a condition is true."""
    if condition:
        get_logger().log(level, msg, *args)


@public("logging.log_every_n")
def log_every_n(level: int, msg: Any, n: int, *args: Any) -> None:
    """Writes a message at its first call and at each n-th after it."""
    if _TIMES[msg] % n == 0:
        get_logger().log(level, msg, *args)
    _TIMES[msg] += 1


@public("logging.log_first_n")
def log_first_n(level: int, msg: Any, n: int, *args: Any) -> None:
    """Writes a message at its first n calls."""
    if _TIMES[msg] < n:
        get_logger().log(level, msg, *args)
    _TIMES[msg] += 1


@public("logging.flush")
def flush() -> None:
    """Writes what waits."""
    for handler in get_logger().handlers:
        handler.flush()
