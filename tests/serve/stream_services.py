"""What the tests of live streams share: two small networks, a service that has them, and streams to compare with."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from tests.layers.test_stream_rows import same_bits

import holdfast
from holdfast import runtime
from holdfast.runtime.network import StreamNetwork
from holdfast.serve.limits import Limits
from holdfast.serve.models import Models, ServedModel
from holdfast.serve.runners import StreamRunner
from holdfast.serve.server import Server, config, listen
from holdfast.serve.service import Service
from holdfast.serve.streams import add_streams
from holdfast.serve.tensors import InferResult

KEY = "the key of the tests, 32 bytes .."


def accumulator(size: int = 3) -> StreamNetwork:
    """A network whose output is the sum of its inputs so far: h' = x + h, exact for whole numbers up to 2^24."""
    layer = holdfast.RNN(size, size, activation="linear", bias=False)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.eye(size))
        layer.weight_hh_l0.copy_(torch.eye(size))
    return holdfast.Stream(layer).network


def lstm(inputs: int = 5, units: int = 12) -> StreamNetwork:
    """Two layers of an LSTM with random weights."""
    torch.manual_seed(1)
    return holdfast.Stream(holdfast.LSTM(inputs, units, num_layers=2)).network


def service_of(limits: Any = None, **networks: StreamNetwork) -> Service:
    """A service with models of these names."""
    models = [
        ServedModel(name, "1", f"digest of {name}", "stream", StreamRunner(network), network)
        for name, network in networks.items()
    ]
    return Service.make(Models(models), Limits(**(limits or {})))


async def unwritten(result: InferResult) -> InferResult:
    """The answer to the steps of a sequence, as the outputs themselves."""
    return result


class Alone:
    """A stream of one sequence, beside which a server's answers are compared."""

    def __init__(self, network: StreamNetwork) -> None:
        self.network = network
        self.reset()

    def reset(self) -> None:
        self.stream = runtime.Stream(self.network)
        self.steps = 0

    def gives(self, x: Any, y: Any) -> bool:
        """Takes the steps x [T, I]; whether y [T, O] has the same bits."""
        self.steps += len(x)
        return same_bits(self.stream.run(np.ascontiguousarray(x, self.network.dtype)), y)


@contextlib.contextmanager
def served(service: Service, grace: float = 10.0) -> Iterator[str]:
    """A server in a thread; gives its address without the scheme. At the end it is stopped, and must end in time."""
    listener = listen("127.0.0.1", 0)
    configuration = config(service, [add_streams(service)])
    server = StoppableServer(configuration, service, grace)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield "{}:{}".format(*listener.getsockname())
    finally:
        server.stop_from_thread()
        thread.join(grace + 5)
        assert not thread.is_alive(), "the server did not end"
        assert server.stopped_in_time


class StoppableServer(Server):
    """A server that another thread stops, as SIGTERM would."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        self.loop = asyncio.get_running_loop()
        yield

    def stop_from_thread(self) -> None:
        self.loop.call_soon_threadsafe(self.handle_exit, signal.SIGTERM, None)
