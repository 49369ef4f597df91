"""The files of the page: its own, and the scripts that it shares with the pages that run a model by themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from holdfast.inspect.page import scripts
from holdfast.serve.endpoints import Endpoint

OWN = files("holdfast.serve.page")
PREFIX = "/page/"
_KINDS = {".js": "text/javascript", ".css": "text/css"}
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
"""What the page may load: files of this server alone, and no script or style inside the HTML."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def contents() -> dict[str, bytes]:
    """The scripts and styles by their names, of both folders; a name is in one of them."""
    found: dict[str, bytes] = {}
    for folder in (scripts.FOLDER, OWN):
        for file in sorted(folder.iterdir(), key=lambda file: file.name):
            if file.name.endswith(tuple(_KINDS)) and file.name != scripts.START:
                assert file.name not in found, f"{file.name} is in both folders"
                found[file.name] = file.read_bytes()
    return found


def routes() -> list[Endpoint]:
    """The page, and a path for each of its files. They hold nothing about the models, and need no token."""
    page = OWN.joinpath("index.html").read_bytes()
    kinds = {name: _KINDS[name[name.rindex(".") :]] for name in contents()}
    of_files = [(PREFIX + name, content, kinds[name]) for name, content in contents().items()]
    return [
        Endpoint("GET", path, _sender(content, kind), "A file of the page", public=True, in_document=False)
        for path, content, kind in [("/", page, "text/html"), *of_files]
    ]


def _sender(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        return Response(content, headers=HEADERS, media_type=kind)

    return send
