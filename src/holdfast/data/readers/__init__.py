"""Reads files into examples: one module per format, and ``read``, which picks the module by the kind of file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from holdfast.data.examples import Examples
from holdfast.data.readers import audio, folders, idx, images, npy, npz, tables, ts
from holdfast.data.readers.paths import check_paths
from holdfast.data.settings import ReadingSettings
from holdfast.data.targets import Targets
from holdfast.errors import DataError

__all__ = ["read"]

_Reader = Callable[[Path, ReadingSettings, Targets], Examples]
_READERS: dict[str, _Reader] = {
    **dict.fromkeys(images.SUFFIXES, images.read),
    **dict.fromkeys(audio.SUFFIXES, audio.read),
    **dict.fromkeys(tables.SUFFIXES, tables.read),
    ".ts": ts.read,
}
_KIND_OF: dict[_Reader, str] = {images.read: "images", audio.read: "recordings", tables.read: "table"}
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

    IDX files of images are paired with the IDX files of labels among ``paths``: by name (``images`` with ``labels``,
    ``idx3`` with ``idx1``), or because there is one of each; likewise ``.npy`` files (``X`` with ``y``, ...).

    Args:
        paths: At least one file or folder.
        settings: How to read them.
        part: Which part of an ``.npz`` file that has both.
        targets: What the task learns: a label or a number for each sequence, or a number for each step.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is of an unknown kind, is damaged, or does not fit the others.
    """
    return Examples.join([each.read(settings, part, targets) for each in found([Path(path) for path in paths])])


class Found(NamedTuple):
    """A file or folder that holds sequences.

    Attributes:
        path: Its path.
        kind: ``"images"``, ``"recordings"``, ``"table"``, ``"npy"`` or ``"other"``.
        read: Reads it; the arguments are those of :func:`holdfast.data.readers.read`.
        labels: Its file of labels, if it has one.
    """

    path: Path
    kind: str
    read: Callable[[ReadingSettings, npz.Part, Targets], Examples]
    labels: Path | None = None


def found(paths: Sequence[Path]) -> list[Found]:
    """The files and folders that hold sequences, in order; files of labels belong to one of them.

    Args:
        paths: Files and folders, as for :func:`read`.

    Raises:
        MissingDataError: A path does not exist.
        DataError: A file is of an unknown kind or damaged.
    """
    check_paths(paths)
    arrays = npy.pairs([path for path in paths if _ending(path) == ".npy"])
    rest = [path for path in paths if _ending(path) not in (".npy", ".npz") and _reader(path) is None]
    image_files = _pair(rest)
    all_found: list[Found] = []
    for path in paths:
        reader = _reader(path)
        if reader is not None:
            all_found.append(Found(path, _KIND_OF.get(reader, "other"), partial(_alone, reader, path)))
        elif _ending(path) == ".npz":
            all_found.append(Found(path, "other", partial(npz.read, path)))
        elif path in arrays:
            all_found.append(Found(path, "npy", partial(_paired, npy.read, path, arrays[path]), arrays[path]))
        elif path in image_files:
            all_found.append(Found(path, "other", partial(_paired, idx.read, path, image_files[path])))
    return all_found


def _alone(reader: _Reader, path: Path, settings: ReadingSettings, part: npz.Part, targets: Targets) -> Examples:
    return reader(path, settings, targets)


def _paired(
    reader: Callable[[Path, ReadingSettings, Path | None, Targets], Examples],
    path: Path,
    labels: Path | None,
    settings: ReadingSettings,
    part: npz.Part,
    targets: Targets,
) -> Examples:
    return reader(path, settings, labels, targets)


def with_test_parts(paths: Sequence[Path]) -> list[Path]:
    """The files that hold test sequences as well as training sequences.

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
    """Each IDX file of images with its file of labels, or with None if there is no file of labels for it."""
    ranks = {path: idx.dimensions(path) for path in files}
    for path, rank in ranks.items():
        if rank is None:
            raise DataError(f"{path} is of an unknown kind. Known kinds: {_KINDS}.")
    labels = [path for path, rank in ranks.items() if rank == 1]
    image_files = [path for path, rank in ranks.items() if rank != 1]
    if len(labels) == len(image_files) == 1:
        return {image_files[0]: labels[0]}
    by_name = {
        path: path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1")) for path in image_files
    }
    pairs = {path: name if name in labels else None for path, name in by_name.items()}
    alone = [str(path) for path in labels if path not in pairs.values()]
    if alone:
        raise DataError(
            f"{', '.join(alone)} holds labels, and no given file of images belongs to it; expected names that differ "
            "only in images/labels and idx3/idx1."
        )
    return pairs
