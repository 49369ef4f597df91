"""One object that the workers of Ray Data, Spark and Dask call with a batch or a partition of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.data.readers.table import check_library
from holdfast.distributed.batches import answered, column_names, empty, read_column, read_columns, row_count
from holdfast.distributed.loaded import ModelSource, loaded
from holdfast.distributed.spark import spark_column
from holdfast.errors import DataError, did_you_mean
from holdfast.predictor import Predictor
from holdfast.scoring.frames import answer_frame
from holdfast.scoring.rows import BATCH

if TYPE_CHECKING:
    import polars


class Scorer:
    """Predicts for the rows of a batch; the batch comes back with the answers as further columns.

    Ray Data's ``map_batches``, Spark's ``mapInPandas`` and ``mapInArrow`` (by :meth:`frames`) and Dask's
    ``map_partitions`` take it. It is small when it is sent to a worker: it holds the path of the model, and each
    process loads the model once, when it first needs it.

    Args:
        run: A run directory or a model file, at a path that every worker can read.
        column: The column that holds a whole sequence (a list or an array, [T] or [T, C]) or a text in each row. Empty:
            the columns of the model's own files, as ``holdfast predict`` reads them.
        keep: Which columns of the batch come back: all, none, or these, which are then no inputs unless the recipe
            names them in ``data.feature_columns``. Where an example has several rows, only its id comes back.
        options: How to predict, ``"key=value"`` each; they override the recipe's ``[predict]`` table.
        device: Where to compute; as for :class:`holdfast.Predictor`.
        threads: Threads of torch in each process; 0 does not change their number.
        carry_model: Whether to send the model itself, for workers that cannot read the path.

    Raises:
        ModelFileError: ``carry_model`` is set, and there is no model.
        MissingLibraryError: polars is not installed.

    Example:
        >>> scorer = Scorer("runs/mine", keep=["user"])  # doctest: +SKIP
        >>> ray.data.read_parquet("events").map_batches(scorer, batch_format="pandas")  # doctest: +SKIP
        >>> frame.mapInPandas(scorer.frames, schema=scorer.spark_schema("user long"))  # doctest: +SKIP
        >>> dask_frame.map_partitions(scorer, meta=scorer.meta(dask_frame))  # doctest: +SKIP
    """

    def __init__(
        self,
        run: Path | str,
        *,
        column: str = "",
        keep: bool | Sequence[str] = True,
        options: Sequence[str] = (),
        device: str = "cpu",
        threads: int = 0,
        carry_model: bool = False,
    ) -> None:
        check_library(Path("A batch"))
        self._source = ModelSource.of(run, options, device, threads, carry_model=carry_model)
        self._column, self._keep = column, keep if isinstance(keep, bool) else tuple(keep)

    def __call__(self, batch: Any) -> Any:
        """The batch with its answers.

        Args:
            batch: A frame of pandas, polars or pyarrow, a record batch of pyarrow, or a mapping from names to arrays.

        Returns:
            The same kind of batch: the kept columns, then the answers by the names that ``holdfast predict --out``
            writes. A forecast has one row per time.

        Raises:
            DataError: A row cannot be read, or a column is missing.
        """
        kept = self._kept(batch)
        if not row_count(batch):
            return empty(batch, kept, self._specimen())
        return answered(batch, kept, self._answers(batch))

    def frames(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The answers for an iterator of frames or record batches, one after another, as Spark's functions need it."""
        for batch in batches:
            yield self(batch)

    def meta(self, frame: Any) -> Any:
        """An empty frame with the columns and types of the answers, as Dask needs it.

        Args:
            frame: A frame of Dask, or a frame with its columns. For a model that forecasts, a frame of one series.

        Raises:
            DataError: The model forecasts, and the frame has no rows.
        """
        template = getattr(frame, "_meta", frame)
        answers = self._answers(template) if row_count(template) else self._specimen()
        return empty(template, self._kept(template), answers)

    def spark_schema(self, columns: str = "") -> str:
        """The schema of the answers in the form that Spark's functions take.

        Args:
            columns: The schema of the columns that are kept, such as ``user long``.

        Raises:
            DataError: The model forecasts; write the schema yourself.
        """
        answers = [spark_column(values) for values in self._specimen()]
        return ", ".join([columns, *answers] if columns else answers)

    def _kept(self, batch: Any) -> list[str]:
        """The columns of a batch that come back."""
        names = column_names(batch)
        if self._predictor.task.grouped:
            return []
        if isinstance(self._keep, bool):
            return names if self._keep else []
        for name in self._keep:
            if name not in names:
                raise DataError(f"The batch has no column {name!r} to keep; {did_you_mean(name, names)}")
        return list(self._keep)

    @property
    def _predictor(self) -> Predictor:
        return loaded(self._source)

    def _answers(self, batch: Any) -> polars.DataFrame:
        task = self._predictor.task
        if self._column:
            values = read_column(batch, self._column)
            texts = all(isinstance(value, str) for value in values)
            return self._computed(task.from_lines(values) if texts else task.from_values(values))
        aside = () if isinstance(self._keep, bool) else self._keep
        return self._computed(task.from_frame(read_columns(batch), aside))

    def _specimen(self) -> polars.DataFrame:
        """The answers for some example, for their columns and types."""
        return self._computed(self._predictor.task.specimen())

    def _computed(self, examples: Any) -> polars.DataFrame:
        """The answers for examples, in batches of ``BATCH`` from the first one on."""
        predictor, columns = self._predictor, dict[str, list[Any]]()
        for found in predictor.compute(examples.unlabelled(), predictor.task.answer_columns, BATCH):
            for name, values in found.items():
                columns.setdefault(name, []).append(values)
        frame = answer_frame(columns, (), sum(len(part) for part in next(iter(columns.values()))))
        return predictor.task.as_rows(frame, examples)
