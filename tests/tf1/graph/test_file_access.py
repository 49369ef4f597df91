from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.tf1 import graph as tf

gfile = tf.gfile


def test_files_are_written_and_read(tmp_path: Path) -> None:
    path = str(tmp_path / "a.txt")
    with gfile.GFile(path, "w") as file:
        file.write("één\ntwo\n")
    assert gfile.Open(path).read() == "één\ntwo\n"
    assert list(gfile.FastGFile(path)) == ["één\n", "two\n"]
    assert gfile.GFile(path, "rb").readline() == "één\n".encode()
    assert gfile.GFile(path).size() == 10
    assert gfile.Stat(path).length == 10


def test_folders(tmp_path: Path) -> None:
    gfile.MakeDirs(tmp_path / "x" / "y")
    gfile.MakeDirs(tmp_path / "x" / "y")
    for name in ("b.txt", "a.txt"):
        gfile.GFile(tmp_path / "x" / name, "w").write("")
    gfile.Copy(tmp_path / "x" / "a.txt", tmp_path / "x" / "c.txt")
    assert gfile.ListDirectory(tmp_path / "x") == ["a.txt", "b.txt", "c.txt", "y"]
    assert gfile.Glob(str(tmp_path / "x" / "*.txt")) == [str(tmp_path / "x" / f"{name}.txt") for name in "abc"]
    assert gfile.IsDirectory(tmp_path / "x")
    gfile.Rename(tmp_path / "x" / "c.txt", tmp_path / "x" / "a.txt", overwrite=True)
    gfile.Remove(tmp_path / "x" / "b.txt")
    assert [names for _, _, names in gfile.Walk(tmp_path / "x")] == [["a.txt"], []]
    gfile.DeleteRecursively(tmp_path / "x")
    assert not gfile.Exists(tmp_path / "x")


def test_errors_are_those_of_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(tf.errors.NotFoundError, match="nothing; No such file or directory"):
        gfile.GFile(tmp_path / "nothing").read()
    with pytest.raises(tf.errors.NotFoundError, match="nothing"):
        gfile.DeleteRecursively(tmp_path / "nothing")
    with pytest.raises(tf.errors.AlreadyExistsError, match="a exists; expected none, or overwrite=True"):
        gfile.Copy(tmp_path / "a", tmp_path / "a")
