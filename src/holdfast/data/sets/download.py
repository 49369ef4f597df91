"""Public files, downloaded once into the cache of the user.

A file is downloaded as ``NAME.part``, checked against its SHA-256, and only then renamed. An interrupted download is
resumed.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.data.progress import byte_bars
from holdfast.errors import MissingDataError

if TYPE_CHECKING:
    from rich.progress import Progress

_CHUNK = 1 << 16
TIMEOUT = 30.0
"""Seconds without a byte after which an address fails."""


@dataclass(frozen=True)
class RemoteFile:
    """A public file.

    Attributes:
        name: Its name, without a folder.
        sha256: The checksum of its bytes, 64 hexadecimal digits.
        addresses: The addresses of the file, tried in order.
    """

    name: str
    sha256: str
    addresses: tuple[str, ...]


class _FetchError(Exception):
    """One address did not give the file; the message says why."""


def cache_dir() -> Path:
    """The folder of downloads and prepared data: ``HOLDFAST_CACHE``, or ``holdfast`` in the user's cache folder."""
    named = os.environ.get("HOLDFAST_CACHE")
    if named:
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("holdfast")


def fetch(files: Sequence[RemoteFile], folder: Path, looked_in: Sequence[Path] = ()) -> list[Path]:
    """Downloads the files that a folder does not have yet.

    Args:
        files: The files.
        folder: The folder to keep them in; created if missing.
        looked_in: Other folders that were searched before, for the message.

    Returns:
        The path of each file, in order.

    Raises:
        MissingDataError: All addresses of a file failed: offline, an HTTP error, or a wrong checksum.
    """
    wanted = [file for file in files if not (folder / file.name).exists()]
    with byte_bars() as bars:
        for file in wanted:
            if not bars.console.is_terminal:
                bars.console.print(
                    f"Downloading {file.name} to {folder}", soft_wrap=True, highlight=False, markup=False
                )
            reasons = _fetch_one(file, folder, bars)
            if reasons:
                raise MissingDataError(_missing(wanted, [*looked_in, folder], reasons))
    return [folder / file.name for file in files]


def _missing(wanted: Sequence[RemoteFile], looked_in: Sequence[Path], reasons: Sequence[str]) -> str:
    names = ", ".join(file.name for file in wanted)
    searched = ", ".join(dict.fromkeys(str(place) for place in looked_in))
    sites = " or ".join(_site(address) for address in wanted[0].addresses)
    return (
        f"Missing data: {names}. Looked in {searched}; download failed: {'; '.join(reasons)}. "
        f"Get the files from {sites} and put them in {looked_in[-1]}, or in any folder named by --data-dir "
        "or the environment variable HOLDFAST_DATA."
    )


def _site(address: str) -> str:
    return address.rpartition("/")[0] + "/"


def _fetch_one(file: RemoteFile, folder: Path, bars: Progress) -> list[str]:
    """Tries the addresses until one gives the file.

    Returns:
        Nothing on success, else why each address failed.
    """
    part = folder / f"{file.name}.part"
    reasons = []
    for address in file.addresses:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            resumed = part.exists() and part.stat().st_size > 0
            _receive(address, part, file.name, bars)
            actual = _sha256(part)
            if actual != file.sha256 and resumed:  # the old part was not the start of this file
                part.unlink()
                _receive(address, part, file.name, bars)
                actual = _sha256(part)
            if actual == file.sha256:
                part.replace(folder / file.name)
                return []
            part.unlink()
            reasons.append(f"{address}: its SHA-256 is {actual}, expected {file.sha256}")
        except (_FetchError, http.client.HTTPException, OSError) as error:
            reasons.append(f"{address}: {error or type(error).__name__}")
    return reasons


def _receive(address: str, part: Path, name: str, bars: Progress) -> None:
    """Downloads to ``part``; resumes after its bytes if the server can."""
    held = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"User-Agent": "holdfast", "Accept-Encoding": "identity"})
    if held:
        request.add_header("Range", f"bytes={held}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and held:  # there are no more bytes: the checksum is verified later
                return
            raise _FetchError(f"HTTP error {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _FetchError(str(error.reason)) from error
    with response:
        if response.status != 206:
            held = 0
        length = response.headers.get("Content-Length")
        total = held + int(length) if length else None
        task = bars.add_task(name, total=total, completed=held)
        with part.open("ab" if held else "wb") as out:
            while chunk := response.read(_CHUNK):
                out.write(chunk)
                bars.advance(task, len(chunk))
            received = out.tell()
    if total is not None and received < total:
        raise _FetchError(f"the connection closed after {received} of {total} bytes; run again to resume")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
