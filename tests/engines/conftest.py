"""The fixtures of the tests of the native engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.engines import ENGINES
from holdfast.engines.native import NativeEngine
from verification import filled_with_nan

try:
    from holdfast.runtime import _native
except ImportError:  # installed without it: the tests of the kernels are skipped
    ISAS = []
else:  # these share their kernels for float32 and float64 with another set; test_bfloat16.py has all sets
    ISAS = [isa for isa in _native.instruction_sets() if isa not in ("avx512_amx", "avx512_bf16")]


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each instruction set in turn, as the engine ``"native"``."""
    monkeypatch.setitem(ENGINES, "native", NativeEngine(request.param))
    return str(request.param)


@pytest.fixture
def each_isa() -> dict[str, NativeEngine]:
    """An engine for each instruction set, to be compared with one computation by the reference."""
    return {isa: NativeEngine(isa) for isa in ISAS}


@pytest.fixture
def nan_filled() -> Iterator[None]:
    """Every allocation of the test holds NaN."""
    with filled_with_nan():
        yield
