"""What a server says where only ``holdfast-runtime`` is installed."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from holdfast.errors import MissingLibraryError
from holdfast.serve import installed


def test_all_of_holdfast_is_here() -> None:
    installed.check_whole("m")


def test_the_version_of_either_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    def version_of(only: str) -> str:
        def version(name: str) -> str:
            if name != only:
                raise PackageNotFoundError(name)
            return f"that of {only}"

        monkeypatch.setattr(installed, "version", version)
        return installed.installed_version()

    for name in ("holdfast", "holdfast-runtime"):
        assert version_of(name) == f"that of {name}"


def test_what_needs_torch_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    with pytest.raises(
        MissingLibraryError, match=rf"^{re.escape(str(tmp_path))} needs torch for this; holdfast-runtime"
    ):
        installed.check_whole(tmp_path)
