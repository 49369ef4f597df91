"""Files of Keras that are not what they say: one clear error each, soon, in little memory, and nothing is executed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import NamedTuple

import pytest

pytest.importorskip("h5py", reason="needs h5py: pip install 'holdfast[h5]'")

from tests.interop.keras import hostile_archives, hostile_configurations, hostile_hdf5  # noqa: F401 (each adds to CASES)
from tests.interop.keras.hostile_bytes import CHANGED
from tests.interop.keras.hostile_cases import CASES

SECONDS, MEGABYTES = 2, 250

# Run in a process of its own: a file that breaks the reader does not break the tests. Its times are those of the
# processor, of it and of the processes that it starts; its memory is what all of them had at most beyond the
# reader itself, which takes 230 MB with torch for the CPU and 510 MB with torch for CUDA.
PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop.keras import files as keras_files

def spent():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

def most():
    own = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return max(int(own.split()[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024

reader = most()
for path in sys.argv[1:]:
    start = spent()
    try:
        keras_files.read(Path(path))
        outcome = ("", "")
    except (ConversionError, ModelFileError) as error:
        outcome = (type(error).__name__, str(error))
    except BaseException as error:
        outcome = ("another error", repr(error)[:300])
    print(json.dumps([path, *outcome, spent() - start, most() - reader]), flush=True)
"""


class Outcome(NamedTuple):
    kind: str
    message: str
    seconds: float
    megabytes: float


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What came of each file."""
    folder = tmp_path_factory.mktemp("hostile")
    paths = {}
    for number, (name, (ending, make, _)) in enumerate(CASES.items()):
        paths[str(folder / f"{number}{ending}")] = name
        make(folder / f"{number}{ending}")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *paths], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert not (folder / "EXECUTED").exists()
    return {paths[path]: Outcome(*rest) for path, *rest in map(json.loads, done.stdout.splitlines())}


def test_there_are_many() -> None:
    assert len(CASES) >= 80


@pytest.mark.parametrize("name", CASES)
def test_one_clear_error(name: str, outcomes: dict[str, Outcome]) -> None:
    assert name in outcomes, "the process broke on this file, or on one before it"
    outcome = outcomes[name]
    if name not in CHANGED or outcome.kind:  # a change may lie where it says nothing, or be one of a weight
        assert outcome.kind in ("ModelFileError", "ConversionError"), outcome.message
        assert CASES[name][2] in outcome.message
        assert 20 < len(outcome.message) < 2000
    assert outcome.seconds < SECONDS
    assert outcome.megabytes < MEGABYTES
