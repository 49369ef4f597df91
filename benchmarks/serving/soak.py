"""`holdfast serve` under load: many streams, some of them bad, killed or forged; each answer compared to the bit.

python -m benchmarks.serving.soak --minutes 10          # the load, and what it does to the memory
python -m benchmarks.serving.soak --signals 100         # SIGTERM under load, each to a new server
python -m benchmarks.serving.soak --replicas 20000      # steps that each go to one of two servers
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving.clients import Address, ClosedError, HalfError, Http, WebSocket
from benchmarks.serving.processes import ServerProcess, serving, write_models
from holdfast import runtime

MODELS = ("sum", "small")
BAD = 0.05
REFUSED, RESTARTS = 1008, 1012
"""The close codes after 16 bad frames, and when the server stops."""


@dataclass
class Tally:
    """What the clients saw.

    Attributes:
        seconds: Of each step from its frame to the answer.
        counts: Answers by kind.
        faults: What must not be: wrong bits, and errors that no client caused.
    """

    seconds: list[float] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, what: str) -> None:
        """Notes a fault."""
        self.counts["faults"] += 1
        self.faults = [*self.faults, what][-20:]


class Load:
    """Clients of a server.

    Args:
        address: Of the server.
        paths: Its models.
        pause: Seconds between the steps of a stream.
    """

    def __init__(self, address: Address, paths: dict[str, Path], pause: float) -> None:
        self.address, self.pause, self.tally = address, pause, Tally()
        self.ending = False  # the clients end by themselves
        self.stopping = False  # the server was told to stop
        self._networks = {name: runtime.load(paths[name]).network for name in MODELS}

    async def stream(self, number: int) -> None:
        """Streams, one after the other, each compared with itself alone."""
        chance = random.Random(number)
        while not self.ending:
            model = chance.choice(MODELS)
            alone = runtime.Stream(self._networks[model])
            try:
                socket = await WebSocket.connect(self.address, f"/stream/{model}")
            except OSError as error:
                if not (self.ending or self.stopping):
                    self.tally.fault(f"connect: {error}")
                return
            try:
                await self._talk(socket, alone, chance)
            except ClosedError as closed:
                if not self.ending and closed.code not in ((RESTARTS,) if self.stopping else (REFUSED,)):
                    self.tally.fault(f"closed with {closed.code}")
                self.tally.counts[f"closed with {closed.code}"] += 1

    async def _talk(self, socket: WebSocket, alone: Any, chance: random.Random) -> None:
        for _ in range(chance.randrange(20, 200)):
            if self.ending:
                break
            if chance.random() < BAD:
                socket.send(
                    chance.choice([b"123", "{", '{"input": [1]}', '{"state": "AAAA", "input": [1,2,3,4]}', "[1,[2]]"])
                )
                answer = await socket.receive()
                if not isinstance(answer, str) or "error" not in answer:
                    self.tally.fault(f"a bad frame was answered with {answer!r}")
                self.tally.counts["bad frames"] += 1
                continue
            x = np.array([[chance.randrange(-9, 10) for _ in range(4)]], np.float32)
            if chance.random() < 0.01:
                x[0, 0] = np.nan
            began = time.perf_counter()
            socket.send(x.tobytes())
            answer = await socket.receive()
            self.tally.seconds.append(time.perf_counter() - began)
            expected = alone.run(x)
            got = (
                np.frombuffer(answer, np.float32).reshape(expected.shape) if isinstance(answer, bytes) else np.zeros(0)
            )
            if not np.array_equal(got, expected, equal_nan=True):
                self.tally.fault(f"wrong bits: {answer!r:.80}")
            self.tally.counts["steps"] += 1
            await asyncio.sleep(self.pause * chance.uniform(0.5, 1.5))
        socket.kill() if chance.random() < 0.2 else socket.close()

    async def requests(self, number: int) -> None:
        """Sequences over HTTP, one after the other."""
        chance, http = random.Random(-number), Http(self.address)
        while not self.ending:
            alone, name = runtime.Stream(self._networks["sum"]), f"{number} {chance.random()}"
            for step in range(20):
                x = [chance.randrange(-9, 10) for _ in range(4)]
                parameters = {"sequence_id": name, "sequence_start": step == 0, "sequence_end": step == 19}
                tensor = {"name": "input", "datatype": "FP32", "shape": [1, 1, 4], "data": x}
                body: Any = {"inputs": [tensor], "parameters": parameters}
                bad = chance.random() < BAD
                sent = chance.choice([b"{", json.dumps({**body, "inputs": []}).encode()]) if bad else body
                try:
                    status, answer = await http.post("/v2/models/sum/infer", sent)
                except OSError as error:
                    if not (self.ending or self.stopping):
                        self.tally.fault(f"request: {error!r}")
                    return
                except HalfError:
                    self.tally.fault("half an answer")
                    return
                self.tally.counts[f"status {status}"] += 1
                if self.stopping and status == 503:
                    return
                if bad and status == 400:
                    try:
                        status, answer = await http.post("/v2/models/sum/infer", body)
                    except OSError as error:
                        if not (self.ending or self.stopping):
                            self.tally.fault(f"request: {error!r}")
                        return
                    if self.stopping and status == 503:
                        return
                if status != 200 or answer["outputs"][0]["data"] != alone.run(np.array([x], np.float32))[0].tolist():
                    self.tally.fault(f"request: {status} {str(answer)[:80]}")
                await asyncio.sleep(self.pause)
        http.close()

    async def killed_clients(self) -> None:
        """Clients that go away in the middle of something."""
        while not self.ending:
            _, writer = await asyncio.open_connection(*self.address)
            part = b'POST /v2/models/sum/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"inputs"'
            writer.write(part[: random.randrange(1, len(part))])
            await asyncio.sleep(0.05)
            writer.transport.abort()


async def load_for(server: ServerProcess, load: Load, seconds: float, streams: int, requests: int) -> list[int]:
    """Runs the clients; returns the memory of the server, one number per second."""
    tasks = [asyncio.create_task(load.stream(number)) for number in range(streams)]
    tasks += [asyncio.create_task(load.requests(number)) for number in range(requests)]
    tasks.append(asyncio.create_task(load.killed_clients()))
    memory, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(1)
        memory.append(server.memory())
    load.ending = True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)
    return memory


def soak(folder: Path, minutes: float, pause: float) -> dict[str, Any]:
    """The long load.

    Args:
        folder: For the models.
        minutes: How long.
        pause: Seconds between the steps of each of 200 streams and 20 sequences.
    """
    paths = write_models(folder)
    with serving([paths[name] for name in MODELS]) as server:
        load = Load(server.address, paths, pause)
        memory = asyncio.run(load_for(server, load, 60 * minutes, 200, 20))
        cpu = server.cpu()
        warm = len(memory) // 4
        seconds = np.array(load.tally.seconds)
        return {
            "counts": dict(load.tally.counts),
            "faults": load.tally.faults,
            "p50_ms": round(1000 * float(np.quantile(seconds, 0.5)), 2),
            "p99_ms": round(1000 * float(np.quantile(seconds, 0.99)), 2),
            "seconds": len(memory),
            "memory_mb_after_warm_up": round(memory[warm] / 1e6, 1),
            "memory_mb_at_the_end": round(memory[-1] / 1e6, 1),
            "memory_mb_most": round(max(memory) / 1e6, 1),
            "server_cpu_seconds": cpu,
            "exit_code": server.end(),
        }


def signals(folder: Path, count: int) -> dict[str, Any]:
    """SIGTERM under load, each to a new server."""
    paths = write_models(folder)
    seconds, codes, counts, faults = [], Counter[int](), Counter[str](), []
    for _ in range(count):
        server = ServerProcess([paths[name] for name in MODELS])
        server.wait_until_ready()
        load = Load(server.address, paths, 0.01)

        async def run(server: ServerProcess = server, load: Load = load) -> None:
            clients = [asyncio.create_task(load.stream(number)) for number in range(40)]
            clients += [asyncio.create_task(load.requests(number)) for number in range(5)]
            await asyncio.sleep(0.7)
            load.stopping = True
            server.terminate()
            began = time.monotonic()
            codes[await asyncio.to_thread(server.process.wait, 30)] += 1
            seconds.append(time.monotonic() - began)
            async with asyncio.timeout(20):
                await asyncio.gather(*clients)

        asyncio.run(run())
        counts.update(load.tally.counts)
        faults += load.tally.faults
    return {"counts": dict(counts), "exit_codes": dict(codes), "seconds_most": max(seconds), "faults": faults[-20:]}


async def one_of_two(servers: list[Address], paths: dict[str, Path], steps: int) -> dict[str, Any]:
    """Streams whose state the client holds; each step goes to one of two servers."""
    networks = {name: runtime.load(paths[name]).network for name in MODELS}
    counts: Counter[str] = Counter()

    async def one(number: int) -> None:
        chance, model = random.Random(number), MODELS[number % 2]
        connections = [Http(address) for address in servers]
        alone, held = runtime.Stream(networks[model]), {}
        for _ in range(steps // 200):
            if chance.random() < 0.02:
                alone.reset()
                held = {}
            x = np.array([[chance.randrange(-9, 10) for _ in range(4)]], np.float32)
            tensor = {"name": "input", "datatype": "FP32", "shape": [1, 1, 4], "data": x[0].tolist()}
            body = {"inputs": [tensor], "parameters": {"return_state": True, **held}}
            status, answer = await chance.choice(connections).post(f"/v2/models/{model}/infer", body)
            got = np.array(answer["outputs"][0]["data"], np.float32) if status == 200 else np.zeros(0, np.float32)
            counts["equal" if np.array_equal(got, alone.run(x)[0]) else f"wrong, status {status}"] += 1
            held = {"state": answer["parameters"]["state"]} if status == 200 else held

    await asyncio.gather(*(one(number) for number in range(200)))
    return dict(counts)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--pause", type=float, default=0.1, metavar="SECONDS", help="between the steps of a stream")
    parser.add_argument("--signals", type=int, default=0)
    parser.add_argument("--replicas", type=int, default=0, metavar="STEPS")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, result = Path(name), {}
        if arguments.minutes:
            result["soak"] = soak(folder, arguments.minutes, arguments.pause)
        if arguments.signals:
            result["signals"] = signals(folder, arguments.signals)
        if arguments.replicas:
            paths = write_models(folder)
            files = [paths[name] for name in MODELS]
            options = ["--limit", "client_requests=1000", "--limit", "queue=1000"]  # all clients have one address
            with serving(files, *options) as first, serving(files, *options) as second:
                result["replicas"] = asyncio.run(one_of_two([first.address, second.address], paths, arguments.replicas))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
