"""Names: no file of the package hides one of TensorFlow's."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.tf1 import graph as tf
from holdfast.tf1.graph import names

FILES = sorted(path.stem for path in Path(tf.__file__).parent.glob("[a-z]*.py"))


@pytest.mark.parametrize("file", FILES)
def test_a_file_hides_no_name(file: str) -> None:
    """``from holdfast.tf1 import graph as tf`` finds ``tf.losses``, so there is no ``losses.py`` beside."""
    assert not any(name == file or name.startswith(f"{file}.") for name in (*names._NAMES, *names._SAME))
