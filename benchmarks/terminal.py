"""Shows results on the terminal: one line per case while others are still running, and a table at the end."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table

from benchmarks import cases
from benchmarks.languages import ENGLISH, Language
from benchmarks.results import Result, sets

WIDTH = 150


def title(case: Result) -> str:
    """Name and shape of a case."""
    return f"{case['name']} ({', '.join(map(str, case['shape']))})"


def line(case: Result, missing: Mapping[str, str]) -> str:
    """A case in one line, with the quartiles of the ratios.

    Args:
        case: The case.
        missing: The peers that are missing in every case, which the line does not name.
    """
    start = f"{title(case)} {case['instruction_set']}"
    if "wrong" in case:
        return f"{start}: WRONG, {case['wrong']}"
    parts = []
    for which, result in case["passes"].items():
        ratios = ", ".join(f"{name} {spread(name, peer)}" for name, peer in result["peers"].items())
        parts.append(f"{which} {time(result['ms'])} ({ratios})")
    parts += [f"without {name}: {reason}" for name, reason in case["skipped"].items() if name not in missing]
    return f"{start}: {'; '.join(parts)}"


def spread(name: str, peer: Result) -> str:
    """A ratio with its quartiles."""
    low, high = peer["quartiles"]
    return f"{figure(name, peer['ratio'])} [{figure(name, low)}, {figure(name, high)}]"


def figure(name: str, ratio: float) -> str:
    """A ratio: how many times as fast as a peer; of the products alone, in percent."""
    return f"{100 * ratio:.0f} %" if name == cases.PRODUCTS else f"{ratio:.2f}"


def time(ms: float) -> str:
    """Milliseconds, seconds or microseconds, with three digits."""
    if ms >= 999.5:
        return f"{ms / 1e3:.3g} s"
    return f"{ms:.3g} ms" if ms >= 0.1 else f"{ms * 1e3:.3g} us"


def table(results: Result) -> Table:
    """Everything that was timed."""
    shown = Table(title=f"Holdfast on {machine(results)}")
    for heading in ("case (B, T, I, H)", "set", "pass", "peer"):
        shown.add_column(heading, no_wrap=True)
    for heading in ("peer", "holdfast", "ratio"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for case in results["cases"]:
        start = title(case), case["instruction_set"]
        for which, result in case["passes"].items():
            for name, peer in result["peers"].items():
                full = f"{name}, {peer['setting']}" if "setting" in peer else name
                shown.add_row(*start, which, full, time(peer["ms"]), time(result["ms"]), figure(name, peer["ratio"]))
            if not result["peers"]:
                shown.add_row(*start, which, "", "", time(result["ms"]))
        for name, mib in case.get("peak_mib", {}).items():
            shown.add_row(*start, "memory", name, f"{mib:.0f} MiB")
    return shown


def machine(results: Result, language: Language = ENGLISH) -> str:
    """Processor, instruction sets, threads."""
    count = results["threads"]
    threads = language.say("{count} thread" if count == 1 else "{count} threads", count=count)
    parts = [results["machine"]["processor"], language.say(" and ").join(sets(results)), threads]
    return language.say(", ").join(filter(None, parts))
