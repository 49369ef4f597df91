"""Scores files: reads, computes and writes in parts, and continues where an earlier start was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.data.pieces import Source
from holdfast.errors import DataError, OptionError, did_you_mean
from holdfast.files import container
from holdfast.files.pointers import refuse_pointers
from holdfast.predictor import Predictor
from holdfast.scoring.formats import Format, format_of
from holdfast.scoring.frames import OnError
from holdfast.scoring.parts import Parts, Shard, changed, described_file, digest_of
from holdfast.scoring.progress import ScoringProgress
from holdfast.scoring.rows import BATCH
from holdfast.scoring.work import Work
from holdfast.training.determinism import reproducible

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
    parts = Parts(Path(out), chosen, single=single)
    _check_apart(parts, paths)
    shown = progress or ScoringProgress(None)
    if sum(path.stat().st_size for path in paths if path.is_file() and path.suffix not in _COUNTED) > _LARGE:
        shown.note("reading the inputs once, to count their rows")
    aside = [] if list(keep) == [_ALL] else keep
    sources = predictor.task.sources(paths, aside)
    names = _kept(sources, keep)
    rows = sum(len(source) for source in sources)
    if not rows:
        raise DataError(
            f"{', '.join(map(str, paths))}: there is nothing to predict for; expected at least one example."
        )
    numbers = share.of(-(-rows // part_rows))
    if single and not numbers:
        raise OptionError(
            f"--shard is {shard}, and this share of {rows:,} rows is empty: a part has {part_rows:,} rows. Use fewer "
            "shares, smaller parts (--part-rows), or a folder as --out."
        )
    described = [described_file(path) for path in paths]
    settings = {
        "model": digest_of(container.model_path(Path(run))),
        "options": sorted(options),
        "inputs": described,
        "rows": rows,
        "part_rows": part_rows,
        "keep": names,
        "on_error": on_error,
        "format": chosen,
        **({"shard": f"{share.index}/{share.count}"} if single else {}),
    }
    parts.begin(settings, force=force)
    work = Work(predictor, sources, names, on_error, part_rows, rows, parts)
    with reproducible(threads), shown:
        bad = work.run(numbers, shown)
    for path, before in zip(paths, described, strict=True):
        if described_file(path) != before:
            raise changed(str(path))
    parts.finish(numbers, part_rows)
    total = work.size(numbers)
    return Scores(Path(out), total, work.computed, bad)


def _part_rows(wanted: int | None, predictor: Predictor) -> int:
    if wanted is None:
        return predictor.task.part_rows
    if wanted < BATCH or wanted % BATCH:
        raise OptionError(f"--part-rows is {wanted}; expected a multiple of {BATCH}, the rows computed together.")
    return wanted


def _check_apart(parts: Parts, paths: Sequence[Path]) -> None:
    """Raises OptionError where the answers would replace an input, or be in a folder that is read."""
    out, folder = parts.out.resolve(), parts.folder.resolve()
    for path in paths:
        place = path.resolve()
        if place in (out, *out.parents):
            raise OptionError(f"--out is {parts.out}, which is {path} or in it; write the answers to another place.")
        if folder in place.parents:
            raise OptionError(f"--out is {parts.out}, and {path} is among its parts; write the answers elsewhere.")


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
