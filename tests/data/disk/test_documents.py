"""Long texts on disk: they come back whole, in pieces and cut."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from holdfast.data.disk import documents as stored
from holdfast.data.disk.documents import Documents, characters_of, pieces_of
from holdfast.data.readers import documents
from holdfast.errors import DataError

TEXTS = ["one two  three\nfour\r\nfive " * 9, "", "x" * 100 + " y", "\ufeffmark\0 ü\r end"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("holdfast.data.disk.documents.PIECE", 16)
    monkeypatch.setattr("holdfast.data.disk.parts.BLOCK_BYTES", 50)
    paths = [tmp_path / f"{number}.txt" for number in range(len(TEXTS))]
    for path, text in zip(paths, TEXTS, strict=True):
        path.write_bytes(text.encode())
    paths[2].write_bytes(gzip.compress(paths[2].read_bytes()))
    return paths


@pytest.mark.parametrize("unit", ["characters", "words", "pieces"])
def test_texts_and_their_parts_are_those_in_memory(unit: str, files: list[Path]) -> None:
    memory, disk = documents.whole(files), stored.documents(files, unit)
    assert isinstance(disk.inputs, Documents)
    assert list(disk.inputs) == list(memory.inputs)
    assert list(disk.origins) == list(memory.origins)
    count = characters_of(memory.inputs)
    assert characters_of(disk.inputs) == count
    assert "".join(pieces_of(disk.inputs)) == "".join(memory.inputs)
    assert len(list(pieces_of(disk.inputs))) > len(files) + 5
    for position in range(-1, count + 2):
        for one, other in zip(documents.cut(memory, position), documents.cut(disk, position), strict=True):
            assert list(one.inputs) == list(other.inputs), position
            assert list(one.origins) == list(other.origins)
            assert characters_of(one.inputs) == characters_of(other.inputs)
            assert "".join(one.inputs) == "".join(pieces_of(other.inputs))
    twice = documents.cut(documents.cut(disk, 200)[0], 50)
    assert ["".join(part.inputs) for part in twice] == ["".join(memory.inputs)[:50], "".join(memory.inputs)[50:200]]


@pytest.mark.parametrize(("unit", "before"), [("pieces", " "), ("words", " \n"), ("characters", "")])
def test_a_piece_ends_where_no_token_is_cut(unit: str, before: str, files: list[Path]) -> None:
    disk = stored.documents(files[:1], unit)
    assert isinstance(disk.inputs, Documents)
    pieces = list(disk.inputs.texts())
    assert all(text[0] in before for text in pieces[1:] if before)
    assert max(map(len, pieces)) == {"pieces": 25, "words": 20, "characters": 16}[unit]


def test_what_is_not_text_is_refused(files: list[Path]) -> None:
    files[0].write_bytes(b"abc \xff")
    with pytest.raises(DataError, match="is not text in UTF-8"):
        stored.documents(files, "pieces")
