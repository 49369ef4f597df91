"""Batches of rows in the forms that Ray, Spark and Dask give them: read, and given back with further columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.data.frames import is_frame, to_polars
from holdfast.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import polars


def column_names(batch: Any) -> list[str]:
    """The names of the columns of a batch.

    Raises:
        DataError: It is neither a frame, a record batch nor a mapping.
    """
    if isinstance(batch, Mapping):
        return list(batch)
    if _is_arrow(batch):
        return list(batch.schema.names)
    if not is_frame(batch):
        raise DataError(
            f"A batch of type {type(batch).__module__}.{type(batch).__name__} cannot be scored; expected a frame of "
            "pandas, polars or pyarrow, a record batch, or a mapping from names to arrays."
        )
    return list(batch.columns)


def row_count(batch: Any) -> int:
    """The number of rows of a batch."""
    if isinstance(batch, Mapping):
        return len(next(iter(batch.values()), ()))
    return int(batch.num_rows) if _is_arrow(batch) else len(batch)


def read_column(batch: Any, name: str) -> list[Any]:
    """The values of one column.

    Raises:
        DataError: There is no such column.
    """
    names = column_names(batch)
    if name not in names:
        raise DataError(f"The batch has no column {name!r}; {did_you_mean(name, names)}")
    values = batch[name] if isinstance(batch, Mapping) or not _is_arrow(batch) else batch.column(name).to_pylist()
    return [_nested(value) for value in values]


def read_columns(batch: Any) -> polars.DataFrame:
    """A batch as a table.

    Raises:
        DataError: A column cannot be one of a table.
    """
    import polars

    if not isinstance(batch, Mapping):
        return to_polars(_table(batch) if _is_arrow(batch) else batch)
    try:
        return polars.DataFrame({name: _one_dimension(name, values) for name, values in batch.items()})
    except (TypeError, ValueError, polars.exceptions.PolarsError) as error:
        raise DataError(
            f"The batch is no table ({str(error).splitlines()[0]}); expected columns of one length."
        ) from error


def answered(batch: Any, kept: Sequence[str], answers: polars.DataFrame) -> Any:
    """Columns of a batch, and then answers, as the same kind of batch.

    A column with the name of an answer gets ``_input`` after its name.

    Args:
        batch: The batch.
        kept: Its columns to keep; with none, the answers may have another number of rows than the batch.
        answers: The answers.
    """
    return _built(batch, kept, answers, slice(None))


def empty(batch: Any, kept: Sequence[str], answers: polars.DataFrame) -> Any:
    """The same without rows; the answers give names and types."""
    if isinstance(batch, Mapping):
        nothing: Any = {name: values[:0] for name, values in batch.items()}
    else:
        nothing = batch.slice(0, 0) if _is_arrow(batch) else batch[:0]
    return _built(nothing, kept, answers, slice(0))


def _built(batch: Any, kept: Sequence[str], answers: polars.DataFrame, rows: slice) -> Any:
    """Kept columns and some rows of answers, as the kind of the batch."""
    names = {name: f"{name}_input" if name in answers.columns else name for name in kept}
    if isinstance(batch, Mapping):
        return {names[name]: batch[name] for name in kept} | {each.name: _array(each)[rows] for each in answers}
    if _is_arrow(batch):
        return _arrow(batch, names, answers, rows)
    import polars

    if isinstance(batch, polars.DataFrame):
        return polars.concat([batch.select(kept).rename(names), answers[rows]], how="horizontal")
    import pandas

    table = batch[list(kept)].rename(columns=names) if kept else pandas.DataFrame()
    added = {each.name: pandas.Series(_listed(each))[rows] for each in answers}
    if kept or len(batch) == answers[rows].height:
        for values in added.values():
            values.index = batch.index
    return pandas.concat([table, pandas.DataFrame(added)], axis=1) if kept else pandas.DataFrame(added)


def _arrow(batch: Any, names: Mapping[str, str], answers: polars.DataFrame, rows: slice) -> Any:
    import pyarrow

    columns = {new: batch.column(name) for name, new in names.items()}
    columns |= {each.name: pyarrow.array(_listed(each))[rows] for each in answers}
    if isinstance(batch, pyarrow.RecordBatch):
        return pyarrow.RecordBatch.from_pydict(columns)
    return pyarrow.table(columns)


def _listed(column: polars.Series) -> Any:
    """Values that pandas and pyarrow give the types that a person expects."""
    return column.to_numpy() if column.dtype.is_numeric() and not column.null_count() else column.to_list()


def _array(column: polars.Series) -> Any:
    values = _listed(column)
    if isinstance(values, np.ndarray):
        return values
    array = np.empty(len(values), dtype=object)  # lists of one length must not become an array of two dimensions
    array[:] = values
    return array


def _is_arrow(batch: Any) -> bool:
    """Whether a batch is a table or a record batch of pyarrow."""
    return hasattr(batch, "schema") and hasattr(batch, "num_rows")


def _table(batch: Any) -> Any:
    """A batch of pyarrow as its table."""
    import pyarrow

    return pyarrow.Table.from_batches([batch]) if isinstance(batch, pyarrow.RecordBatch) else batch


def _nested(value: Any) -> Any:
    """A sequence in a cell as an array; pandas has arrays of arrays for lists of lists."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return np.array(value.tolist())
    return value.as_py() if hasattr(value, "as_py") else value


def _one_dimension(name: str, values: Any) -> Any:
    if np.ndim(values) > 1:
        raise DataError(
            f"The column {name!r} is an array of shape {np.shape(values)}; name it as the column of sequences: "
            f"Scorer(..., column={name!r})."
        )
    return values.tolist() if isinstance(values, np.ndarray) and values.dtype.kind in "OUS" else values
