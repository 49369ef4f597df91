"""Sets on disk: what is stored comes back, whatever is interrupted, damaged or done by two processes at once."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.data import Examples, Records
from holdfast.data.disk import cache, parts
from holdfast.data.disk.build import Piece
from holdfast.data.disk.columns import Column
from holdfast.data.disk.files import Entry, FileSource, kept
from holdfast.data.disk.store import DESCRIPTION, DamagedError, Store
from holdfast.errors import DataError, HoldfastWarning

PROCESSES = multiprocessing.get_context("forkserver")


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    smaller(monkeypatch)


def smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.data.disk.parts.BLOCK_BYTES", 400)
    monkeypatch.setattr("holdfast.data.disk.build.PART_BYTES", 1500)


class Numbered:
    """A source of 300 items of every kind, ten per piece.

    Attributes:
        begun: The pieces that were made.
    """

    about, total = "numbers", 300

    def __init__(self, pause: float = 0.0, fails_at: int = -1, dtypes: tuple[str, ...] = ("float32",)) -> None:
        self._pause, self._fails_at, self._dtypes = pause, fails_at, dtypes
        self.begun: list[int] = []

    def identity(self) -> Any:
        return ["numbered", *self._dtypes]

    def verify(self, store: Store) -> None:
        assert len(store) == self.total

    def pieces(self, position: Any, facts: dict[str, Any]) -> Iterator[Piece]:
        for begin in range(position or 0, self.total, 10):
            if begin == self._fails_at:
                raise DataError("the source ends here")
            self.begun.append(begin)
            time.sleep(self._pause)
            rows = range(begin, begin + 10)
            dtype = self._dtypes[begin * len(self._dtypes) // self.total]
            columns = {
                "inputs": [array(row, dtype) for row in rows],
                "targets": [row / 7 for row in rows],
                "words": [words(row) for row in rows],
                "origins": [f"row {row} ·" for row in rows],
            }
            kinds = {"inputs": "array", "targets": "number", "words": "texts", "origins": "text"}
            yield Piece(columns, kinds, {"last": begin}, begin + 10, begin + 10)  # type: ignore[arg-type]


def array(row: int, dtype: str = "float32") -> np.ndarray[Any, Any]:
    return np.arange(row % 5 * 3, dtype=dtype).reshape(-1, 3) + row % 100


def words(row: int) -> list[str]:
    return [f"w{row}", "", "ü" * (row % 3)][: row % 4]


def check(store: Store) -> None:
    assert len(store) == 300
    inputs, targets = store.column("inputs"), store.column("targets")
    for row in random.Random(0).sample(range(300), 300):
        np.testing.assert_array_equal(inputs[row], array(row))
        assert store.column("words")[row] == words(row)
        assert store.column("origins")[row] == f"row {row} ·"
        assert targets[row] == row / 7
    assert inputs.sizes.tolist() == [row % 5 for row in range(300)]
    assert store.column("words").sizes.tolist() == [len(words(row)) for row in range(300)]
    np.testing.assert_array_equal(targets.gathered(), np.arange(300) / 7)
    for begin, end in ((0, 2), (1, 3), (3, 4)):
        np.testing.assert_array_equal(inputs.steps(24, begin, end), array(24)[begin:end])
        np.testing.assert_array_equal(inputs.map(np.cumsum).steps(24, begin, end), np.cumsum(array(24))[begin:end])
        doubled = inputs.take([24]).map(lambda part: 2 * part, by_step=True)
        np.testing.assert_array_equal(doubled.steps(0, begin, end), 2 * array(24)[begin:end])


def test_what_is_stored_comes_back_in_any_order() -> None:
    store = cache.prepared(Numbered())
    check(store)
    assert store.facts == {"last": 290}
    assert len(list(store.folder.glob("*.arrow"))) > 3
    flat = np.concatenate([array(row).ravel() for row in range(300)])
    for begin, end in [(0, 0), (0, 1), (7, 400), (5, len(flat))]:
        np.testing.assert_array_equal(store.flat("inputs", begin, end), flat[begin:end])


def test_a_column_is_a_list() -> None:
    column: Column[Any] = cache.prepared(Numbered()).column("targets")
    chosen = column.take([5, 5, 299, 0])
    assert list(chosen) == [5 / 7, 5 / 7, 299 / 7, 0]
    assert chosen.take([2])[0] == 299 / 7
    assert chosen[1:3] == [5 / 7, 299 / 7]
    assert chosen[-1] == 0
    assert list(chosen.map(lambda value: value * 7).take([2, 0])) == [299, 5]
    assert chosen.whole().rows.tolist() == list(range(300))
    for wrong in (4, -5):
        with pytest.raises(IndexError):
            chosen[wrong]
    with pytest.raises(IndexError, match="not among 4 items"):
        chosen.take([4])


def test_files_of_several_types_have_one_that_holds_all() -> None:
    store = cache.prepared(Numbered(dtypes=("uint8", "float64")))
    assert store.dtype("inputs") == np.float64
    assert store.column("inputs")[1].dtype == np.float64
    np.testing.assert_array_equal(store.column("inputs")[299], array(299))


def test_an_interrupted_preparation_goes_on_after_its_last_whole_file() -> None:
    with pytest.raises(DataError, match="the source ends here"):
        cache.prepared(Numbered(fails_at=200))
    (entry,) = cache.entries()
    assert (entry.whole, entry.about) == (False, "")
    again = Numbered()
    store = cache.prepared(again)
    assert 0 < again.begun[0] < 200
    check(store)
    assert cache.entries()[0].whole


def in_another_process(folder: str, pause: float) -> None:
    os.environ["HOLDFAST_CACHE"] = folder
    smaller(pytest.MonkeyPatch())
    check(cache.prepared(Numbered(pause)))


def test_random_kills_and_starts_at_once_end_with_the_whole_set(tmp_path: Path) -> None:
    folder = str(tmp_path / "cache")
    seed = random.SystemRandom().randrange(10**6)
    moments = random.Random(seed)
    print(f"seed {seed}")
    for _ in range(3):
        process = PROCESSES.Process(target=in_another_process, args=(folder, 0.01))
        process.start()
        deadline = time.monotonic() + 60
        while not list(Path(folder).glob("prepared/*/*.tmp")) and process.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.2))
        process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
    both = [PROCESSES.Process(target=in_another_process, args=(folder, 0.001)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    check(cache.prepared(Numbered()))


def test_a_full_disk_is_one_sentence_and_what_is_whole_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = parts.PartWriter.close
    count = 0

    def full(writer: parts.PartWriter) -> parts.Part:
        nonlocal count
        count += 1
        if count == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return closed(writer)

    monkeypatch.setattr(parts.PartWriter, "close", full)
    with pytest.raises(DataError, match=r"cannot be prepared in .*: No space left .* HOLDFAST_CACHE"):
        cache.prepared(Numbered())
    (folder,) = [place for place in cache.sets_folder().iterdir() if place.is_dir()]
    assert sorted(file.name for file in folder.iterdir()) == ["00000.arrow", "00001.arrow", "progress.json"]
    monkeypatch.setattr(parts.PartWriter, "close", closed)
    again = Numbered()
    check(cache.prepared(again))
    assert again.begun[0] > 0


def test_a_changed_byte_is_refused_or_changes_nothing() -> None:
    folder = cache.prepared(Numbered()).folder
    whole = {file: file.read_bytes() for file in folder.iterdir()}
    chosen, refused = random.Random(1), 0
    for _ in range(150):
        file = chosen.choice(sorted(whole))
        content = bytearray(whole[file])
        content[chosen.randrange(len(content))] ^= 1 << chosen.randrange(8)
        file.write_bytes(content)
        try:
            check(Store(folder))
        except (DamagedError, DataError):
            refused += 1
        for each, kept_content in whole.items():
            each.write_bytes(kept_content)
    assert refused > 100
    check(Store(folder))


def test_a_hostile_description_is_refused() -> None:
    folder = cache.prepared(Numbered()).folder
    _, _, text = (folder / DESCRIPTION).read_bytes().partition(b"\n")
    table = json.loads(text)
    changes: list[dict[str, Any]] = [
        {"format": 2},
        {"kinds": {"inputs": "pickle"}},
        {"rests": {"inputs": [-3]}},
        {"rests": {"others": [3]}},
        {"parts": [{**table["parts"][0], "name": "../../secret"}]},
        {"parts": [{**table["parts"][0], "rows": ["a"]}]},
        {"parts": [{**table["parts"][0], "checksums": []}]},
        {"parts": 5},
    ]
    for change in changes:
        content = json.dumps({**table, **change}).encode()
        (folder / DESCRIPTION).write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
        with pytest.raises(DamagedError):
            Store(folder)
    (folder / DESCRIPTION).write_bytes(b"0" * 64 + b"\n" + text)
    with pytest.warns(HoldfastWarning, match=r"set\.json does not match its digest.*; they are prepared again"):
        check(cache.prepared(Numbered()))


def test_a_process_prepares_a_set_again_that_it_found_damaged() -> None:
    store = cache.prepared(Numbered())
    for part in store.folder.glob("*.arrow"):
        content = bytearray(part.read_bytes())
        content[len(content) // 2] ^= 1
        part.write_bytes(content)
    with pytest.raises(DataError, match="were discarded"):
        check(store)
    check(cache.prepared(Numbered()))  # while the damaged one is still open here
    assert len(store)


def test_a_source_that_changes_while_it_is_read_is_refused() -> None:
    class Changing(Numbered):
        changes = 0

        def identity(self) -> Any:
            self.changes += 1
            return self.changes

    with pytest.raises(DataError, match="numbers changed while it was read"):
        cache.prepared(Changing())
    assert not [entry for entry in cache.entries() if entry.whole]


def test_sets_are_listed_and_deleted_unless_they_are_used() -> None:
    store = cache.prepared(Numbered())
    other = cache.prepared(Numbered(dtypes=("float64",)))
    assert {entry.key for entry in cache.entries()} == {store.key, other.key}
    assert all(entry.size >= each.size for entry, each in zip(cache.entries(), (other, store), strict=True))
    with pytest.raises(cache.InUseError, match="A process uses the prepared data"):
        cache.delete(store.key)
    with pytest.raises(DataError, match="0 prepared sets have names that begin with 'x'"):
        cache.delete("x")
    key = store.key
    del store
    assert cache.delete(key[:6]).key == key
    assert [entry.key for entry in cache.entries()] == [other.key]


def test_pieces_that_do_not_agree_are_refused(tmp_path: Path) -> None:
    def source(*values: Any) -> FileSource:
        files = [tmp_path / f"{number}.x" for number in range(len(values))]
        for file in files:
            file.touch()
        entries = [Entry.whole(file, lambda value=value: value) for file, value in zip(files, values, strict=True)]
        return FileSource("test", files, {"values": str(values)}, lambda: entries)

    three, two = (Examples(np.ones((1, 2, channels)), ["a"], [f"{channels} channels"]) for channels in (3, 2))
    with pytest.raises(DataError, match="2 channels has 2 values per step; the examples before it have 3"):
        kept(source(three, two))
    with pytest.raises(DataError, match=r"has arrays as inputs, and the examples before it have .* texts as targets"):
        kept(source(three, three.unlabelled()))
    steps = Examples([np.ones((2, 3))], [np.ones(2)], ["steps"], per_step=True)
    numbers = Examples([np.ones((2, 3))], [1.0], ["numbers"])
    with pytest.raises(DataError, match=r"numbers: other files have targets for each step.* data\.per"):
        kept(source(steps, numbers))
    both = kept(source(Records(["a b"], ["x"], ["one"], True), Records(["c"], ["y"], ["two"], True)))
    assert (list(both.inputs), both.labels, list(both.origins)) == (["a b", "c"], ["x", "y"], ["one", "two"])
    with pytest.raises(DataError, match="half a surrogate pair"):
        kept(source(Records(["\ud800"], ["x"], ["one"])))


def test_the_digest_of_the_content_does_not_depend_on_the_names_of_files() -> None:
    one = cache.prepared(Numbered())

    class Moved(Numbered):
        def identity(self) -> Any:
            return "moved"

        def pieces(self, position: Any, facts: dict[str, Any]) -> Iterator[Piece]:
            for piece in super().pieces(position, facts):
                origins = [f"/another/place/{origin}" for origin in piece.columns["origins"]]
                yield Piece({**piece.columns, "origins": origins}, piece.kinds, piece.facts, piece.position, piece.done)

    assert cache.prepared(Moved()).digest == one.digest
    assert cache.prepared(Numbered(dtypes=("float64",))).digest != one.digest


def test_a_set_is_whole_only_once_it_was_checked() -> None:
    class Interrupted(Numbered):
        verified = 0

        def verify(self, store: Store) -> None:
            super().verify(store)
            self.verified += 1
            if self.verified == 1:
                raise KeyboardInterrupt

    source = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        cache.prepared(source)
    assert [entry.whole for entry in cache.entries()] == [False]
    begun = len(source.begun)
    check(cache.prepared(source))
    assert (source.verified, len(source.begun)) == (2, begun)


def test_a_cache_for_reading_alone_gives_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    key = cache.prepared(Numbered()).key
    opened, access = os.open, os.access

    def refuse(path: Any, flags: int, *mode: int) -> int:
        if flags & os.O_RDWR:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, *mode)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    monkeypatch.setattr(os, "utime", None)
    store = cache.prepared(Numbered())
    assert store.key == key
    check(store)
    with pytest.raises(DataError, match=r"The cache .* cannot be used: Read-only file system\. Name another folder"):
        cache.prepared(Numbered(dtypes=("float64",)))


def test_a_source_without_examples_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    source = FileSource("test", [tmp_path / "x"], {}, lambda: [Entry(tmp_path / "x", lambda _: iter(()))])
    with pytest.raises(DataError, match=r"x: there is nothing to read; expected at least one example"):
        kept(source)


def test_a_file_behind_a_link_that_changes_makes_another_set(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "x").write_text("1")
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "link").symlink_to(tmp_path / "far")
    before = FileSource("test", [tmp_path / "near"], {}, list).identity()
    (tmp_path / "far" / "x").write_text("22")
    assert FileSource("test", [tmp_path / "near"], {}, list).identity() != before
