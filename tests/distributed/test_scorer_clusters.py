"""A local Ray and a local Dask give what one process gives; without these libraries, the tests are skipped."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pytest

from holdfast.distributed import Scorer
from holdfast.scoring import score
from rising import write_rising

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray and Dask warn of their own dependencies
ROWS = 4096


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rising(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four files of 1,024 rows."""
    folder = tmp_path_factory.mktemp("tables")
    values = np.random.default_rng(1).normal(size=(ROWS, 6))
    frame = polars.DataFrame({"user": np.arange(ROWS), **{f"s{k}": values[:, k] for k in range(6)}})
    for k in range(4):
        frame[1024 * k : 1024 * (k + 1)].write_parquet(folder / f"{k}.parquet")
    return folder


@pytest.fixture(scope="module")
def expected(model: Path, tables: Path, tmp_path_factory: pytest.TempPathFactory) -> pandas.DataFrame:
    out = tmp_path_factory.mktemp("answers") / "answers.parquet"
    score(model, sorted(tables.iterdir()), out, keep=["user"])
    return pandas.read_parquet(out).drop(columns="origin")


def equal(found: pandas.DataFrame, expected: pandas.DataFrame) -> None:
    ordered = found.sort_values("user").reset_index(drop=True)[expected.columns]
    pandas.testing.assert_frame_equal(ordered, expected, check_exact=True, check_dtype=False)


@pytest.fixture
def ray() -> Iterator[Any]:
    """A Ray on this machine; reading and the workers of a pool each need a processor, if only by name."""
    library = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[data]'")
    importlib.import_module("ray.data")
    library.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield library
    library.shutdown()


def test_ray(ray: Any, model: Path, tables: Path, expected: pandas.DataFrame) -> None:
    rows = ray.data.read_parquet(str(tables)).materialize()
    for form in ("pandas", "pyarrow", "numpy"):
        answers = rows.map_batches(Scorer(model, keep=["user"]), batch_format=form, batch_size=256)
        equal(answers.to_pandas(), expected)
    workers = ray.data.ActorPoolStrategy(size=2)
    options = {"run": str(model), "keep": ["user"], "threads": 1}
    answers = rows.map_batches(
        Scorer, fn_constructor_kwargs=options, batch_format="pandas", batch_size=256, compute=workers
    )
    equal(answers.to_pandas(), expected)


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_dask(scheduler: str, model: Path, tables: Path, expected: pandas.DataFrame) -> None:
    pytest.importorskip("dask", reason="Dask is not installed: pip install 'dask[dataframe]'")
    frames = importlib.import_module("dask.dataframe")
    rows = frames.read_parquet(str(tables))
    scorer = Scorer(model, keep=["user"])
    answers = rows.map_partitions(scorer, meta=scorer.meta(rows))
    assert answers.npartitions == 4
    equal(answers.compute(scheduler=scheduler), expected)
