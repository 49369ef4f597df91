"""Tables to begin with on a page that asks a server: a model forecasts from them as from the whole series."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tasks import untrained

from holdfast.predictor import Predictor
from holdfast.tasks.served_parts import TableInput

pytest.importorskip("polars", reason="needs polars: pip install 'holdfast[tables]'")

ROWS, WINDOW, AHEAD = 60, 6, 3
RECIPE = f"""
name = "x"
task = "forecast"
[data]
train = ["sales.csv"]
validation = 0.0
window = {WINDOW}
horizon = {AHEAD}
season = 7
time_column = "day"
time_format = "%d.%m.%Y"
target_columns = ["sold"]
past_columns = ["rain"]
known_columns = ["price"]
[model]
hidden_size = 4
"""


def columns() -> dict[str, list[Any]]:
    random = np.random.default_rng(0)
    days = [(date(2024, 1, 1) + timedelta(k)).strftime("%d.%m.%Y") for k in range(ROWS)]
    numbers = {name: [round(float(x), 3) for x in random.normal(9, 2, ROWS)] for name in ("sold", "rain", "price")}
    return {"day": days, **numbers}


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("sales")
    table = columns()
    lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    (folder / "sales.csv").write_text("\n".join(lines), "utf-8")
    return Predictor(untrained.write("sales", folder, RECIPE))


def input_of(predictor: Predictor, examples: Any = None) -> TableInput:
    found = predictor.task.interface(examples, alone=False).input
    assert isinstance(found, TableInput)
    assert (found.targets, found.window, found.ahead) == (("sold",), WINDOW, AHEAD)
    assert (found.time_column, found.id_column) == ("day", "")
    return found


def test_without_examples_a_sine_in_the_form_of_the_files(predictor: Predictor) -> None:
    (table,) = input_of(predictor).tables
    assert table.actual is None
    assert table.columns["day"][:2] == ["01.01.2000", "02.01.2000"]
    assert len(table.columns["price"]) == 7 + AHEAD  # a season, and what is known ahead
    assert table.columns["sold"][7:] == table.columns["rain"][7:] == [None] * AHEAD
    assert len(set(table.columns["sold"][:7])) > 3
    (answer,) = predictor.predict_values(table.columns)
    assert answer["times"] == ["08.01.2000", "09.01.2000", "10.01.2000"]


def test_a_window_is_forecast_as_the_series_up_to_it(predictor: Predictor, tmp_path: Path) -> None:
    whole = columns()
    tables = input_of(predictor, predictor.task.from_values(whole)).tables
    assert len(tables) > 3
    for table in tables:
        now = whole["day"].index(table.columns["day"][0]) + len(table.columns["day"]) - AHEAD
        assert table.name == f"up to {whole['day'][now - 1]}"
        ahead: list[Any] = [None] * AHEAD
        known = {"day": whole["day"][: now + AHEAD], "price": whole["price"][: now + AHEAD]}
        before = {name: whole[name][:now] + ahead for name in ("sold", "rain")}
        (expected,) = predictor.predict_values({**known, **before})
        (answer,) = predictor.predict_values(table.columns)
        assert (answer["times"], answer["values"]) == (expected["times"], expected["values"])
        assert table.actual == [[value] for value in whole["sold"][now : now + AHEAD]]
