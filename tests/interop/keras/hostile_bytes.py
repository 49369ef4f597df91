"""Files of Keras that are cut off, replaced, or changed in a few bytes; this module adds them to CASES."""

from __future__ import annotations

import functools
import pickle
import random
from collections.abc import Callable
from pathlib import Path

from tests.interop.keras.hostile_cases import DAMAGED, Make, case, good


def changed(ending: str, change: Callable[[bytes], bytes]) -> Make:
    def make(path: Path) -> None:
        good(ending)(path)
        path.write_bytes(change(path.read_bytes()))

    return make


def cut(data: bytes, part: float) -> bytes:
    """So many bytes, or that part of them."""
    return data[: part if isinstance(part, int) else int(part * len(data))]


for _ending in (".keras", ".h5", ".weights.h5"):
    for _part in (0, 1, 8, 96, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999):
        case(f"{_ending} cut at {_part}", _ending, "", changed(_ending, functools.partial(cut, part=_part)))
    case(f"{_ending} of zeros", _ending, DAMAGED, lambda path: path.write_bytes(bytes(5000)))
    case(f"{_ending} of noise", _ending, DAMAGED, lambda path: path.write_bytes(random.Random(1).randbytes(5000)))
    case(f"{_ending} that is a pickle", _ending, DAMAGED, lambda path: path.write_bytes(pickle.dumps({"a": 1})))


def flipped(data: bytes, seed: int) -> bytes:
    """A few bytes changed at random."""
    draw, changed = random.Random(seed), bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        place = draw.randrange(len(data))
        flip = changed[place] ^ (1 << draw.randrange(8))
        changed[place] = draw.choice([0, 255, draw.randrange(256), flip, 127, 128])
    return bytes(changed)


# Of the first file, seeds 17 and 132 keep HDF5 2.0 busy for ever.
CHANGED = {f"{ending} changed by {seed}" for ending in (".h5", ".weights.h5") for seed in (17, 132, *range(8))}
for _name in sorted(CHANGED):
    _ending, _seed = _name.split(" ")[0], int(_name.split(" ")[-1])
    case(_name, _ending, "", changed(_ending, functools.partial(flipped, seed=_seed)))
