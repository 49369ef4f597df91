import gzip

import pytest

from holdfast.data.readers import documents
from holdfast.errors import DataError, MissingDataError


def test_files_and_folders_of_them_gzipped_or_not(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.txt").write_text("zwei\n", "utf-8")
    (tmp_path / "deep" / "a.txt.gz").write_bytes(gzip.compress("größer".encode()))
    (tmp_path / "notes.md").write_text("not among the texts of the folder")
    (tmp_path / "empty.TXT").write_text("")
    (tmp_path / ".hidden.txt").write_text("nor is this")
    found = documents.whole([tmp_path / "notes.md", tmp_path])
    assert found.inputs == ["not among the texts of the folder", "zwei\n", "größer", ""]
    assert found.targets == found.inputs
    assert found.origins == [str(tmp_path / name) for name in ("notes.md", "b.txt", "deep/a.txt.gz", "empty.TXT")]


def test_line_breaks_of_every_kind_and_the_byte_order_mark(tmp_path):
    path = tmp_path / "breaks.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert documents.decoded(path) == "one\ntwo\nthree\n"


def test_lines_leave_out_what_is_blank_and_say_where_they_stood(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("emma\n\n  olivia \n \t\nava")
    found = documents.lines([path])
    assert found.inputs == found.targets == ["emma", "olivia", "ava"]
    assert found.origins == [f"{path}[{k}]" for k in (0, 2, 4)]


def test_texts_are_cut_as_one(tmp_path):
    for name, content in (("a.txt", "abcd"), ("b.txt", "efg"), ("c.txt", "hi")):
        (tmp_path / name).write_text(content)
    texts = documents.whole([tmp_path])
    cuts = {}
    for position in (0, 3, 4, 5, 9):
        front, back = documents.cut(texts, position)
        assert front.targets == front.inputs
        assert back.targets == back.inputs
        cuts[position] = (front.inputs, back.inputs)
    assert cuts == {
        0: ([], ["abcd", "efg", "hi"]),
        3: (["abc"], ["d", "efg", "hi"]),
        4: (["abcd"], ["efg", "hi"]),
        5: (["abcd", "e"], ["fg", "hi"]),
        9: (["abcd", "efg", "hi"], []),
    }
    assert [len(part) for part in documents.cut(texts, 5)[1].origins] == [len(str(tmp_path / "b.txt"))] * 2


def test_what_is_wrong_is_said(tmp_path):
    (tmp_path / "latin.txt").write_bytes("größer".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.txt, line 1, is not UTF-8 text \(.*\)\. Save the file in UTF-8\.$"):
        documents.whole([tmp_path / "latin.txt"])
    with pytest.raises(MissingDataError, match=r"^There is no file or folder .*absent\.txt\. Check the path; relative"):
        documents.whole([tmp_path / "absent.txt"])
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"folder has no text file; expected files that end in \.txt or \.txt\.gz\.$"):
        documents.lines([tmp_path / "folder"])
    (tmp_path / "cut.txt").write_bytes(gzip.compress(b"a long text, " * 100)[:30])
    with pytest.raises(DataError, match=r"cut\.txt is cut short: its gzip stream has no end\."):
        documents.whole([tmp_path / "cut.txt"])
