"""A set on disk: its description, and access to the items in its mapped files."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from holdfast.data.disk.blocks import KINDS, Block, Kind, arrow, checksum
from holdfast.data.disk.columns import Column
from holdfast.data.disk.mapping import MappedFile
from holdfast.data.disk.parts import Part
from holdfast.errors import DataError
from holdfast.files.container import replace_file

FORMAT = 1
"""The version of the files; another version is another set."""
DESCRIPTION = "set.json"
_OPEN_PARTS, _OPEN_BLOCKS = 128, 8192
"""Files and blocks that are kept mapped; an open block takes about two kilobytes."""
_MOST_SET = 2**28
"""The largest description that is read, in bytes."""

T = TypeVar("T")


class DamagedError(Exception):
    """A set cannot be used; the message says why."""


@dataclass(frozen=True)
class Description:
    """What a set holds.

    Attributes:
        kinds: The kind of each column.
        rests: The dimensions of the arrays of each column after the first one.
        parts: Its files.
        facts: What its source knows about all of it, as JSON values.
        about: Where it came from, for a person.
    """

    kinds: dict[str, Kind]
    rests: dict[str, list[int]]
    parts: list[Part]
    facts: dict[str, Any]
    about: str = ""

    def write(self, path: Path, **more: Any) -> None:
        """Writes it with its digest, atomically.

        Raises:
            OSError: There is no room.
        """
        table = {**vars(self), "parts": [part.as_dict() for part in self.parts], "format": FORMAT, **more}
        text = json.dumps(table, ensure_ascii=True).encode()
        replace_file(path, hashlib.sha256(text).hexdigest().encode(), b"\n", text)

    @classmethod
    def read(cls, path: Path) -> tuple[Self, dict[str, Any]]:
        """Reads a description, and what was written with it.

        Raises:
            DamagedError: It is not one, or has changed.
        """
        try:
            if path.stat().st_size > _MOST_SET:
                raise DamagedError(f"{path.name} has more than {_MOST_SET:,} bytes")
            seal, _, text = path.read_bytes().partition(b"\n")
            if hashlib.sha256(text).hexdigest().encode() != seal:
                raise DamagedError(f"{path.name} does not match its digest")
            table = json.loads(text)
            if table.pop("format") != FORMAT:
                raise DamagedError(f"{path.name} is of another version")
            kinds, rests = dict(table.pop("kinds")), dict(table.pop("rests"))
            if not (set(kinds.values()) <= set(KINDS) and rests.keys() <= kinds.keys()):
                raise DamagedError(f"{path.name} names columns of unknown kinds")
            if not all(isinstance(size, int) and size > 0 for rest in rests.values() for size in rest):
                raise DamagedError(f"{path.name} has a dimension that is not a number above 0")
            parts = [Part.of(part) for part in table.pop("parts")]
            return cls(kinds, rests, parts, dict(table.pop("facts")), str(table.pop("about"))), table
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedError(f"{path.name} cannot be read ({type(error).__name__})") from error


class Store:
    """A whole set. Its files are mapped when an item of them is used.

    Args:
        folder: The folder of the set.
        description: The name of its description.

    Attributes:
        folder: The folder.
        key: The name of the folder, which stands for the sources and settings.
        kinds: The kind of each column.
        facts: As in :class:`Description`.
        digest: SHA-256 of the content, without the names of files: equal for equal data in another place.

    Raises:
        DamagedError: The description or the size of a file is wrong.
    """

    def __init__(self, folder: Path, description: str = DESCRIPTION) -> None:
        self.folder, self.key = folder, folder.name
        described, _ = Description.read(folder / description)
        self.kinds, self.facts, self._rests = described.kinds, described.facts, described.rests
        self._parts = described.parts
        for part in self._parts:
            path = self._path(part)
            size = path.stat().st_size if path.is_file() else -1
            if size != part.size:
                raise DamagedError(f"{path.name} has {size} bytes; expected {part.size}")
        whole = hashlib.sha256(json.dumps([part.digest for part in self._parts]).encode())
        self.digest = whole.hexdigest()
        self._places = [(part, block) for part, each in enumerate(self._parts) for block in range(len(each.rows))]
        counts = [rows for part in self._parts for rows in part.rows]
        self._starts = np.cumsum([0, *counts], dtype=np.int64)
        self._checked = bytearray(len(counts))
        self._files: OrderedDict[int, MappedFile] = OrderedDict()
        self._latest = -1
        self._blocks: OrderedDict[int, Block] = OrderedDict()
        self._sizes: dict[str, npt.NDArray[np.int64]] = {}
        self._flat: dict[str, npt.NDArray[np.int64]] = {}
        self._dtypes: dict[str, np.dtype[Any]] = {}
        self._lock = threading.Lock()
        self.lock: object = None  # of the set in the cache, held for as long as the set is used

    def __len__(self) -> int:
        """The number of items of each column."""
        return int(self._starts[-1])

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(part.size for part in self._parts)

    def column(self, name: str) -> Column[Any]:
        """All items of a column."""
        return Column(self, name)

    def item(self, name: str, row: int) -> Any:
        """An item: a read-only array, a number, a text or a list of texts.

        Raises:
            DataError: The file has been damaged.
        """
        number = int(np.searchsorted(self._starts, row, "right")) - 1
        item = self._block(number, name).item(name, row - int(self._starts[number]))
        if self.kinds[name] != "array":
            return item
        return item.reshape(-1, *self._rests[name]).astype(self.dtype(name), copy=False)

    def steps(self, name: str, row: int, begin: int, end: int) -> Any:
        """A part of an array, from ``begin`` to before ``end`` of its first dimension: a read-only array.

        Raises:
            DataError: The file has been damaged.
        """
        number = int(np.searchsorted(self._starts, row, "right")) - 1
        every = int(np.prod(self._rests[name]))
        item = self._block(number, name).part(name, row - int(self._starts[number]), begin * every, end * every)
        return item.reshape(-1, *self._rests[name]).astype(self.dtype(name), copy=False)

    def sizes(self, name: str) -> npt.NDArray[np.int64]:
        """The first dimension of each array, or the number of texts of each list, [N]."""
        if name not in self._sizes:
            every = int(np.prod(self._rests.get(name, [])))
            blocks = (self._block(number, name, check=False).sizes(name) for number in range(len(self._places)))
            sizes = np.concatenate([np.zeros(0, np.int64), *blocks])
            if (sizes < 0).any() or (sizes % every).any():
                raise self._damaged("the sizes of its arrays are impossible")
            self._sizes[name] = sizes // every
        return self._sizes[name]

    def numbers(self, name: str) -> npt.NDArray[Any]:
        """All values of a column of numbers or arrays, in memory, one after another."""
        blocks = [self._block(number, name).numbers(name) for number in range(len(self._places))]
        return np.concatenate([np.zeros(0, blocks[0].dtype if blocks else np.float64), *blocks])

    def flat(self, name: str, begin: int, end: int) -> npt.NDArray[Any]:
        """Some of all values of a column of arrays, as if they were one array."""
        if name not in self._flat:
            ends = np.concatenate([[0], np.cumsum(self.sizes(name))])[self._starts]
            self._flat[name] = ends * int(np.prod(self._rests[name]))
        starts = self._flat[name]
        found = [np.zeros(0, self.dtype(name))]
        number = int(np.searchsorted(starts, begin, "right")) - 1
        while begin < end:
            first = int(starts[number])
            block = self._block(number, name)
            found.append(block.ready(block.numbers(name)[begin - first : end - first]))
            begin += len(found[-1])
            number += 1
        return np.concatenate(found)

    def dtype(self, name: str) -> np.dtype[Any]:
        """The type of a column of arrays: one that holds the values of all files."""
        if name not in self._dtypes:
            firsts = np.cumsum([0, *(len(part.rows) for part in self._parts)])[:-1]
            known = [self._block(int(first), name, check=False).numbers(name).dtype for first in firsts]
            self._dtypes[name] = np.result_type(*known) if known else np.dtype(np.float32)
        return self._dtypes[name]

    def rest(self, name: str) -> tuple[int, ...]:
        """The dimensions of the arrays of a column after the first one."""
        return tuple(self._rests[name])

    def origin(self, row: int) -> str:
        """Where an item came from, for messages."""
        return str(self.item("origins", row)) if "origins" in self.kinds else f"item {row}"

    def _block(self, number: int, name: str, *, check: bool = True) -> Block:
        """A block of which a column is read, checked when it is first used."""
        with self._lock:
            block = self._blocks.get(number)
            if block is None:
                block = self._blocks[number] = self._opened(number)
                if len(self._blocks) > _OPEN_BLOCKS:
                    self._blocks.popitem(last=False)
            else:
                self._blocks.move_to_end(number)
            unchecked = check and not self._checked[number]
            if unchecked:
                block.will_need()
            elif check and number == self._latest + 1:  # the column is read in order
                block.will_need(name)
            self._latest = number if check else -1
            if unchecked:
                self._check(number, block)
            return block

    def _check(self, number: int, block: Block) -> None:
        """Checks the values of a block: its checksum; and that offsets are within their buffers, and texts UTF-8."""
        part, place = self._places[number]
        name = self._path(self._parts[part]).name
        if checksum(block) != self._parts[part].checksums[place]:
            raise self._damaged(f"block {place} of {name} has another checksum")
        try:
            block.validate()
        except ValueError as error:
            raise self._damaged(f"block {place} of {name}: {str(error).splitlines()[0]}") from error
        self._checked[number] = 1

    def _opened(self, number: int) -> Block:
        place, block = self._places[number]
        pa, part = arrow(), self._parts[place]
        try:
            mapped = self._files.get(place)
            if mapped is None:
                mapped = self._files[place] = MappedFile(self._path(part))
                if len(self._files) > _OPEN_PARTS:
                    self._files.popitem(last=False)
            if mapped.reader.num_record_batches != len(part.rows):
                raise ValueError(f"it has {mapped.reader.num_record_batches} blocks; expected {len(part.rows)}")
            batch = mapped.reader.get_batch(block)
            if batch.num_rows != part.rows[block]:
                raise ValueError(f"a block has {batch.num_rows} items; expected {part.rows[block]}")
            return Block(batch, self.kinds, mapped)
        except (pa.ArrowException, ValueError, OSError, IndexError) as error:
            reason = (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
            raise self._damaged(f"{self._path(part).name}: {reason}") from error

    def _path(self, part: Part) -> Path:
        return self.folder / f"{part.name}.arrow"

    def _damaged(self, reason: str) -> DataError:
        """The error for a set that was found damaged in use; the next start prepares it again."""
        (self.folder / DESCRIPTION).unlink(missing_ok=True)
        self.lock = None  # so that it can be prepared again, also by this process
        return DataError(
            f"The prepared data in {self.folder} are damaged ({reason}), and were discarded. Start again, with "
            "--resume if the run had begun: they are then prepared again."
        )


def facts_of(description: Mapping[str, Any], name: str, default: T) -> T:
    """A fact of a set, if it is of the type of its default."""
    value = description.get(name, default)
    if not isinstance(value, type(default)):
        raise DamagedError(f"the fact {name} of the set is {value!r}")
    return value
