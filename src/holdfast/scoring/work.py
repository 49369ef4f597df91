"""The work of a run of scoring: its parts, one after another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any

from holdfast.data.pieces import Source
from holdfast.errors import DataError
from holdfast.files.json_values import as_text, finite
from holdfast.predictor import Predictor
from holdfast.scoring.answering import Block, answers, read_block
from holdfast.scoring.formats import schema_of, write_table
from holdfast.scoring.frames import OnError, answer_frame, kept_columns, with_names
from holdfast.scoring.parts import Parts, changed
from holdfast.scoring.progress import ScoringProgress
from holdfast.scoring.rows import BATCH, block_rows, blocks

if TYPE_CHECKING:
    import polars


class Work:
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
            block = next(stream, None)
            if block is None:
                raise changed(", ".join(source.name for source in self.sources))
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
            return lambda file: file.write("".join(as_text(line) for lines in written for line in lines).encode())
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
        frame = frame.select(polars.Series("origin", list(map(as_text, block.origins))), *frame.columns)
        if self.on_error == "null":
            messages = [as_text(block.bad[place]) if place in block.bad else None for place in range(len(block))]
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
