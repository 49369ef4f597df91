from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from holdfast.data.sets.download import RemoteFile, cache_dir, fetch
from holdfast.errors import MissingDataError

CONTENT = bytes(range(256)) * 1000
SHA = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT at /good/, without Range support at /plain/, half of it at /cut/, other bytes at /wrong/."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []

    def address(self, folder: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{folder}/data.gz"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        folder = self.path.split("/")[1]
        asked = self.headers.get("Range")
        self.server.requests.append((folder, asked))
        if folder == "gone":
            self.send_error(404)
            return
        content = CONTENT if folder != "wrong" else CONTENT[::-1]
        begin = int(re.findall(r"\d+", asked)[0]) if asked and folder != "plain" else 0
        if begin >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        body = content[begin:]
        self.wfile.write(body[: len(body) // 2] if folder == "cut" else body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def remote(*addresses: str, sha256: str = SHA) -> RemoteFile:
    return RemoteFile("data.gz", sha256, addresses)


def held(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def test_a_file_is_fetched_once(server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "deep" / "cache"
    assert fetch([remote(server.address("good"))], folder) == [folder / "data.gz"]
    assert (folder / "data.gz").read_bytes() == CONTENT
    assert held(folder) == {"data.gz": len(CONTENT)}
    fetch([remote(server.address("good"))], folder)
    assert server.requests == [("good", None)]
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err == f"Downloading data.gz to {folder}\n"


def test_on_a_terminal_a_bar_is_drawn_on_stderr(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    fetch([remote(server.address("good"))], tmp_path)
    said = capfd.readouterr()
    assert said.out == ""
    assert "━━" in said.err
    assert "256.0/256.0 kB" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.err)


def test_a_partial_download_goes_on(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.gz.part").write_bytes(CONTENT[:100_000])
    fetch([remote(server.address("good"))], tmp_path)
    assert (tmp_path / "data.gz").read_bytes() == CONTENT
    assert server.requests == [("good", "bytes=100000-")]


def test_a_download_cut_off_goes_on_at_the_next_address(server: Server, tmp_path: Path) -> None:
    fetch([remote(server.address("cut"), server.address("good"))], tmp_path)
    assert (tmp_path / "data.gz").read_bytes() == CONTENT
    assert server.requests == [("cut", None), ("good", "bytes=128000-")]


def test_a_download_cut_off_keeps_its_part_for_the_next_run(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        MissingDataError, match="the connection closed after 128000 of 256000 bytes; run again to resume"
    ):
        fetch([remote(server.address("cut"))], tmp_path)
    assert held(tmp_path) == {"data.gz.part": 128_000}
    fetch([remote(server.address("good"))], tmp_path)
    assert held(tmp_path) == {"data.gz": len(CONTENT)}


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.gz.part").write_bytes(CONTENT[:100_000])
    fetch([remote(server.address("plain"))], tmp_path)
    assert (tmp_path / "data.gz").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"junk" * 100, CONTENT[::-1], CONTENT + b"more"])
def test_a_part_of_another_file_is_thrown_away(server: Server, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "data.gz.part").write_bytes(left)
    fetch([remote(server.address("good"))], tmp_path)
    assert held(tmp_path) == {"data.gz": len(CONTENT)}
    assert len(server.requests) == 2


def test_a_part_that_is_whole_is_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.gz.part").write_bytes(CONTENT)
    fetch([remote(server.address("good"))], tmp_path)
    assert server.requests == [("good", "bytes=256000-")]
    assert held(tmp_path) == {"data.gz": len(CONTENT)}


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError) as error:
        fetch([remote(server.address("wrong"))], tmp_path)
    got = hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert f"{server.address('wrong')}: its SHA-256 is {got}, expected {SHA}" in str(error.value)
    assert held(tmp_path) == {}


def test_the_second_address_is_tried(server: Server, tmp_path: Path) -> None:
    fetch([remote(server.address("gone"), server.address("wrong"), server.address("good"))], tmp_path)
    assert (tmp_path / "data.gz").read_bytes() == CONTENT


def test_the_error_names_files_places_and_the_way_out(server: Server, tmp_path: Path) -> None:
    files = [remote(server.address("gone")), RemoteFile("other.gz", SHA, ("http://127.0.0.1:1/other.gz",))]
    with pytest.raises(MissingDataError) as error:
        fetch(files, tmp_path / "cache", [tmp_path / "mine"])
    assert str(error.value) == (
        f"Missing data: data.gz, other.gz. Looked in {tmp_path}/mine, {tmp_path}/cache; download failed: "
        f"{server.address('gone')}: HTTP error 404 Not Found. "
        f"Get the files from http://127.0.0.1:{server.server_port}/gone/ and put them in {tmp_path}/cache, "
        "or in any folder named by --data-dir or the environment variable HOLDFAST_DATA."
    )


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(
        MissingDataError, match=rf"download failed: http://127.0.0.1:{port}/data.gz: .*[Rr]efused.* Get the"
    ):
        fetch([remote(f"http://127.0.0.1:{port}/data.gz")], tmp_path)


def test_a_cache_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MissingDataError, match=r"Not a directory|File exists"):
        fetch([remote(server.address("good"))], tmp_path / "file" / "cache")


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: Path("/cache") / name)
    assert cache_dir() == Path("/cache/holdfast")
