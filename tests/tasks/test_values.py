"""Examples from values in memory are answered as the same examples in files are, and what does not fit is one error."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
import torch
from tests.tasks import untrained

from holdfast.errors import DataError, MissingLibraryError
from holdfast.predictor import Predictor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def model(name: str, folder: Path) -> Predictor:
    return Predictor(untrained.write(name, folder))


def compare(predictor: Predictor, values: Any, path: Path, content: str) -> list[dict[str, Any]]:
    """The answers for values, which must be those for a file."""
    path.write_text(content, "utf-8")
    from_file = list(predictor.predict([path]))
    answers = list(predictor.predict_values(values))
    assert answers
    assert [{**one, "origin": ""} for one in answers] == [{**one, "origin": ""} for one in from_file]
    return answers


def error(predictor: Predictor, values: Any) -> str:
    with pytest.raises(DataError) as caught:
        list(predictor.predict_values(values))
    return str(caught.value)


def test_sequences_of_numbers(folder: Path) -> None:
    predictor = model("numbers", folder)
    content = "text,label\n1,yes\n2.5,no\n"
    for values in (
        [[1.0], [2.5]],
        [[[1.0]], [[2.5]]],
        np.array([[[1.0]], [[2.5]]]),
        [np.array([1.0]), torch.tensor([[2.5]])],
    ):
        answers = compare(predictor, values, folder / "numbers.csv", content)
    assert [answer["origin"] for answer in answers] == ["values[0]", "values[1]"]
    lengths = [[0.5, 1.5, 2.5], [4.0]]
    assert [len(one["probabilities"]) for one in predictor.predict_values(lengths)] == [2, 2]
    shape = "[T, 1] or [T], a value per step"
    assert error(predictor, [1.0, 2.5]) == (
        f"values[0] has shape (); expected {shape}. Give a list of sequences, also for one."
    )
    assert error(predictor, "1, 2") == f"The values are of type str; expected a list of sequences {shape}."
    assert (
        error(predictor, [["a"]])
        == f"values[0] holds values of type <U1; expected a sequence {shape}, all real numbers."
    )
    assert error(predictor, [[[1.0], [2.0, 3.0]]]).startswith("values[0] is no array (")
    assert error(predictor, [[1.0, np.nan]]).startswith("values[0] holds nan at step 1, channel 0 (from 0); expected a")
    for number in (np.array(3.0), torch.tensor(3.0)):
        assert error(predictor, number).startswith("The values are one number, ")
    masked = np.ma.masked_array([1.0, 2.0], [False, True])
    assert error(predictor, [masked]).startswith("values[0] holds nan at step 1, channel 0 (from 0); expected a")


def test_texts(folder: Path) -> None:
    predictor = model("texts", folder)
    compare(predictor, ["1", "4 1"], folder / "texts.csv", "text,label\n1,yes\n4 1,no\n")
    assert error(predictor, "1") == "The values are of type str; expected a list of texts."
    assert error(predictor, ["1", 4]) == "values[1] is of type int; expected a text (str)."
    assert error(predictor, ["1", "\ud800"]) == (
        "The text '\\ud800' holds half a surrogate pair, which is no character; expected Unicode text. Decode it with "
        "the encoding it was written in."
    )


def test_words_and_sums(folder: Path) -> None:
    predictor = model("tag", folder)
    compare(predictor, [["the", "boat"], ("row",)], folder / "words.txt", "the boat\nrow\n")
    (answer,) = predictor.predict_values([[""]])
    assert answer["words"] == [""]
    assert error(predictor, ["the boat"]) == "values[0] is a text; expected a list of words. Cut it: text.split()."
    assert error(predictor, [["the"], 3]) == "values[1] is of type int; expected a list of words (str)."
    adder = model("sums", folder)
    compare(adder, np.array([[3, 4], [100, 1]]), folder / "sums.txt", "3 4\n100 + 1\n")
    expected = "expected two whole numbers of 0 or more, such as (13, 29)."
    assert error(adder, [(3, 4), (1, 2, 3)]) == f"values[1] is (1, 2, 3); {expected}"
    assert error(adder, [(3, -4)]) == f"values[0] is (3, -4); {expected}"
    assert error(adder, [(3.0, 4.0)]) == f"values[0] is (3.0, 4.0); {expected}"


def test_prompts_and_sources(folder: Path) -> None:
    generator = model("generate", folder)
    lines = ["row, ", "gently"]
    from_lines = [{**answer, "origin": ""} for answer in generator.predict_lines(lines)]
    assert [{**answer, "origin": ""} for answer in generator.predict_values(lines)] == from_lines
    assert error(generator, [b"row"]) == "values[0] is of type bytes; expected a text (str)."
    translator = model("translate", folder)
    compare(translator, ["one  two", "four"], folder / "sources.txt", "one two\nfour\n")


def test_series(folder: Path) -> None:
    predictor = model("forecast", folder)
    content = untrained.FILES["series.csv"]
    frame = polars.read_csv(content.encode())
    columns = frame.to_dict(as_series=False)
    (answer,) = compare(predictor, columns, folder / "further.csv", content)
    assert answer["origin"] == "values"
    rows = [dict(zip(columns, row, strict=True)) for row in frame.rows()]
    for values in (rows, frame.to_dict(as_series=True), {**columns, "value": np.array(columns["value"])}):
        assert list(predictor.predict_values(values)) == [answer]
    times = np.array(columns["time"], dtype="datetime64[D]")
    assert list(predictor.predict_values({**columns, "time": times})) == [answer]
    tensor = torch.tensor(columns["value"], dtype=torch.float64, requires_grad=True)
    assert list(predictor.predict_values({**columns, "value": tensor})) == [answer]
    assert error(predictor, {**columns, "value": tensor.to("meta")}).startswith("values is no table (")
    masked = np.ma.masked_array(columns["value"], [True] + [False] * (len(columns["value"]) - 1))
    assert error(predictor, {**columns, "value": masked}).startswith("values[0]: the column 'value' is empty;")
    assert error(predictor, [{"time": ["a"], "value": [[1.0], [1.0, 2.0]]}]).startswith("values[0] is no table (")
    assert len(list(predictor.predict_values({**columns, "value": [10**30] * len(times)}))) == 1
    both = list(predictor.predict_values([columns, columns]))
    assert [one["origin"] for one in both] == ["values[0]", "values[1]"]
    for one in both:  # torch's linear layer may round a row otherwise in a batch of two
        assert one["values"]["value"] == pytest.approx(answer["values"]["value"], rel=1e-6)
    assert error(predictor, columns["value"]) == (
        "The values have no names; expected a mapping of columns, since the model reads times from the column 'time': "
        "{'time': [...], 'value': [...]}."
    )
    assert error(predictor, [*rows, {"time": "2030-01-01"}]) == (
        "values[60] does not have the columns of values[0]: time, value."
    )
    assert error(predictor, {**columns, "time": columns["time"][:3]}).startswith("values is no table (")
    assert error(predictor, {"time": columns["time"]}) == (
        "values has no column 'value' (data.target_columns); known are time."
    )
    assert error(predictor, []) == "The values are empty; expected a mapping of columns, or at least one row."
    late = {"time": columns["time"][::-1], "value": columns["value"]}
    assert error(predictor, late).startswith(
        "values[1]: the time 1994-11-01 comes after 1994-12-01; expected ascending"
    )


def test_rows_of_numbers_where_the_model_reads_no_times(folder: Path) -> None:
    recipe = untrained.SMALL["forecast"].replace(
        'calendar = ["month"]\ntime_column = "time"', 'target_columns = ["value"]'
    )
    (folder / "plain").mkdir()
    predictor = Predictor(untrained.write("plain", folder / "plain", recipe))
    numbers = [float(k % 7) for k in range(60)]
    content = "value\n" + "".join(f"{number}\n" for number in numbers)
    for values in (numbers, [[number] for number in numbers], np.array(numbers), {"value": numbers}):
        compare(predictor, values, folder / "numbers.csv", content)
    assert error(predictor, [[1.0, 2.0]] * 9) == "The values have shape (9, 2); expected rows of 1 numbers: value."
    assert error(predictor, 3) == (
        "The values are of type int; expected a mapping of columns, a list of rows, or a list of such mappings."
    )


def test_series_without_the_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = model("forecast", folder)
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingLibraryError) as caught:
        predictor.predict_values({"time": ["2000-01-01"], "value": [1.0]})
    assert str(caught.value) == (
        "A series needs the library polars, which is not installed: pip install 'holdfast[tables]'."
    )


def test_frames_of_many_series(folder: Path) -> None:
    predictor = model("panel", folder)
    content = untrained.FILES["panel.csv"]
    frame = polars.read_csv(io.StringIO(content))
    pytest.importorskip("narwhals")
    answers = compare(predictor, frame, folder / "other.csv", content)
    assert [answer["id"] for answer in answers] == ["a", "b"]
    compare(predictor, frame.to_dict(), folder / "other.csv", content)
    compare(predictor, frame.to_dicts(), folder / "other.csv", content)
    assert error(predictor, [[1.0], [2.0]]) == (
        "The values have no names; expected a mapping of columns, since the model reads ids from the column "
        "'unique_id': {'unique_id': [...], 'y': [...]}."
    )
