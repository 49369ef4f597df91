"""Steps per second of `holdfast serve`, and of a plain FastAPI handler that calls torch for each request.

    python -m benchmarks.serving.speed                        # streams held at 100 steps per second, and the most
    python -m benchmarks.serving.speed --peer .venv-fastapi   # the handler too; see fastapi.txt

The model is an LSTM with 80 inputs and 2 layers of 256 units. The clients run in this process, on a core of its own;
torch and the kernels have one thread each.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving.clients import Address, Http, WebSocket
from benchmarks.serving.processes import ServerProcess, free_port, serving, write_models

INPUTS = 80
RATE = 100
"""Steps per second of a stream that is held."""


async def held(address: Address, streams: int, seconds: float) -> dict[str, Any]:
    """Streams that send a step every 10 ms, whether or not the last one was answered; how long each answer takes."""
    times: list[float] = []
    late = 0

    async def one(number: int) -> None:
        nonlocal late
        socket = await WebSocket.connect(address, "/stream/large")
        x = np.random.default_rng(number).normal(size=(1, INPUTS)).astype(np.float32).tobytes()
        sent: list[float] = []

        async def answers() -> None:
            for k in range(count):
                await socket.receive()
                times.append(time.perf_counter() - sent[k])

        count = int(seconds * RATE)
        reader = asyncio.create_task(answers())
        begin = time.perf_counter() + 0.2 + number / streams / RATE
        for k in range(count):
            wait = begin + k / RATE - time.perf_counter()
            late += wait < -0.005
            if wait > 0:
                await asyncio.sleep(wait)
            sent.append(time.perf_counter())
            socket.send(x)
        async with asyncio.timeout(20):
            await reader
        socket.close()

    await asyncio.gather(*(one(number) for number in range(streams)))
    ms = 1000 * np.array(times)
    return {
        "streams": streams,
        "p50_ms": round(float(np.quantile(ms, 0.5)), 2),
        "p99_ms": round(float(np.quantile(ms, 0.99)), 2),
        "within_20_ms": round(float((ms <= 20).mean()), 5),
        "sent_late": round(late / len(times), 4),  # by the client: it was too slow itself
    }


async def most(address: Address, streams: int, seconds: float) -> float:
    """Steps per second of streams that send a step as soon as the last one is answered."""
    x, done, end = np.ones((1, INPUTS), np.float32).tobytes(), 0, time.perf_counter() + seconds

    async def one() -> None:
        nonlocal done
        socket = await WebSocket.connect(address, "/stream/large")
        while time.perf_counter() < end:
            socket.send(x)
            await socket.receive()
            done += 1
        socket.close()

    await asyncio.gather(*(one() for _ in range(streams)))
    return done / seconds


async def most_of_handler(address: Address, streams: int, seconds: float) -> float:
    """The same of the handler, a request per step."""
    done, end = 0, time.perf_counter() + seconds

    async def one(number: int) -> None:
        nonlocal done
        http, x = Http(address), np.ones(INPUTS).tolist()
        while time.perf_counter() < end:
            status, answer = await http.post("/step", {"stream": str(number), "x": x})
            assert status == 200, answer
            done += 1
        http.close()

    await asyncio.gather(*(one(number) for number in range(streams)))
    return done / seconds


@contextlib.contextmanager
def handler(environment: Path) -> Iterator[ServerProcess]:
    """The handler of fastapi_peer.py, in an environment of its own."""
    port = free_port()
    command = [environment / "bin" / "python", "-m", "benchmarks.serving.fastapi_peer", str(port)]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    server = ServerProcess.__new__(ServerProcess)
    server.address, server.process = ("127.0.0.1", port), process
    try:
        server.wait_until_ready("/")
        yield server
    finally:
        server.end()


def _rate(rate: float, cpu: float, seconds: float) -> dict[str, float]:
    """Steps per second, and the processor time of the server per step: other programs change it less."""
    return {"steps_per_second": round(rate), "cpu_us_per_step": round(1e6 * cpu / (rate * seconds), 1)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="the environment with FastAPI and torch")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--streams", type=int, nargs="+", default=[10, 25, 50, 75, 100])
    arguments = parser.parse_args()
    result: dict[str, Any] = {"held": [], "steps_per_second": {}, "handler": {}}
    with tempfile.TemporaryDirectory() as name:
        path = write_models(Path(name))["large"]
        with serving([path]) as server:
            for streams in arguments.streams:
                result["held"].append(asyncio.run(held(server.address, streams, arguments.seconds)))
            for streams in (1, 16, 64, 200):
                before = server.cpu()
                rate = asyncio.run(most(server.address, streams, arguments.seconds))
                result["steps_per_second"][streams] = _rate(rate, server.cpu() - before, arguments.seconds)
    if arguments.peer:
        with handler(arguments.peer) as server:
            for streams in (1, 16, 64):
                before = server.cpu()
                rate = asyncio.run(most_of_handler(server.address, streams, arguments.seconds))
                result["handler"][streams] = _rate(rate, server.cpu() - before, arguments.seconds)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
