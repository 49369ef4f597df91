"""Targets that are numbers: one for each sequence or text, or one for each step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars
import pytest

from holdfast.data import Examples, read, read_sequences, split
from holdfast.data.settings import NumbersSettings, ReadingSettings
from holdfast.data.targets import Targets
from holdfast.errors import DataError, RecipeError

ROWS = ReadingSettings()
LONG = ReadingSettings(id_column="id")


def text(folder: Path, content: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return path


def refusal(path: Path, settings: ReadingSettings, targets: Targets) -> str:
    with pytest.raises((DataError, RecipeError)) as error:
        read([path], settings, targets=targets)
    return str(error.value).removeprefix(str(path))


@pytest.mark.parametrize("content", ["x,y,label\n1,2,0.5\n3,4,-7\n", "x;y;label\n1;2;0,5\n3;4;-7\n"])
def test_the_label_column_of_a_table_as_numbers(tmp_path: Path, content: str) -> None:
    examples = read([text(tmp_path, content)], ROWS, targets="numbers")
    assert examples.targets == [0.5, -7.0]
    assert examples.labels is None
    assert examples.channels == 1
    assert (read([text(tmp_path, content)], ROWS).labels or [])[1] == "-7"


def test_numbers_of_a_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    polars.DataFrame({"x": [1, 2], "label": [0.1, 1 / 3]}).write_parquet(path)
    assert read([path], ROWS, targets="numbers").targets == [0.1, 1 / 3]


def test_one_number_for_the_rows_of_an_id(tmp_path: Path) -> None:
    path = text(tmp_path, "id,x,label\na,1,2.5\nb,2,4\na,3,2.50\n")
    examples = read([path], LONG, targets="numbers")
    assert (examples.targets, examples.lengths.tolist()) == ([2.5, 4.0], [2, 1])
    assert refusal(text(tmp_path, "id,x,label\na,1,2\na,3,5\n"), LONG, "numbers") == (
        "[id=a] has the targets 2.0, 5.0; expected one in all of its rows."
    )


def test_a_number_for_each_step(tmp_path: Path) -> None:
    settings = LONG.model_copy(update={"time_column": "t"})
    path = text(tmp_path, "id,t,x,label\na,2,1,2.5\nb,1,2,4\na,1,3,7\n")
    examples = read([path], settings, targets="steps")
    assert [target.tolist() for target in examples.targets or []] == [[7.0, 2.5], [4.0]]
    assert [target.tolist() for target in examples.subset([1]).targets or []] == [[4.0]]
    assert len(Examples.join([examples, examples]).targets or []) == 4


def test_a_table_without_ids_is_one_sequence_where_a_row_is_a_step(tmp_path: Path) -> None:
    path = text(tmp_path, "t,x,label\n2,5,2.5\n1,6,\n3,7,4\n")
    settings = ReadingSettings(time_column="t")
    for targets in ("steps", "detect"):
        examples = read([path], settings, targets=targets)
        assert (examples.origins, examples.lengths.tolist(), examples.per_step) == ([str(path)], [3], True)
        np.testing.assert_equal((examples.targets or [])[0], [np.nan, 2.5, 4])
    assert read([path], ReadingSettings(feature_columns=["x"]), targets="steps").inputs[0].tolist() == [[5], [6], [7]]
    assert refusal(path, settings, "numbers").startswith("data.time_column needs data.id_column")


def test_several_targets(tmp_path: Path) -> None:
    columns = NumbersSettings(target_columns=["y", "z"])
    path = text(tmp_path, "a,b,z,y\n1,2,3,4\n5,6,7,8\n")
    examples = read([path], columns, targets="detect")
    assert ([t.tolist() for t in examples.targets or []], examples.lengths.tolist()) == ([[4, 3], [8, 7]], [2, 2])
    long = columns.model_copy(update={"id_column": "id"})
    examples = read([text(tmp_path, "id,a,z,y\nq,2,3,4\nq,6,,8\n")], long, targets="detect")
    np.testing.assert_equal((examples.targets or [])[0], [[4, 3], [8, np.nan]])
    assert refusal(text(tmp_path, "id,a,z,y\nq,2,3,4\nq,6,3,8\n"), long, "numbers") == (
        "[id=q] has the targets [4.0, 3.0], [8.0, 3.0]; expected one in all of its rows."
    )
    assert refusal(text(tmp_path, "a,z\n1,2\n"), columns, "numbers").startswith(
        " has no column 'y' (data.target_columns);"
    )
    assert read([text(tmp_path, "a,b\n1,2\n")], columns, targets="numbers").targets is None
    assert refusal(text(tmp_path, "a,b,z,y\n1,2,,4\n"), columns, "detect").startswith(
        ", line 2: the column 'z' is empty; expected a number."
    )


@pytest.mark.parametrize(
    ("shape", "target"),
    [((2,), ()), ((2, 1), ()), ((2, 4), (4,)), ((2, 3), (3,)), ((2, 3, 1), (3,)), ((2, 3, 2), (3, 2))],
)
def test_arrays_show_what_has_the_targets(tmp_path: Path, shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, inputs=np.zeros((2, 3, 1)), y=np.ones(shape))
    examples = read([path], ROWS, targets="detect")
    assert examples.per_step == (shape[1:2] == (3,))
    assert [np.shape(each) for each in examples.targets or []] == [target] * 2


def test_files_agree_on_what_has_the_targets(tmp_path: Path) -> None:
    steps, whole = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(steps, inputs=np.zeros((2, 3, 1)), y=np.ones((2, 3)))
    np.savez(whole, inputs=np.zeros((2, 3, 1)), y=np.ones(2))
    with pytest.raises(DataError) as error:
        read([steps, whole], ROWS, targets="detect")
    assert str(error.value) == (
        f"{steps}[0] has targets for each step, and {whole}[0] has them for the whole sequence; expected one kind in "
        'all files. Set data.per = "step" or "sequence".'
    )


def test_arrays_with_numbers(tmp_path: Path) -> None:
    inputs, path = np.zeros((2, 3, 1)), tmp_path / "a.npz"
    np.savez(path, inputs=inputs, y=[[0.5], [2.0]])
    assert read([path], ROWS, targets="numbers").targets == [0.5, 2.0]
    np.savez(path, inputs=inputs, y=[[1, 2, 3], [4, 5, np.nan]], lengths=[3, 2])
    steps = read([path], ROWS, targets="steps").targets or []
    assert [target.tolist() for target in steps] == [[1, 2, 3], [4, 5]]
    assert refusal(path, ROWS, "numbers") == (
        "[1] has a target that is not a finite number. Correct it or leave the sequence out."
    )
    np.savez(path, inputs=inputs, y=["a", "b"])
    assert refusal(path, ROWS, "numbers") == (
        ": labels has shape (2,) and type <U1; expected numbers of shape (2,), or (2, K) for K targets."
    )
    np.savez(path, inputs=inputs, y=np.zeros((3, 3)))
    assert refusal(path, ROWS, "steps") == (
        ": labels has shape (3, 3) and type float64; expected numbers of shape (2, 3), or (2, 3, K) for K targets."
    )
    np.savez(path, inputs=inputs, y=[1, np.inf])
    assert refusal(path, ROWS, "numbers") == (
        "[1] has a target that is not a finite number. Correct it or leave the sequence out."
    )


def test_arrays_in_files_of_their_own(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.zeros((2, 3)))
    np.save(tmp_path / "y.npy", np.array([0.25, 4]))
    assert read([tmp_path / "X.npy", tmp_path / "y.npy"], ROWS, targets="numbers").targets == [0.25, 4.0]


def test_a_ts_file_for_regression(tmp_path: Path) -> None:
    path = text(tmp_path, "@targetLabel true\n@data\n1,2:0.5\n3,4:-1e2\n", "a.ts")
    assert read([path], ROWS, targets="numbers").targets == [0.5, -100.0]
    assert refusal(path, ROWS, "steps") == (
        "[0] has one target; expected a number for each step. Give a table with one row per step, or arrays with "
        "targets [N, T]."
    )
    assert refusal(text(tmp_path, "@targetLabel true\n@data\n1,2:nan\n", "a.ts"), ROWS, "numbers") == (
        "[0] has the target 'nan'; expected a finite number. Correct it."
    )


def test_texts_with_numbers(tmp_path: Path) -> None:
    settings = ReadingSettings(unit="words")
    table = text(tmp_path, "text,label\ngood,4.5\nbad,1\n")
    texts = read_sequences([table], settings, targets="numbers")
    assert (texts.targets, texts.labels) == ([4.5, 1.0], None)
    folder = text(tmp_path, "good\nvery good\n", "stars/5.txt").parent
    assert read_sequences([folder], settings, targets="numbers").targets == [5.0, 5.0]


def test_a_target_for_each_step_has_the_steps_of_its_sequence() -> None:
    with pytest.raises(DataError) as error:
        Examples(np.zeros((1, 3, 1)), [np.zeros(2)], ["p"], per_step=True)
    assert str(error.value) == "p has targets of shape (2,); expected one for each of its 3 steps."
    gaps = Examples(np.zeros((1, 2, 1)), [np.array([1, np.nan])], ["p"], per_step=True)
    assert gaps.targets is not None
    with pytest.raises(DataError) as error:
        Examples(np.zeros((2, 3, 1)), [np.zeros(2), np.zeros(3)], ["p", "q"])
    assert str(error.value) == (
        "q has targets of shape (3,), and p has targets of shape (2,); expected the same number of values in all."
    )


def test_a_split_keeps_no_shares_of_numbers() -> None:
    examples = Examples(np.zeros((10, 2, 1)), [0.5] * 9 + [7.0], [str(k) for k in range(10)])
    kept, held = split(examples, 0.2, 0)
    assert (len(kept), len(held)) == (8, 2)
    assert sorted([*(kept.targets or []), *(held.targets or [])]) == [0.5] * 9 + [7.0]
