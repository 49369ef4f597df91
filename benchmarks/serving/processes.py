"""Servers as processes of their own, and the models that they serve."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

import holdfast

KEY = "a key for measurements, 32 bytes"


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def write_models(folder: Path) -> dict[str, Path]:
    """The models that are served: sums of whole numbers, a small LSTM and GRU, and an LSTM for measurements."""
    total = holdfast.RNN(4, 4, activation="linear", bias=False)
    with torch.no_grad():
        total.weight_ih_l0.copy_(torch.eye(4))
        total.weight_hh_l0.copy_(torch.eye(4))
    torch.manual_seed(0)
    layers = {
        "sum": total,
        "small": holdfast.LSTM(4, 16, num_layers=2),
        "gru": holdfast.GRU(4, 24),
        "large": holdfast.LSTM(80, 256, num_layers=2),
    }
    paths = {name: folder / f"{name}.safetensors" for name in layers}
    for name, layer in layers.items():
        holdfast.Stream(layer).export(paths[name])
    return paths


class ServerProcess:
    """`holdfast serve` in a process of its own.

    Args:
        paths: The models.
        options: Further arguments.
    """

    def __init__(self, paths: Sequence[Path], *options: str) -> None:
        self.address = "127.0.0.1", free_port()
        command = [sys.executable, "-m", "holdfast", "serve", *map(str, paths), "--port", str(self.address[1])]
        environment = {
            **os.environ,
            "HOLDFAST_STATE_KEY": KEY,
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        }
        self.process = subprocess.Popen(
            [*command, "--log-level", "warning", *options], env=environment, stdout=subprocess.DEVNULL
        )

    def wait_until_ready(self, path: str = "/v2/health/ready") -> float:
        """Waits; returns the seconds that it took."""
        begin = time.monotonic()
        while time.monotonic() - begin < 60:
            assert self.process.poll() is None, "the server ended"
            connection = http.client.HTTPConnection(*self.address, timeout=5)
            with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return time.monotonic() - begin
            time.sleep(0.02)
        raise TimeoutError("the server is not ready after 60 seconds")

    def memory(self) -> int:
        """Bytes of the process that are in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu(self) -> float:
        """Seconds of processor time that the process has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> int:
        """Stops the process; returns its exit code."""
        if self.process.poll() is None:
            self.terminate()
        return self.process.wait(30)


@contextlib.contextmanager
def serving(paths: Sequence[Path], *options: str) -> Iterator[ServerProcess]:
    """A server that is ready, and is stopped at the end."""
    server = ServerProcess(paths, *options)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.end()
