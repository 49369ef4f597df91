"""The files of the page: its own, and the scripts that it shares with the pages that run a model by themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from holdfast.inspect.page import scripts
from holdfast.serve.description import STYLE_HASH
from holdfast.serve.endpoints import Endpoint

OWN = files("holdfast.serve.page")
PREFIX = "/page/"
_STYLES = ("page.css",)  # of the other folder
_KINDS = {".js": "text/javascript", ".css": "text/css"}
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' {STYLE_HASH}",  # with a token, this page opens that of the paths
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
    """The scripts and styles by their names: those of this folder, and what they import."""
    found: dict[str, bytes] = {}
    waiting = [*_STYLES, *sorted(file.name for file in OWN.iterdir() if file.name.endswith(tuple(_KINDS)))]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            file = OWN.joinpath(name)
            found[name] = (file if file.is_file() else scripts.FOLDER.joinpath(name)).read_bytes()
            waiting += scripts.imported(found[name].decode("utf-8"))
    return found


def routes() -> list[Endpoint]:
    """The page, and a path for each of its files. They hold nothing about the models, and need no token."""
    page = OWN.joinpath("index.html").read_bytes()
    of_files = [(PREFIX + name, content, _KINDS[name[name.rindex(".") :]]) for name, content in contents().items()]
    return [
        Endpoint("GET", path, _sender(content, kind), "A file of the page", public=True, in_document=False)
        for path, content, kind in [("/", page, "text/html"), *of_files]
    ]


def _sender(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        return Response(content, headers=HEADERS, media_type=kind)

    return send
