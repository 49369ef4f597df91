"""From files to examples: one module a format, and ``read``, which picks the module by what the file is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from holdfast.data.examples import Examples
from holdfast.data.readers import audio, folders, idx, images, npy, npz, tables, ts
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets
from holdfast.errors import DataError, MissingDataError

__all__ = ["read"]

_Reader = Callable[[Path, ReadingSettings, Targets], Examples]
_READERS: dict[str, _Reader] = {
    **dict.fromkeys(images.SUFFIXES, images.read),
    **dict.fromkeys(audio.SUFFIXES, audio.read),
    **dict.fromkeys(tables.SUFFIXES, tables.read),
    ".ts": ts.read,
}
_KINDS = (
    f"a folder ROOT/label/image or ROOT/label/recording; an image ({', '.join(images.SUFFIXES)}); "
    f"a recording ({', '.join(audio.SUFFIXES)}); "
    f"a table ({', '.join(tables.SUFFIXES)}); .npy; .npz; .ts; IDX (such as train-images-idx3-ubyte.gz)"
)


def read(
    paths: Sequence[str | Path],
    settings: ReadingSettings,
    part: npz.Part = "test",
    targets: Targets = "labels",
) -> Examples:
    """Reads files and folders of any known kind and joins them in the given order.

    IDX files of images are paired with the IDX files of labels among ``paths``: by name (``images`` and ``idx3`` for
    ``labels`` and ``idx1``), or because there is one of each; so are ``.npy`` files (``X`` for ``y``, ...).

    Args:
        paths: At least one file or folder.
        settings: How to read them; see the fields of ``ReadingSettings``.
        part: Which part of an ``.npz`` file that has both.
        targets: What the task learns: a label or a number for each sequence, or a number for each step.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is of no known kind, is damaged, or does not fit the others.
    """
    if not paths:
        raise DataError("No files were given to read; expected at least one file or folder.")
    files = [Path(path) for path in paths]
    missing = [str(path) for path in files if not path.exists()]
    if missing:
        raise MissingDataError(
            f"There is no file or folder {', '.join(missing)}. Check the path; it was taken from {Path.cwd()}."
        )
    arrays = npy.pairs([path for path in files if _ending(path) == ".npy"])
    pictures = _pair([path for path in files if _ending(path) not in (".npy", ".npz") and _reader(path) is None])
    parts: list[Examples] = []
    for path in files:
        reader = _reader(path)
        if reader is not None:
            parts.append(reader(path, settings, targets))
        elif _ending(path) == ".npz":
            parts.append(npz.read(path, settings, part, targets))
        elif path in arrays:
            parts.append(npy.read(path, settings, arrays[path], targets))
        elif path in pictures:
            parts.append(idx.read(path, settings, pictures[path], targets))
    return Examples.join(parts)


def with_test_parts(paths: Sequence[Path]) -> list[Path]:
    """Those of some files that hold sequences to test on beside those to train on.

    Raises:
        DataError: A file is damaged.
    """
    return [path for path in paths if _ending(path) == ".npz" and path.is_file() and npz.has_both_parts(path)]


def _ending(path: Path) -> str:
    return "" if path.is_dir() else path.suffix.lower()


def _reader(path: Path) -> _Reader | None:
    """The reader of this path alone; None for arrays, and for a name without a known ending, which must be IDX."""
    if path.is_dir():
        return audio.read if folders.holds(path, audio.SUFFIXES) else images.read
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if len(suffixes) > 1 and suffixes[-1] == ".gz" and suffixes[-2] in (".csv", ".tsv", ".ts"):
        return _READERS[suffixes[-2]]
    return _READERS.get(suffixes[-1]) if suffixes else None


def _pair(files: list[Path]) -> dict[Path, Path | None]:
    """Each IDX file of images with its file of labels, or with None when no file of labels was given."""
    ranks = {path: idx.dimensions(path) for path in files}
    for path, rank in ranks.items():
        if rank is None:
            raise DataError(f"{path} is of no known kind. Known kinds: {_KINDS}.")
    labels = [path for path, rank in ranks.items() if rank == 1]
    pictures = [path for path, rank in ranks.items() if rank != 1]
    if len(labels) == len(pictures) == 1:
        return {pictures[0]: labels[0]}
    by_name = {path: path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1")) for path in pictures}
    pairs = {path: name if name in labels else None for path, name in by_name.items()}
    alone = [str(path) for path in labels if path not in pairs.values()]
    if alone:
        raise DataError(
            f"{', '.join(alone)} holds labels, and no file of images among those given belongs to it; "
            "expected names that differ in images/labels and idx3/idx1 only."
        )
    return pairs
