"""From the arguments of ``holdfast serve`` to a server that runs."""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from holdfast.errors import MissingLibraryError, OptionError
from holdfast.serve.installed import is_whole

_LIBRARIES = {
    "starlette": "starlette",
    "uvicorn": "uvicorn",
    "websockets": "websockets",
    "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
}
_OF_THE_PAGE = {"markdown_it": "markdown-it-py"}
_FURTHER_FILES = 128
"""Open files beyond the connections: models, libraries, the files of requests."""
_SWITCH_SECONDS = 0.0005
"""For how long a thread may keep Python from the others: the event loop and the streams hand steps to each other."""


def start(
    models: Sequence[str],
    host: str,
    port: int,
    limits: Sequence[str],
    *,
    grace: float,
    log_level: str,
    device: str = "cpu",
    hosts: Sequence[str] = (),
    **options: Any,
) -> int:
    """Opens models and serves them until a signal.

    Args:
        models: As :func:`holdfast.serve.naming.places` takes them.
        host: The address to listen on.
        port: The port; 0 for a free one.
        limits: As :func:`holdfast.serve.limits.with_changes` takes them.
        grace: Seconds that the end may take.
        log_level: The least severe level of the log.
        device: As :func:`holdfast.serve.models.load` takes it.
        hosts: Names by which requests may call the server, next to addresses and localhost. Without any, every name
            may, except where there is no token and the server listens on this computer alone.
        **options: Further fields of :class:`holdfast.serve.service.Service`.

    Returns:
        The exit code.

    Raises:
        MissingLibraryError: A library of the extra ``serve`` is not installed.
        HoldfastError: A model, a limit or the address cannot be used.
    """
    libraries = _LIBRARIES | (_OF_THE_PAGE if is_whole() else {})
    missing = [name for module, name in libraries.items() if find_spec(module) is None]
    if missing:
        raise MissingLibraryError(
            f"holdfast serve needs the libraries {', '.join(missing)}, which are not installed: "
            "pip install 'holdfast[serve]', or without torch 'holdfast-runtime[serve]'."
        )
    from holdfast.serve import logs, server
    from holdfast.serve.limits import with_changes
    from holdfast.serve.models import Models, load
    from holdfast.serve.naming import places
    from holdfast.serve.service import Service
    from holdfast.serve.streams import add_streams

    _check_access(options.get("token", ""), options.get("cors", ()), hosts)
    bounds = with_changes(limits)
    sys.setswitchinterval(_SWITCH_SECONDS)
    with server.listen(host, port) as listener:  # before the models, so that a port in use is reported at once
        address, actual = listener.getsockname()[:2]
        local = ipaddress.ip_address(address).is_loopback
        names = frozenset(map(str.lower, hosts)) if hosts or (local and not options.get("token")) else None
        service = Service.make(Models(load(place, device) for place in places(models)), bounds, hosts=names, **options)
        streams = add_streams(service)
        shown = f"[{address}]" if ":" in address else address
        logs.begin(log_level)
        allow_connections(bounds.connections)
        served = {model.name: service.models.versions(model.name) for model in service.models}
        logs.LOG.info("serving", extra={"fields": {"url": f"http://{shown}:{actual}", "models": served}})
        if not service.token and not local:
            logs.LOG.warning("Everyone who reaches this address may use the server: set HOLDFAST_TOKEN.")
        return server.run(service, [listener], grace=grace, log_level=log_level, further=[streams])


def _check_access(token: str, origins: Sequence[str], hosts: Sequence[str]) -> None:
    """Refuses a token that no request can have, an origin that no page has, and a name that no host has.

    Raises:
        OptionError: One of them.
    """
    if token and not re.fullmatch("[!-~]+", token):
        raise OptionError(
            "HOLDFAST_TOKEN has a space, a line break or a sign beyond ASCII, which no request could send; expected "
            "letters, digits and signs of ASCII, such as the output of `openssl rand -hex 32`."
        )
    for origin in origins:
        if origin not in ("*", "null") and not re.fullmatch(r"\w[\w+.-]*://[^/?#\s]+", origin, re.ASCII):
            raise OptionError(
                f"--cors is {origin!r}; expected a scheme and a host alone, such as https://their.example."
            )
    for host in hosts:
        if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", host, re.ASCII):
            raise OptionError(
                f"--allow-host is {host!r}; expected a name without scheme and port, such as models.example."
            )


def allow_connections(count: int) -> None:
    """Lets the process have open files for some connections; logs a warning where the system does not allow that.

    Often the system allows a process 1,024, and more where it asks for them. Without a free one, a connection waits
    without an answer.
    """
    if sys.platform == "win32":  # it bounds no process in this way
        return
    import resource

    from holdfast.serve import logs

    needed = count + _FURTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        logs.LOG.warning(
            f"The system allows {hard} open files, too few for {count} connections: raise it (ulimit -n), or set "
            f"--limit connections={max(1, hard - _FURTHER_FILES)}."
        )
