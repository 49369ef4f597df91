"""The files inside a folder: links are followed, and never in a circle."""

from __future__ import annotations

from pathlib import Path

from holdfast.files.inside import files_inside


def test_links_are_followed_except_back(tmp_path: Path) -> None:
    far, near = tmp_path / "far", tmp_path / "near"
    for folder in (far / "deep", near):
        folder.mkdir(parents=True)
    for file in (far / "1", far / "deep" / "2", near / "b"):
        file.touch()
    (near / "a").symlink_to(far)
    (near / "c").symlink_to(far / "1")
    (near / "gone").symlink_to(tmp_path / "nowhere")
    (far / "deep" / "back").symlink_to(far)
    assert files_inside(near) == [near / name for name in ("a/1", "a/deep/2", "b", "c")]
