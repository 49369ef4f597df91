"""Which engine computes a layer, and why not another: the table, the choice and the explanation."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.engines.cudnn import CudnnEngine
from holdfast.engines.native import NativeEngine
from holdfast.engines.reference import ReferenceEngine
from holdfast.engines.request import Engine, Request, Result
from holdfast.errors import EngineError, OptionError, did_you_mean

# The order in which engine="auto" tries them: the fastest on each device first, the one that can do everything last.
ENGINES: dict[str, Engine] = {engine.name: engine for engine in (NativeEngine(), CudnnEngine(), ReferenceEngine())}


def check_engine(name: str) -> str:
    """The name, if it is ``"auto"`` or an engine's.

    Raises:
        OptionError: There is no such engine.
    """
    if name != "auto" and name not in ENGINES:
        raise OptionError(f"There is no engine {name!r}: {did_you_mean(name, ['auto', *ENGINES])}")
    return name


def select(name: str, request: Request) -> Engine:
    """The engine for a request: the one of that name, or with ``"auto"`` the first in the table that can run it.

    Raises:
        EngineError: The engine that was named cannot run the request; the message gives its reason.
    """
    if name == "auto":
        for engine in ENGINES.values():
            if engine.why_not(request) is None:
                return engine
    engine = ENGINES[check_engine(name)]
    reason = engine.why_not(request)
    if reason is not None:
        raise EngineError(f"The engine {name!r} cannot run this call: {reason} Use engine='auto' for one that can.")
    return engine


@dataclass(frozen=True)
class EngineChoice:
    """Which engine runs one part of a call.

    Attributes:
        part: The part, such as ``"layer 0"`` or ``"layer 1, reverse"``.
        engine: The name of the engine that runs it.
        reasons: Every other engine with the reason why not: why it cannot, or what it stands behind.
    """

    part: str
    engine: str
    reasons: dict[str, str]


@dataclass(frozen=True)
class Explanation:
    """Which engines run a call and why not the others; ``print`` it, or read :attr:`choices`."""

    choices: tuple[EngineChoice, ...]

    @property
    def engine(self) -> str:
        """The engine that runs every part, or ``"mixed"``."""
        names = {choice.engine for choice in self.choices}
        return names.pop() if len(names) == 1 else "mixed"

    def __str__(self) -> str:
        lines = []
        for choice in self.choices:
            lines.append(f"{choice.part}: {choice.engine}")
            lines += [f"    not {name}: {reason}" for name, reason in choice.reasons.items()]
        return "\n".join(lines)


def explain_request(part: str, name: str, request: Request) -> EngineChoice:
    """Which engine :func:`select` takes for a request, with the reason against every other one.

    Raises:
        EngineError: As in :func:`select`.
    """
    chosen = select(name, request)
    reasons = {}
    for engine in ENGINES.values():
        if engine is not chosen:
            behind = f"{chosen.name} comes first." if name == "auto" else f"engine={name!r} was asked for."
            reasons[engine.name] = engine.why_not(request) or behind
    return EngineChoice(part, chosen.name, reasons)


__all__ = [
    "ENGINES",
    "Engine",
    "EngineChoice",
    "Explanation",
    "Request",
    "Result",
    "check_engine",
    "explain_request",
    "select",
]
