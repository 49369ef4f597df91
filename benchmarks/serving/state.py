"""All that can happen to streams, at the same time: each answer has the bits of its stream run alone.

python -m benchmarks.serving.state                             # 200 streams, 20,000 steps
python -m benchmarks.serving.state --streams 20 --steps 1000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.serving.clients import Address, Http
from benchmarks.serving.processes import serving, write_models
from benchmarks.serving.stream_clients import Client, OnSequence, OnWebsocket, Trial, WithState
from holdfast import runtime

MODELS = ("sum", "small", "gru")
DOORS: tuple[type[Client], ...] = (OnWebsocket, OnSequence, WithState)
IDLE_SECONDS = 2.0
LEFT = {"holdfast_live_sequences": 0, "holdfast_connections": 1, 'holdfast_errors_total{reason="internal"}': 0}
"""What the counters of a server have at most at the end; one connection asks for them."""
EVENTS = (
    *("websocket: ends", "websocket: drops in a step", "websocket: bad frames", "websocket: resets"),
    *("websocket: frames twice", f"websocket: closed with {4408}"),
    *("sequence: ends", "sequence: drops in a step", "sequence: the same step again", "sequence: started twice"),
    *("sequence: the same step twice at once", "sequence: time-outs", "sequence: bad requests", "sequence: the id 0"),
    *("held state: ends", "held state: drops in a step", "held state: forged", "held state: of another model"),
    *("held state: older ones", "NaN and infinite"),
)
"""What happens in a trial of 20,000 steps."""


async def metrics(address: Address) -> dict[str, float]:
    """The counters of a server, the sum over their labels."""
    http = Http(address)
    _, _, content = await http.exchange("GET /metrics HTTP/1.1\r\nConnection: close")
    found: dict[str, float] = {}
    for line in content.decode().splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            for key in {name, name.partition("{")[0]}:
                found[key] = found.get(key, 0.0) + float(value)
    return found


async def left(addresses: list[Address]) -> list[str]:
    """What the servers still hold, when all streams have ended or were idle too long; empty if that is nothing."""
    end = time.monotonic() + 20 * IDLE_SECONDS
    while True:
        found = [await metrics(address) for address in addresses]
        kept = [
            f"{of_one.get(name, 0.0):g} {name}"
            for of_one in found
            for name, most in LEFT.items()
            if of_one.get(name, 0.0) > most
        ]
        if not kept or time.monotonic() > end:
            return kept
        await asyncio.sleep(0.2)


def trial(folder: Path, streams: int, steps: int) -> dict[str, Any]:
    """Runs streams over websockets, as sequences and with states that clients hold, on two servers.

    Args:
        folder: For the models.
        streams: How many at a time.
        steps: How many in all.

    Returns:
        What happened, by kind, and what must not have.
    """
    paths = write_models(folder)
    limits = {
        "sequence_idle_seconds": IDLE_SECONDS,
        "sequences": 2 * streams,
        "client_requests": 1000,  # all clients have one address
        "queue": 1000,
    }
    options = [word for name, value in limits.items() for word in ("--limit", f"{name}={value}")]
    files = [paths[name] for name in MODELS]
    with serving(files, *options) as first, serving(files, *options) as second:
        addresses = [first.address, second.address]
        shared = Trial(addresses, {name: runtime.load(paths[name]).network for name in MODELS}, IDLE_SECONDS, steps)

        async def run() -> list[str]:
            await asyncio.gather(*(DOORS[number % len(DOORS)](shared, number).run() for number in range(streams)))
            return await left(addresses)

        began = time.monotonic()
        kept = asyncio.run(run())
        seconds = round(time.monotonic() - began, 1)
        codes = [first.end(), second.end()]
    faults = [*shared.faults, *kept, *(f"exit code {code}" for code in codes if code)]
    return {"seconds": seconds, "counts": dict(sorted(shared.counts.items())), "faults": faults}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = trial(Path(name), arguments.streams, arguments.steps)
    print(json.dumps(result, indent=1))
    missing = [event for event in EVENTS if event not in result["counts"]]
    sys.exit(f"did not happen: {missing}" if missing else len(result["faults"]) > 0)


if __name__ == "__main__":
    main()
