"""Whether data are kept in memory or on disk: ``data.storage``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from holdfast.data.disk.files import files_in
from holdfast.errors import HoldfastWarning

SHARE = 8
"""Files above this part of the memory, one eighth, are kept on disk: numbers as text and texts become several times as
large in memory, and the encoded data are beside them."""
PACKED = 5
"""A gzipped file counts as this many times its size."""
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def on_disk(storage: Literal["auto", "memory", "disk"], paths: Sequence[Path]) -> bool:
    """Whether to keep the data of some files on disk.

    Args:
        storage: The field ``data.storage``.
        paths: The files and folders of all splits; only their sizes are looked at.
    """
    if storage != "auto":
        return storage == "disk"
    size = sum(file.stat().st_size * (PACKED if file.suffix == ".gz" else 1) for file in files_in(paths))
    memory = memory_bytes()
    if not memory or size * SHARE <= memory:
        return False
    if find_spec("pyarrow") is None:
        warnings.warn(
            f"The data have {size:,} bytes, and there are {memory:,} bytes of memory. They are read into memory; to "
            "keep them on disk, pip install 'holdfast[disk]'.",
            HoldfastWarning,
            stacklevel=2,
        )
        return False
    return True


def memory_bytes() -> int:
    """The bytes of memory that this process may use, by the machine or its control group; 0 if unknown."""
    known = []
    if "SC_PHYS_PAGES" in os.sysconf_names:
        known.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in _LIMITS:
        try:
            known.append(int(Path(path).read_text()))
        except (OSError, ValueError):  # no such file, or the word "max"
            continue
    return min(known, default=0)
