from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

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


def test_a_program_finds_what_python_had(program: Program) -> None:
    ran = program("""
        import collections, time
        from collections import Iterable, Mapping
        from fractions import gcd
        start = time.clock()
        found = [isinstance([], Iterable), isinstance({}, collections.Mapping), gcd(12, 18), time.clock() >= start]
        count = collections.Counter("aab")["a"]
    """)
    assert ran.found == [True, True, 6, True]
    assert ran.count == 2


def test_rows_of_unequal_lengths_are_an_array_of_objects(program: Program) -> None:
    with pytest.raises(ValueError, match="inhomogeneous"):
        np.array([[1, 2], [3]])
    ran = program("""
        import numpy as np
        lists = np.array([[1, 2], [3]])
        arrays = np.asarray([np.ones([2, 3]), np.zeros([4, 3])])
        equal = np.array([[1, 2], [3, 4]])
        import tensorflow as tf
        for give in (lambda: np.array([[1, 2], [3]], np.float32), lambda: np.array([[1, 2], [3]], dtype=int)):
            try:
                give()
                raise AssertionError("rows of unequal lengths have no numbers")
            except ValueError:
                pass
    """)
    assert ran.lists.dtype == ran.arrays.dtype == object
    assert ran.lists[1] == [3]
    assert [each.shape for each in ran.arrays] == [(2, 3), (4, 3)]
    assert ran.equal.dtype == np.int64


def test_rows_of_unequal_lengths_cannot_be_fed(program: Program) -> None:
    ran = program("""
        import numpy as np
        import tensorflow as tf
        x = tf.placeholder(tf.float32, [None, None])
        session = tf.Session()
        messages = []
        for use in (
            lambda: session.run(x, {x: [[1, 2], [3]]}), lambda: session.run(x, {x: np.array([[1, 2], [3]])}),
            lambda: tf.constant([[1, 2], [3]]),
        ):
            try:
                use()
            except TypeError as error:
                messages.append(str(error))
    """)
    assert len(ran.messages) == 3
    for message in ran.messages:
        assert message.endswith("is not one array; expected rows of equal length. Pad the shorter rows.")


def test_modules_of_scikit_learn_that_have_another_name_today(program: Program) -> None:
    ran = program("""
        from sklearn.cross_validation import train_test_split
        from sklearn.externals import joblib
        import sklearn.grid_search as search
        one, other = train_test_split(list(range(10)), test_size=0.3, random_state=1)
        parts = sorted(one + other), len(other), joblib.dump.__name__, search.GridSearchCV.__name__
    """)
    assert ran.parts == (list(range(10)), 3, "dump", "GridSearchCV")
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        program("import sklearn.nowhere")


def test_methods_of_pandas_that_have_another_name_today(program: Program) -> None:
    # a library of that name, as pandas itself is not needed for the tests
    ran = program("""
        import sys, pathlib
        text = "class DataFrame:\\n to_numpy = lambda self: 1\\nclass Series(DataFrame):\\n as_matrix = lambda self: 2"
        pathlib.Path("pandas.py").write_text(text)
        sys.modules.pop("pandas", None)
        sys.path.insert(0, ".")
        import pandas as pd
        values = pd.DataFrame().as_matrix(), pd.Series().as_matrix()
        del sys.modules["pandas"]
    """)
    assert ran.values == (1, 2)


def test_advice_for_what_a_program_misses() -> None:
    missing = ModuleNotFoundError("No module named 'absl'", name="absl.flags")
    assert old_libraries.advice_for(missing) == (
        "TensorFlow installed absl for its programs. Install it: pip install absl-py."
    )
    number = TypeError("only 0-dimensional arrays can be converted to Python scalars")
    assert "take the number out of the array: int(x[0])" in str(old_libraries.advice_for(number))
    for error in (ModuleNotFoundError("No module named 'reader'", name="reader"), TypeError("other"), ValueError("x")):
        assert old_libraries.advice_for(error) is None
