"""Several processes that train together end with the bits of one, whatever their number."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import OptionError
from holdfast.training.processes import ALONE, joined

from . import together


def all_recipes(folder: str) -> None:
    for name in together.SMALL:
        together.train(name, Path(folder) / name, 3)


def test_two_processes_give_the_bits_of_one_in_every_task(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    all_recipes(str(tmp_path / "one"))
    together.run(2, all_recipes, str(tmp_path / "two"))
    for name in together.SMALL:
        together.assert_equal(tmp_path / "one" / name, tmp_path / "two" / name)
