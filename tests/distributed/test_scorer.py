"""The scorer gives what ``predict`` gives, in every form of batch; in a worker's process it is loaded by its path."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import torch

from holdfast import TextClassifier
from holdfast.distributed import Scorer, loaded
from holdfast.errors import DataError, ModelFileError
from holdfast.predictor import Predictor
from rising import write_rising
from tasks import untrained

ROWS = 1024
STEPS = [f"s{k}" for k in range(6)]
ANSWERS = ["label", "probability_down", "probability_up"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rising(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "rows.parquet"
    values = np.random.default_rng(1).normal(size=(ROWS, 6))
    frame = polars.DataFrame({"user": np.arange(ROWS), **{name: values[:, k] for k, name in enumerate(STEPS)}})
    frame.write_parquet(path, row_group_size=256)
    return path


@pytest.fixture(scope="module")
def expected(model: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> pandas.DataFrame:
    """The answers of ``predict`` for the steps."""
    path = tmp_path_factory.mktemp("steps") / "steps.parquet"
    polars.read_parquet(table).drop("user").write_parquet(path)
    answers = list(Predictor(model).predict([path]))
    labels = [answer["label"] for answer in answers]
    numbers = {f"probability_{k}": [answer["probabilities"][k] for answer in answers] for k in ("down", "up")}
    return pandas.DataFrame({"label": labels, **numbers})


def test_pandas(model: Path, table: Path, expected: pandas.DataFrame) -> None:
    frame = pandas.read_parquet(table)
    frame.index = frame.index + 7
    scorer = Scorer(model, keep=["user"])
    found = scorer(frame)
    assert list(found.columns) == ["user", *ANSWERS]
    assert (found.index == frame.index).all()
    pandas.testing.assert_frame_equal(found[ANSWERS].reset_index(drop=True), expected, check_exact=True)
    meta = scorer.meta(frame.iloc[:0])
    assert not len(meta)
    assert (meta.dtypes == found.dtypes).all()
    pandas.testing.assert_frame_equal(scorer(frame.iloc[:0]), meta, check_index_type=False)


def test_pyarrow_polars_and_arrays(model: Path, table: Path, expected: pandas.DataFrame) -> None:
    frame = polars.read_parquet(table)
    scorer = Scorer(model, keep=["user"])
    arrow = pyarrow.table(frame.to_dict(as_series=False))
    found = scorer(arrow)
    assert found.schema.names == ["user", *ANSWERS]
    assert found.select(ANSWERS).to_pydict() == expected.to_dict("list")
    assert scorer(arrow[:0]).schema == found.schema
    batch = scorer(arrow.to_batches()[0])
    assert isinstance(batch, pyarrow.RecordBatch)
    assert batch.schema == found.schema
    assert scorer(frame).select(ANSWERS).to_dict(as_series=False) == expected.to_dict("list")
    arrays = {name: frame[name].to_numpy() for name in frame.columns}
    answered = scorer(arrays)
    assert answered["user"] is arrays["user"]
    assert answered["label"].tolist() == expected["label"].tolist()
    assert np.array_equal(answered["probability_up"], expected["probability_up"].to_numpy())
    assert scorer({name: values[:0] for name, values in arrays.items()})["probability_up"].shape == (0,)
    assert list(Scorer(model, keep=False)(frame.drop("user")).columns) == ANSWERS


def test_a_column_of_sequences(model: Path, table: Path, expected: pandas.DataFrame) -> None:
    values = polars.read_parquet(table).select(STEPS).to_numpy()
    scorer = Scorer(model, column="x")
    numpy_batch = scorer({"x": values[:, :, None], "user": np.arange(ROWS)})
    assert numpy_batch["x"].shape == (ROWS, 6, 1)
    assert np.array_equal(numpy_batch["probability_up"], expected["probability_up"].to_numpy())
    lists = pandas.DataFrame({"x": list(values)})
    assert (scorer(lists)["probability_up"].to_numpy() == expected["probability_up"].to_numpy()).all()
    arrow = pyarrow.table({"x": values[:, :, None].tolist()})
    assert scorer(arrow)["probability_up"].to_pylist() == expected["probability_up"].tolist()
    with pytest.raises(DataError, match=r"The column 'x' is an array of shape \(1024, 6\); name it as the column"):
        Scorer(model)({"x": values})
    with pytest.raises(DataError, match="The batch has no column 'y'"):
        Scorer(model, column="y")(lists)


def test_spark_gives_and_takes_iterators(model: Path, table: Path, expected: pandas.DataFrame) -> None:
    frame = pandas.read_parquet(table)
    scorer = Scorer(model, keep=["user"])
    schema = scorer.spark_schema("user long")
    assert schema == "user long, `label` string, `probability_down` double, `probability_up` double"

    def partition() -> Iterator[pandas.DataFrame]:
        yield from (frame.iloc[:512], frame.iloc[512:512], frame.iloc[512:])

    parts = list(scorer.frames(partition()))
    assert [len(part) for part in parts] == [512, 0, 512]
    whole = pandas.concat(parts)
    pandas.testing.assert_frame_equal(whole[ANSWERS].reset_index(drop=True), expected, check_exact=True)
    batches = pyarrow.Table.from_pandas(frame).to_batches(max_chunksize=256)
    answered = pyarrow.Table.from_batches(list(scorer.frames(iter(batches))))
    assert answered.select(ANSWERS).to_pydict() == expected.to_dict("list")


def test_what_is_sent_to_a_worker(model: Path, table: Path, tmp_path: Path) -> None:
    sent = pickle.dumps(Scorer(model))
    assert len(sent) < 600
    assert len(pickle.dumps(Scorer(model, carry_model=True))) > model.stat().st_size
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(model.read_bytes())
    frame = polars.read_parquet(table).drop("user")
    carried, lean = (pickle.dumps(Scorer(moved, carry_model=carry)) for carry in (True, False))
    moved.unlink()
    assert pickle.loads(carried)(frame).equals(pickle.loads(sent)(frame))
    with pytest.raises(ModelFileError, match=r"moved\.safetensors"):
        pickle.loads(lean)(frame)
    with pytest.raises(ModelFileError, match=r"moved\.safetensors"):
        Scorer(moved, carry_model=True)


def test_a_process_loads_a_model_once(model: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = polars.read_parquet(table).drop("user").head(3)
    monkeypatch.setattr(loaded, "_predictors", {})
    for _ in range(3):
        pickle.loads(pickle.dumps(Scorer(model)))(frame)
    assert len(loaded._predictors) == 1
    before = torch.get_num_threads()
    try:
        Scorer(model, device="cpu", options=(), threads=1)(frame)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_texts(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    texts = ["good one", "bad one"] * 5
    TextClassifier(hidden_size=8, epochs=1, threads=1, validation=None).fit(texts, [1, 0] * 5).save(path)
    frame = pandas.DataFrame({"text": texts, "note": texts, "label": 3})
    found = Scorer(path)(frame)
    assert list(found.columns) == ["text", "note", "label_input", "label", "probability_0", "probability_1"]
    assert found["label"].tolist() == [answer["label"] for answer in Predictor(path).predict_lines(texts)]
    assert (Scorer(path, column="note")(frame)["probability_0"] == found["probability_0"]).all()
    with pytest.raises(DataError, match="has no column 'text'"):
        Scorer(path)(frame[["note"]])


def test_examples_of_several_rows(tmp_path: Path) -> None:
    path = untrained.write("regress", tmp_path)
    found = Scorer(path)(pandas.read_csv(tmp_path / "steps.csv"))
    answers = list(Predictor(path).predict([tmp_path / "steps.csv"]))
    assert found.columns[:2].tolist() == ["id", "target"]
    assert found["id"].tolist() == [str(k) for k in range(10)]
    assert found["target"].tolist() == [answer["values"]["target"] for answer in answers]
    path = untrained.write("panel", tmp_path)
    panel = pandas.read_csv(tmp_path / "panel.csv")
    found = Scorer(path)(panel)
    assert found.columns.tolist() == ["unique_id", "ds", "y"]
    assert len(found) == 4
    assert Scorer(path).meta(panel).dtypes.tolist() == found.dtypes.tolist()
    with pytest.raises(DataError, match="this batch is empty; give a frame with the rows of a series"):
        Scorer(path).spark_schema()


@pytest.mark.parametrize("name", ["tag", "translate", "generate", "sums"])
def test_other_texts(name: str, tmp_path: Path) -> None:
    path = untrained.write(name, tmp_path)
    lines = ["3 4", "5 6"] if name == "sums" else ["one two", "three"]
    frame = polars.DataFrame({"text": lines, "key": [1, 2]})
    found = Scorer(path)(frame)
    expected = list(Predictor(path).predict_lines(lines))
    key = next(key for key in ("tagged", "translation", "sum", "text") if key in expected[0])
    assert found[key].to_list() == [answer[key] for answer in expected]
    assert Scorer(path).meta(frame.clear()).schema == found.schema


def test_values_that_are_no_batch(model: Path) -> None:
    with pytest.raises(DataError, match=r"A batch of type builtins\.list cannot be scored; expected a frame"):
        Scorer(model)([1, 2])
    with pytest.raises(DataError, match="The batch has no column 'usr' to keep; did you mean 'user'"):
        Scorer(model, keep=["usr"])(polars.DataFrame({"user": [1], "s0": [1.0]}))
