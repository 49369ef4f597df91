"""The instruction sets that are measured: the best of this processor and, if that is an AVX-512, AVX2 too."""

from __future__ import annotations

try:
    from holdfast.runtime import _native
except ImportError:  # installed without its kernels
    _native = None  # type: ignore[assignment]


def current() -> str:
    """The instruction set of this process; empty without kernels."""
    return _native.chosen() if _native else ""


def wanted() -> list[str]:
    """The instruction sets to measure on this machine, the current one first."""
    return [current(), "avx2"] if current().startswith("avx512") else [current()]


def limited() -> bool:
    """Whether this process uses a lesser instruction set than the best of the processor."""
    return bool(_native) and current() != _native.instruction_sets()[0]


def environment(name: str) -> dict[str, str]:
    """The variables that limit a new process to an instruction set: Holdfast, oneDNN, MKL and torch's own kernels.

    onnxruntime has no such variable: it always uses the best set of the processor. OpenVINO and Keras are not limited.
    """
    upper = name.upper()
    return {
        "HOLDFAST_ISA": name,
        "ONEDNN_MAX_CPU_ISA": upper,
        "MKL_ENABLE_INSTRUCTIONS": upper,
        "ATEN_CPU_CAPABILITY": name,
    }
