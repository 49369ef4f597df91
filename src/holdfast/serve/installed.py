"""What is installed here: all of Holdfast, or ``holdfast-runtime`` alone, which has no torch."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from holdfast.errors import MissingLibraryError


def installed_version() -> str:
    """The version of Holdfast."""
    try:
        return version("holdfast")
    except PackageNotFoundError:
        return version("holdfast-runtime")


def is_whole() -> bool:
    """Whether all of Holdfast is installed."""
    return find_spec("holdfast.predictor") is not None


def check_whole(path: Path | str) -> None:
    """Refuses what needs torch where only ``holdfast-runtime`` is installed.

    Args:
        path: The model.

    Raises:
        MissingLibraryError: The rest of Holdfast is not installed.
    """
    if not is_whole():
        raise MissingLibraryError(
            f"{path} needs torch for this; holdfast-runtime, which is installed here, serves the tensors of models "
            "that stream. Install the wheel of holdfast next to it."
        )
