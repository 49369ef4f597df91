"""What a program says of its machine and its version: settings of sessions, devices, threads that feed queues."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.tf1.graph.names import public, publish
from holdfast.tf1.graph.tensors import Tensor

publish("1.15.0", "__version__", "VERSION")
publish(0, "AggregationMethod.DEFAULT", "AggregationMethod.ADD_N")
publish(1, "AggregationMethod.EXPERIMENTAL_TREE")
publish(2, "AggregationMethod.EXPERIMENTAL_ACCUMULATE_N")


@public(
    "ConfigProto", "GPUOptions", "GraphOptions", "OptimizerOptions", "RunOptions", "RunMetadata",
    "ConfigProto.Experimental",
)  # fmt: skip
class Settings:
    """Settings of a session or a run: all are accepted and may be read again; none changes what Holdfast does."""

    NO_TRACE, SOFTWARE_TRACE, HARDWARE_TRACE, FULL_TRACE = range(4)
    L0, L1, DEFAULT, OFF, ON_1, ON_2 = -1, 0, 0, -1, 1, 2

    def __init__(self, **settings: Any) -> None:
        self.__dict__.update(settings)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.__dict__.setdefault(name, Settings())

    def __bool__(self) -> bool:
        return False  # a setting that was not made

    def CopyFrom(self, other: Settings) -> None:
        """Takes all settings of another."""
        self.__dict__.update(other.__dict__)


@public("test.gpu_device_name")
def gpu_device_name() -> str:
    """Empty: a graph runs on the CPU."""
    return ""


@public("test.is_gpu_available", "test.is_built_with_cuda", "executing_eagerly")
def no(*args: Any, **options: Any) -> bool:
    """False."""
    return False


@public(
    "disable_v2_behavior", "disable_eager_execution", "compat.v1.disable_v2_behavior", "disable_v2_tensorshape",
    "compat.v1.disable_eager_execution", "disable_resource_variables", "enable_resource_variables",
)  # fmt: skip
def accepted() -> None:
    """Nothing: Holdfast's graphs behave as TensorFlow 1's."""


@public("is_tensor", "contrib.framework.is_tensor")
def is_tensor(x: Any) -> bool:
    """Whether a value is a tensor of a graph."""
    return isinstance(x, Tensor)


@public("python.client.device_lib.list_local_devices")
def list_local_devices(session_config: Any = None) -> list[Any]:
    """The CPU."""
    return [Settings(name="/device:CPU:0", device_type="CPU", memory_limit=0)]


@public("compat.as_bytes", "compat.as_bytes_any")
def as_bytes(bytes_or_text: Any, encoding: str = "utf-8") -> bytes:
    """Text as bytes; bytes as they are.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(bytes_or_text, str):
        return bytes_or_text.encode(encoding)
    if isinstance(bytes_or_text, bytes | bytearray):
        return bytes(bytes_or_text)
    raise TypeError(f"Got {bytes_or_text!r}; expected text or bytes.")


@public("compat.as_str", "compat.as_text")
def as_text(bytes_or_text: Any, encoding: str = "utf-8") -> str:
    """Bytes as text; text as it is.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(bytes_or_text, str):
        return bytes_or_text
    return as_bytes(bytes_or_text).decode(encoding)


@public("compat.as_str_any")
def as_str_any(value: Any) -> str:
    """Any value as text."""
    return as_text(value) if isinstance(value, str | bytes) else str(value)


@public("train.Coordinator")
class Coordinator:
    """Stops a program's threads together."""

    def __init__(self, clean_stop_exception_types: Any = None) -> None:
        self._stop, self._error = threading.Event(), None
        self._threads: list[threading.Thread] = []
        self._clean = tuple(clean_stop_exception_types or ())

    def should_stop(self) -> bool:
        """Whether a stop was requested."""
        return self._stop.is_set()

    def request_stop(self, ex: Any = None) -> None:
        """Requests a stop; an exception is raised by :meth:`join`."""
        if not self._stop.is_set():
            error = ex[1] if isinstance(ex, tuple) else ex
            self._error = None if isinstance(error, self._clean) else error
            self._stop.set()

    def clear_stop(self) -> None:
        """Forgets a request."""
        self._error = None
        self._stop.clear()

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Waits until a stop is requested, at most ``timeout`` seconds."""
        return self._stop.wait(timeout)

    def register_thread(self, thread: threading.Thread) -> None:
        """Has :meth:`join` wait for a thread."""
        self._threads.append(thread)

    @contextmanager
    def stop_on_exception(self) -> Iterator[None]:
        """Requests a stop if the block fails."""
        try:
            yield
        except Exception as error:
            self.request_stop(error)

    def raise_requested_exception(self) -> None:
        """Raises the exception with which a stop was requested."""
        if self._error is not None:
            raise self._error

    def join(self, threads: Any = None, stop_grace_period_secs: float = 120, ignore_live_threads: bool = False) -> None:
        """Waits for the threads to end, at most this many seconds after a stop was requested.

        Raises:
            RuntimeError: Some are still running.
        """
        running = [*self._threads, *(threads or ())]
        while any(thread.is_alive() for thread in running) and not self._stop.wait(0.1):
            pass
        end = time.monotonic() + stop_grace_period_secs
        for thread in running:
            thread.join(max(0.0, end - time.monotonic()))
        alive = [thread.name for thread in running if thread.is_alive()]
        if alive and self._error is None and not ignore_live_threads:
            raise RuntimeError(f"Coordinator stopped with threads still running: {', '.join(alive)}.")
        self.raise_requested_exception()

    @property
    def joined(self) -> bool:
        """Whether no thread is running."""
        return not any(thread.is_alive() for thread in self._threads)


@public("train.start_queue_runners", "train.queue_runner.start_queue_runners")
def start_queue_runners(
    sess: Any = None, coord: Any = None, daemon: bool = True, start: bool = True, collection: Any = None
) -> list[threading.Thread]:
    """No threads: Holdfast's graphs have no queues to fill."""
    return []
