from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from holdfast.data.readers import pairs
from holdfast.errors import DataError, MissingDataError


def save(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def told(paths: list[Path], parallel: bool = False) -> str:
    with pytest.raises(DataError) as error:
        pairs.read(paths, parallel=parallel)
    return str(error.value)


def test_a_source_that_occurs_again_is_one_record_with_all_its_targets(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tsv", "Go.\tVa !\tby whom\nRun!\tCours\u202f!\n\nGo.\tMarche.\nGo.\tVa !\n")
    found = pairs.read([path])
    assert found.inputs == ["Go.", "Run!"]
    assert found.targets == [["Va !", "Marche."], ["Cours !"]]
    assert found.origins == [f"{path}[0]", f"{path}[1]"]


def test_gzipped_files_are_read_as_plain_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress("\ufeffété\tsummer\r\nla  mer\tthe sea\r\n".encode()))
    found = pairs.read([path, save(tmp_path / "b.txt", "eau\twater")])
    assert found.inputs == ["été", "la mer", "eau"]
    assert found.targets == [["summer"], ["the sea"], ["water"]]


def test_parallel_files(tmp_path: Path) -> None:
    ours = save(tmp_path / "a.en", "one\ntab\tis a space here\n\ntwo\n")
    theirs = save(tmp_path / "a.fr", "un\ntabulation\n\ndeux\n")
    found = pairs.read([ours, theirs], parallel=True)
    assert found.inputs == ["one", "tab is a space here", "two"]
    assert found.targets == [["un"], ["tabulation"], ["deux"]]
    assert found.origins == [f"{ours}[0]", f"{ours}[1]", f"{ours}[3]"]


@pytest.mark.parametrize("parallel", [False, True])
def test_sources_alone_keep_every_line(parallel: bool, tmp_path: Path) -> None:
    path = save(tmp_path / "a.txt", "one\ntwo\n\none\n")
    found = pairs.read([path], parallel=parallel)
    assert (found.inputs, found.targets) == (["one", "two", "one"], None)
    assert found.origins == [f"{path}[0]", f"{path}[1]", f"{path}[3]"]


def test_pairs_turned_round_and_taken_apart() -> None:
    found = pairs.grouped(["a", "b", "a"], ["x", "x", "y"], ["f[0]", "f[1]", "f[2]"])
    round_ = pairs.inverted(found)
    assert (round_.inputs, round_.targets) == (["x", "y"], [["a", "b"], ["a"]])
    assert round_.origins == ["f[0]", "f[0]"]
    each = pairs.apart(found)
    assert (each.inputs, each.targets) == (["a", "a", "b"], [["x"], ["y"], ["x"]])


def test_errors_name_the_file_and_the_line(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tsv", "one\tun\n\ntwo\n")
    message = f"{path}, line 3, has no tab, and other lines have one; expected source<TAB>target in each."
    assert told([path]) == message
    path = save(tmp_path / "b.tsv", "one\tun\n\tdeux\n")
    assert told([path]) == f"{path}, line 2, has an empty source or target; expected source<TAB>target."
    path = save(tmp_path / "c.tsv", "\n\n")
    assert told([path]) == f"{path} is empty; expected at least one line."
    path = tmp_path / "d.tsv"
    path.write_bytes(b"one\tun\ntwo\t\xff\n")
    message = f"{path}, line 2, is not UTF-8 text (invalid start byte). Save the file in UTF-8."
    assert told([path]) == message
    assert told([]) == "No files were given to read; expected at least one."
    missing = re.escape(f"There is no file {tmp_path / 'e.tsv'}. Check the path; relative paths start at {Path.cwd()}.")
    with pytest.raises(MissingDataError, match=f"^{missing}$"):
        pairs.read([tmp_path / "e.tsv"])


def test_errors_of_parallel_files(tmp_path: Path) -> None:
    ours, theirs = save(tmp_path / "a.en", "one\ntwo\n"), save(tmp_path / "a.fr", "un\n")
    message = f"{ours} has 2 lines and {theirs} has 1; expected the same number of lines."
    assert told([ours, theirs], parallel=True) == message
    assert (
        told([ours, theirs, ours], parallel=True)
        == "3 files were given; expected pairs of a file of sources and a file of targets."
    )
    save(theirs, "un\n\n")
    message = f"{theirs}, line 2, is empty, and the same line of the other file is not."
    assert told([ours, theirs], parallel=True) == message
    assert (
        told([theirs, ours], parallel=True)
        == f"{theirs}, line 2, is empty, and the same line of the other file is not."
    )
    empty = save(tmp_path / "b.en", "\n")
    assert told([empty, empty], parallel=True) == f"{empty} is empty; expected at least one line."


def test_a_cut_gzip_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(b"one\tun\n" * 100)[:-9])
    assert told([path]) == f"{path} is cut short: its gzip stream has no end. Copy or download it again."
