"""Every reader, given files that are damaged or lie: a clean error or a value, in little time and memory."""

from __future__ import annotations

import sys

import pytest
from tests.mutation.run import outcomes
from tests.mutation.subjects import GROUPS

FILES = 105
"""For each reader."""

_LIBRARIES = {
    "sound": ("soundfile", "kaldi_native_fbank", "soxr"),
    "onnx": ("onnx",),
    "keras": ("h5py",),
    "tf1": ("cramjam",),
}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("group", GROUPS)
def test_damaged_files_end_in_a_clean_error(group: str) -> None:
    for library in _LIBRARIES.get(group, ()):
        pytest.importorskip(library, reason=f"needs {library}")
    found = list(outcomes(group, FILES))
    assert [f"{one.subject}, {one.change}: {one.fault}" for one in found if one.fault] == []
    subjects = {one.subject for one in found}
    refused = {one.subject for one in found if one.kind == "clean"}
    assert refused == subjects
    assert len(found) >= FILES * len(subjects) / 2
