from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from holdfast.tf1.graph import old_libraries

Program = Callable[..., ModuleType]


def test_a_program_finds_the_names_of_numpy_that_are_gone(program: Program) -> None:
    assert "float" not in np.__dict__
    ran = program("""
        import numpy as np
        a = np.zeros(3, dtype=np.float)
        b = np.ones(2, np.int)
        c = [np.product([2, 3]), np.asscalar(np.array([4])), np.Inf, np.alltrue([True])]
        d = np.array([True], np.bool)
    """)
    assert ran.a.dtype == np.float64
    assert ran.b.dtype == np.int64
    assert ran.c == [6, 4, np.inf, True]
    assert ran.d.dtype == np.bool_


def test_advice_for_what_a_program_misses() -> None:
    missing = ModuleNotFoundError("No module named 'absl'", name="absl.flags")
    assert old_libraries.advice_for(missing) == (
        "TensorFlow installed absl for its programs. Install it: pip install absl-py."
    )
    number = TypeError("only 0-dimensional arrays can be converted to Python scalars")
    assert "take the number out of the array: int(x[0])" in str(old_libraries.advice_for(number))
    for error in (ModuleNotFoundError("No module named 'reader'", name="reader"), TypeError("other"), ValueError("x")):
        assert old_libraries.advice_for(error) is None
