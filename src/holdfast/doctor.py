"""What this installation has and can do, and what makes it slow."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

import torch
from threadpoolctl import threadpool_info

from holdfast.cells import make_spec
from holdfast.engines import ENGINES, Request
from holdfast.errors import EngineError

_native: Any
try:
    from holdfast.runtime import _native
except ImportError as error:  # installed without the kernels
    _native, _MISSING = None, str(error)

# The features that kernels for recurrent networks can use, by torch's names.
_FEATURES = (
    *("avx2", "fma3", "avx512_f", "avx512_bw", "avx512_dq", "avx512_bf16", "avx512_fp16", "amx_bf16"),  # x86
    *("neon", "bf16", "sve", "sve2", "sve_bf16", "sme"),  # ARM
)


@dataclass(frozen=True)
class Diagnosis:
    """The result of :func:`diagnose`; ``print`` it.

    Attributes:
        facts: Values by section and name: texts, numbers, lists of them, or None for nothing.
        problems: What is slow or does not work, with what to do; one or two sentences each.
    """

    facts: dict[str, dict[str, Any]]
    problems: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {**self.facts, "problems": self.problems}

    def __str__(self) -> str:
        lines = []
        for section, entries in self.facts.items():
            width = max(map(len, entries), default=0)
            lines += [section, *(f"  {name:<{width}}  {_text(value)}" for name, value in entries.items())]
        lines += [f"problem: {problem}" for problem in self.problems] or ["no problems found"]
        return "\n".join(lines)


def diagnose() -> Diagnosis:
    """Looks at versions, processor, threads, engines and devices. It trains and measures nothing."""
    problems: list[str] = []
    _check_distributions(problems)
    facts = {
        "versions": {
            "holdfast": version("holdfast"),
            "Python": platform.python_version(),
            "platform": platform.platform(),
        },
        **_libraries(),
        "processor": _processor(),
        "kernels": _kernels(problems),
        "threads": _threads(problems),
        "CUDA": _cuda(),
        "engines": _engines(),
    }
    return Diagnosis(facts, problems)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    return "none" if value is None else str(value)


def _check_distributions(problems: list[str]) -> None:
    """Reports a checkout that was installed beside holdfast-runtime: each file is then there for both of them."""
    try:
        runtime = version("holdfast-runtime")
    except PackageNotFoundError:
        return
    if not any(requirement.startswith("holdfast-runtime") for requirement in requires("holdfast") or []):
        problems.append(
            f"holdfast-runtime {runtime} is installed beside a holdfast {version('holdfast')} that was compiled here "
            "and has the same files. Keep one: pip uninstall holdfast-runtime, then install Holdfast again."
        )


def _libraries() -> dict[str, dict[str, Any]]:
    """The versions of the required libraries, and a section for the libraries of each extra."""
    sections: dict[str, dict[str, Any]] = {}
    for requirement in requires("holdfast") or []:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        extra = re.search(r"""extra == ["'](.+?)["']""", requirement)
        section = sections.setdefault(f"optional libraries: {extra[1]}" if extra else "libraries", {})
        try:
            section[name] = version(name)
        except PackageNotFoundError:
            section[name] = None
    return sections


def _processor() -> dict[str, Any]:
    # Older versions of torch do not have this function.
    known: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return {
        "name": known.get("cpu_name") or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "features": [name for name in _FEATURES if known.get(name)],
        "torch uses": torch.backends.cpu.get_cpu_capability(),
    }


def _kernels(problems: list[str]) -> dict[str, Any]:
    forced = os.environ.get("HOLDFAST_ISA") or None
    if _native is None:
        problems.append(
            f"The native kernels are missing ({_MISSING}), so layers on the CPU run on the slower reference. "
            "Install a C++ compiler with OpenMP, then install Holdfast again, without HOLDFAST_NO_NATIVE."
        )
        return {"instruction sets": [], "chosen": None, "HOLDFAST_ISA": forced}
    here = _native.instruction_sets()
    try:
        chosen = _native.chosen()
    except EngineError as error:  # HOLDFAST_ISA names a set that cannot be used, or none of the compiled ones runs here
        chosen = None
        problems.append(str(error))
    if chosen and chosen != here[0]:
        problems.append(f"HOLDFAST_ISA forces {chosen}, and this processor has {here[0]}. Unset it for full speed.")
    return {"instruction sets": here, "chosen": chosen, "HOLDFAST_ISA": forced}


def _threads(problems: list[str]) -> dict[str, Any]:
    cores = os.cpu_count()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    threads = torch.get_num_threads()
    if usable and threads > usable:
        problems.append(
            f"torch uses {threads} threads, and this process may use {usable} of the cores, so threads wait for one "
            f"another. Set OMP_NUM_THREADS={usable}."
        )
    runtimes = sorted(pool["filepath"] for pool in threadpool_info() if pool["user_api"] == "openmp")
    if len(runtimes) > 1:
        problems.append(
            f"{len(runtimes)} OpenMP runtimes are loaded, and their threads compete for the same cores. "
            "Use one: build Holdfast with a compiler that has torch's runtime (GCC for libgomp, Clang for "
            "libomp), and import torch before other libraries."
        )
    return {
        "torch": threads,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "cores": cores,
        "cores for this process": usable,
        "OpenMP runtimes": runtimes,
    }


def _cuda() -> dict[str, Any]:
    if not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        why = "no device or no driver" if built else f"torch {torch.__version__} is built without it"
        return {"devices": f"none: {why}"}
    cudnn = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None  # type: ignore[no-untyped-call]
    devices = []
    for number in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(number)
        memory = device.total_memory / 2**30
        devices.append(f"{device.name} ({memory:.0f} GiB, compute capability {device.major}.{device.minor})")
    return {"version": torch.version.cuda or torch.version.hip, "cuDNN": cudnn, "devices": devices}


def _engines() -> dict[str, Any]:
    """For each engine, the devices on which it runs a plain layer, or why it runs on none."""
    spec = make_spec("lstm", {"input_size": 1, "hidden_size": 1})
    devices: dict[str, Any] = {}
    for name, engine in ENGINES.items():
        reasons = {}
        for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
            zeros = torch.zeros(1, 1, 1, device=device)
            parameters = {part: zeros.new_zeros(shape) for part, shape in spec.parameter_shapes().items()}
            reasons[device] = engine.why_not(Request(spec, zeros, (zeros[0], zeros[0]), parameters))
        runs = [f"on {device}" for device, reason in reasons.items() if reason is None]
        devices[name] = runs or f"not here: {reasons['cpu']}"
    return devices
