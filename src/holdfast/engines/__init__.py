"""Which engine computes a layer, and why not another: the table, the choice and the explanation."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from holdfast.cells import CellSpec
from holdfast.engines.cudnn import CudnnEngine
from holdfast.engines.native import NativeEngine
from holdfast.engines.native_cell import NativeCell
from holdfast.engines.operator import RecordableEngine
from holdfast.engines.recorded import RecordedEngine
from holdfast.engines.reference import ReferenceEngine
from holdfast.engines.request import Engine, Request, Result
from holdfast.errors import EngineError, OptionError, did_you_mean

ENGINES: dict[str, Engine] = {
    engine.name: engine for engine in (RecordedEngine(), RecordableEngine(), CudnnEngine(), ReferenceEngine())
}
"""The engines by name, in the order in which ``engine="auto"`` tries them.

First the engine for calls that are recorded to run elsewhere, then the fastest on each device, and last the reference,
which can run everything.
"""


def check_engine(name: str) -> str:
    """Returns the name, if it is ``"auto"`` or the name of an engine.

    Raises:
        OptionError: There is no such engine.
    """
    if name != "auto" and name not in ENGINES:
        raise OptionError(f"There is no engine {name!r}: {did_you_mean(name, ['auto', *ENGINES])}")
    return name


def switched_off(setting: str) -> frozenset[str]:
    """The engines that ``engine="auto"`` does not use, by the environment variable ``HOLDFAST_ENGINES``.

    Args:
        setting: Names of engines, separated by commas: ``"-native,-cudnn"`` for all but these, ``"native,reference"``
            for these alone.

    Raises:
        OptionError: There is no such engine.

    Example:
        >>> sorted(switched_off("-native")), sorted(switched_off("reference"))
        (['native'], ['cudnn', 'native', 'recorded'])
    """
    names = [name.strip() for name in setting.split(",") if name.strip()]
    for name in names:
        if name.removeprefix("-") not in ENGINES:
            hint = did_you_mean(name.removeprefix("-"), ENGINES)
            raise OptionError(f"The environment variable HOLDFAST_ENGINES is {setting!r} and has {name!r}: {hint}")
    only = {name for name in names if not name.startswith("-")}
    off = {name.removeprefix("-") for name in names if name.startswith("-")}
    return frozenset(off | (ENGINES.keys() - only if only else set()))


_SWITCHED_OFF = switched_off(os.environ.get("HOLDFAST_ENGINES", ""))
_OFF = "the environment variable HOLDFAST_ENGINES switches it off for engine='auto'."


def select(name: str, request: Request) -> Engine:
    """The engine of that name, or for ``"auto"`` the first in the table that can run the request.

    Raises:
        EngineError: The engine cannot run the request, and the message gives the reason; or ``HOLDFAST_ENGINES``
            switches off every engine that can.
    """
    if name == "auto":
        for engine in ENGINES.values():
            if engine.why_not(request) is None and not (_SWITCHED_OFF and engine.name in _SWITCHED_OFF):
                return engine
        reasons = [f"{engine.name}: {_why_not_auto(engine, request)}" for engine in ENGINES.values()]
        raise EngineError(f"No engine can run this call. {' '.join(reasons)} Change HOLDFAST_ENGINES.")
    engine = ENGINES[check_engine(name)]
    reason = engine.why_not(request)
    if reason is not None:
        raise EngineError(f"The engine {name!r} cannot run this call: {reason} Use engine='auto' for one that can.")
    return engine


def select_cell(name: str, spec: CellSpec, dtype: torch.dtype, reverse: bool = False) -> NativeCell | None:
    """The kernels of a cell; None if ``name`` is another engine's, or ``"auto"`` while the native engine is off.

    They are for plain calls on the CPU without autocast: with these, :func:`select` takes the native engine too.
    """
    engine = select_native(name)
    return None if engine is None else engine.cell(spec, dtype, reverse)


def select_native(name: str) -> NativeEngine | None:
    """The native engine; None if ``name`` is another engine's, or ``"auto"`` while the native engine is off."""
    engine = ENGINES.get("native")
    if name not in ("auto", "native") or (name == "auto" and "native" in _SWITCHED_OFF):
        return None
    return engine if isinstance(engine, NativeEngine) else None


def _why_not_auto(engine: Engine, request: Request) -> str | None:
    return _OFF if engine.name in _SWITCHED_OFF else engine.why_not(request)


@dataclass(frozen=True)
class EngineChoice:
    """Which engine runs one part of a call.

    Attributes:
        part: The part, such as ``"layer 0"`` or ``"layer 1, reverse"``.
        engine: The name of the engine that runs it.
        reasons: For every other engine, why it does not run the part: why it cannot, or which engine comes first.
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
    """Which engine :func:`select` takes for a request, with the reason against every other engine.

    Args:
        part: What the request is a part of, such as ``"layer 0"``.
        name: The name of an engine, or ``"auto"``.
        request: The request.

    Raises:
        EngineError: As in :func:`select`.
    """
    chosen = select(name, request)
    reasons = {}
    for engine in ENGINES.values():
        if engine is chosen:
            continue
        if name == "auto":
            reasons[engine.name] = _why_not_auto(engine, request) or f"{chosen.name} comes first."
        else:
            reasons[engine.name] = engine.why_not(request) or f"engine={name!r} was asked for."
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
    "switched_off",
]
