"""Scores files: reads, computes and writes in parts, and continues where an earlier start was stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from holdfast.data.pieces import Source
from holdfast.errors import DataError, OptionError, did_you_mean
from holdfast.files import container
from holdfast.files.json_values import finite
from holdfast.files.pointers import refuse_pointers
from holdfast.predictor import Predictor
from holdfast.scoring.answering import Block, answers, read_block
from holdfast.scoring.formats import Format, format_of, schema_of, write_table
from holdfast.scoring.frames import OnError, answer_frame, kept_columns, with_names
from holdfast.scoring.parts import Parts, Shard, described_file, digest_of
from holdfast.scoring.progress import ScoringProgress
from holdfast.scoring.rows import BATCH, block_rows, blocks
from holdfast.training.determinism import reproducible

if TYPE_CHECKING:
    import polars

_ALL = "all"
_COUNTED, _LARGE = (".parquet", ".pq", ".npy"), 2**28
"""The endings of files that say how many rows they have; the bytes of others that take a while to count."""


@dataclass(frozen=True)
class Scores:
    """What a run of scoring did.

    Attributes:
        path: The file or folder of the answers.
        rows: The rows of the shard.
        computed: Those that this start has computed; the others were done before.
        bad: The rows among these that could not be read.
    """

    path: Path
    rows: int
    computed: int
    bad: int


def score(
    run: Path | str,
    inputs: Sequence[Path | str],
    out: Path | str,
    *,
    shard: str = "1/1",
    keep: Sequence[str] = (),
    on_error: OnError = "stop",
    format: Format | None = None,
    part_rows: int | None = None,
    options: Sequence[str] = (),
    device: str = "cpu",
    threads: int = 0,
    force: bool = False,
    progress: ScoringProgress | None = None,
) -> Scores:
    """Predicts for files of any size, in bounded memory, and writes the answers in the order of the rows.

    The answers are written in parts. A start with the same arguments continues after the parts that are done, and the
    result has the bytes of a run that was not stopped. The values are those of :meth:`holdfast.Predictor.predict`.

    Args:
        run: A run directory or a model file.
        inputs: Files and folders, of the same kinds as for training; targets are not needed.
        out: A file that ends in ``.parquet``, ``.csv`` or ``.jsonl``; or a folder, which gets a file per part.
        shard: ``"2/4"`` computes the second of four disjoint shares of the parts; the shares, one after another, are
            all rows. Several processes may write their shares into one folder.
        keep: Columns of the input to write before the answers, or ``["all"]``. A column that is kept by its name is no
            input of the model, unless the recipe has it in ``data.feature_columns``. A text file has the column
            ``text``, and a folder of images or recordings the column ``path``.
        on_error: What happens to a row that cannot be read: ``"stop"`` raises its error, ``"skip"`` leaves it out,
            ``"null"`` gives it nulls and its message in the column ``error``.
        format: The format for a folder, ``"parquet"`` by default.
        part_rows: Rows per part, a multiple of 256; by default 65,536, and 2,048 for tasks that write texts.
        options: How to predict, ``"key=value"`` each; they override the recipe's ``[predict]`` table.
        device: Where to compute; as for :class:`holdfast.Predictor`.
        threads: Threads of torch; 0 does not change their number.
        force: Whether to replace answers of other work.
        progress: What a person sees.

    Raises:
        OptionError: An argument does not fit, or there are other answers at ``out``.
        ModelFileError: There is no usable model.
        MissingDataError: A path does not exist.
        DataError: A file or, unless ``on_error`` says otherwise, a row cannot be read.

    Example:
        >>> score("runs/digits", ["scans"], "answers.parquet")  # doctest: +SKIP
        Scores(path=PosixPath('answers.parquet'), rows=10000, computed=10000, bad=0)
    """
    chosen, single = format_of(Path(out), format)
    predictor = Predictor(run, device=device, options=options)
    part_rows = _part_rows(part_rows, predictor)
    paths = [Path(path) for path in inputs]
    refuse_pointers(paths)
    share = Shard.parse(shard)
    _check_apart(Path(out), paths)
    shown = progress or ScoringProgress(None)
    if sum(path.stat().st_size for path in paths if path.is_file() and path.suffix not in _COUNTED) > _LARGE:
        shown.note("reading the inputs once, to count their rows")
    aside = [] if list(keep) == [_ALL] else keep
    sources = predictor.task.sources(paths, aside)
    names = _kept(sources, keep)
    parts = Parts(Path(out), chosen, single=single)
    rows = sum(len(source) for source in sources)
    numbers = share.of(-(-rows // part_rows))
    if single and not numbers:
        raise OptionError(
            f"--shard is {shard}, and this share of {rows:,} rows is empty: a part has {part_rows:,} rows. Use fewer "
            "shares, smaller parts (--part-rows), or a folder as --out."
        )
    settings = {
        "model": digest_of(container.model_path(Path(run))),
        "options": sorted(options),
        "inputs": [described_file(path) for path in paths],
        "rows": rows,
        "part_rows": part_rows,
        "keep": names,
        "on_error": on_error,
        "format": chosen,
        **({"shard": f"{share.index}/{share.count}"} if single else {}),
    }
    parts.begin(settings, force=force)
    work = _Work(predictor, sources, names, on_error, part_rows, rows, parts)
    with reproducible(threads), shown:
        bad = work.run(numbers, shown)
    parts.finish(numbers, part_rows)
    total = work.size(numbers)
    return Scores(Path(out), total, work.computed, bad)


def _part_rows(wanted: int | None, predictor: Predictor) -> int:
    if wanted is None:
        return predictor.task.part_rows
    if wanted < BATCH or wanted % BATCH:
        raise OptionError(f"--part-rows is {wanted}; expected a multiple of {BATCH}, the rows computed together.")
    return wanted


def _check_apart(out: Path, paths: Sequence[Path]) -> None:
    """Raises OptionError where the answers would replace an input, or be in a folder that is read."""
    for path in paths:
        if out.resolve() == path.resolve() or path.resolve() in out.resolve().parents:
            raise OptionError(f"--out is {out}, which is {path} or in it; write the answers to another place.")


def _kept(sources: Sequence[Source], keep: Sequence[str]) -> list[str]:
    """The columns to keep; those that name an example come first.

    Raises:
        OptionError: A file does not have one.
    """
    names = dict.fromkeys(name for source in sources for name in source.carried)
    everything = list(keep) == [_ALL]
    for source in sources if everything else ():
        names |= dict.fromkeys(source.columns)
    names |= dict.fromkeys(() if everything else keep)
    for source in sources:
        for name in names:
            if name not in source.columns:
                what = "to keep; it is read as a whole" if not source.columns else f"{name!r} (--keep)"
                hint = did_you_mean(name, source.columns) if source.columns else "Leave out --keep."
                raise OptionError(f"{source.name} has no column {what}: {hint}")
    return list(names)


class _Work:
    """The parts of a run, one after another."""

    def __init__(
        self,
        predictor: Predictor,
        sources: Sequence[Source],
        names: Sequence[str],
        on_error: OnError,
        part_rows: int,
        rows: int,
        parts: Parts,
    ) -> None:
        self.predictor, self.sources, self.names, self.on_error = predictor, sources, names, on_error
        self.part_rows, self.rows, self.parts = part_rows, rows, parts
        self.computed = 0
        self._schema: dict[str, Any] = {}

    def size(self, numbers: Sequence[int]) -> int:
        """The rows of some parts."""
        return sum(min(self.part_rows, self.rows - number * self.part_rows) for number in numbers)

    def run(self, numbers: Sequence[int], progress: ScoringProgress) -> int:
        """Computes and writes the parts that are not done; returns the number of bad rows."""
        missing = [number for number in numbers if not self.parts.done(number)]
        progress.begin(self.size(numbers), self.size(numbers) - self.size(missing))
        bad = 0
        for begin, end in _runs(missing):
            stream = self._blocks(begin * self.part_rows, min(end * self.part_rows, self.rows))
            for number in range(begin, end):
                bad += self._part(number, stream, progress)
        return bad

    def _blocks(self, begin: int, end: int) -> Iterator[Block]:
        """The blocks of some rows; a thread reads the next one meanwhile."""
        size = block_rows(self.sources, self.part_rows)
        while self.part_rows % size:
            size -= BATCH
        pieces = blocks(self.sources, begin, end, size)

        def following() -> Block | None:
            block = next(pieces, None)
            return None if block is None else read_block(self.predictor, block, stop=self.on_error == "stop")

        with ThreadPoolExecutor(1) as reader:
            waiting = reader.submit(following)
            while (block := waiting.result()) is not None:
                waiting = reader.submit(following)
                yield block

    def _part(self, number: int, stream: Iterator[Block], progress: ScoringProgress) -> int:
        """Computes and writes a part; returns the number of bad rows."""
        missing, bad, written = self.size([number]), 0, list[Any]()
        add = self._lines if self.parts.format == "jsonl" else self._table
        while missing:
            block = next(stream)
            written.append(add(block))
            for place, message in sorted(block.bad.items()):
                progress.note(f"{block.origins[place]}: {message}")
            bad += len(block.bad)
            missing -= len(block)
            self.computed += len(block)
            progress.advance(len(block))
        self.parts.write(number, self._writer(written))
        return bad

    def _writer(self, written: Sequence[Any]) -> Callable[[IO[bytes]], Any]:
        format = self.parts.format
        if format == "jsonl":
            return lambda file: file.write("".join(line for lines in written for line in lines).encode())
        import polars

        frame = self.predictor.task.exploded(polars.concat(written, how="vertical_relaxed"))
        return lambda file: write_table(frame, file, format)

    def _table(self, block: Block) -> polars.DataFrame:
        """The answers for a block as a table."""
        import polars

        columns: dict[str, list[Any]] = {}
        for batch in answers(self.predictor, block, self.predictor.task.answer_columns):
            for name, values in batch.items():
                columns.setdefault(name, []).append(values)
        if columns:
            frame = answer_frame(columns, sorted(block.bad), len(block))
            self._schema = dict(frame.schema)
        else:
            frame = polars.DataFrame(schema=self._known_schema(block)).clear(len(block))
        if self.names:
            frame = with_names(kept_columns(block, self.names), frame, ["origin", "error"])
        frame = frame.select(polars.Series("origin", block.origins), *frame.columns)
        if self.on_error == "null":
            messages = [block.bad.get(place) for place in range(len(block))]
            return frame.with_columns(polars.Series("error", messages, dtype=polars.String))
        if block.bad:
            frame = frame.filter(polars.Series([place not in block.bad for place in range(len(block))]))
        return frame

    def _known_schema(self, block: Block) -> dict[str, Any]:
        """The columns of the answers, for a block that has none: as in the rows before it, or in a part that is done.

        Raises:
            DataError: There are none.
        """
        if self._schema:
            return self._schema
        for number in range(-(-self.rows // self.part_rows)):
            if self.parts.done(number):
                columns = schema_of(self.parts.path(number), self.parts.format)
                others = {"origin", "error", *self.names, *(f"{name}_input" for name in self.names)}
                return {name: kind for name, kind in columns.items() if name not in others}
        raise DataError(f"None of the first {len(block):,} rows can be read. {block.bad[min(block.bad)]}")

    def _lines(self, block: Block) -> list[str]:
        """The answers for a block as lines of JSON."""
        found = (answer for batch in answers(self.predictor, block, self.predictor.task.answers) for answer in batch)
        kept = kept_columns(block, self.names).to_dicts() if self.names else [{}] * len(block)
        lines = []
        for place, (origin, before) in enumerate(zip(block.origins, kept, strict=True)):
            if place in block.bad and self.on_error == "skip":
                continue
            answer: Mapping[str, Any] = {"error": block.bad[place]} if place in block.bad else next(found)
            named = {f"{name}_input" if name in {"origin", *answer} else name: value for name, value in before.items()}
            lines.append(_as_line({"origin": origin, **named, **answer}))
        return lines


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Numbers in ascending order as ranges of consecutive ones: the first, and the one after the last."""
    for place, number in enumerate(numbers):
        if place and numbers[place - 1] == number - 1:
            continue
        end = number + 1
        while place + end - number < len(numbers) and numbers[place + end - number] == end:
            end += 1
        yield number, end


def _as_line(answer: Mapping[str, Any]) -> str:
    return json.dumps(finite(dict(answer)), ensure_ascii=False, allow_nan=False, default=str) + "\n"
