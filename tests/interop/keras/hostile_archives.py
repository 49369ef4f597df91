"""Files of Keras 3 whose zip archive is wrong; this module adds them to CASES."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

from tests.interop.keras.by_hand import archive, weights3
from tests.interop.keras.hostile_cases import CONFIG, DAMAGED, WEIGHTS, Make, case, good


def zipped(name: str, message: str, make: Make) -> None:
    case(name, ".keras", message, make)


def weights_bytes() -> bytes:
    content = io.BytesIO()
    weights3(content, WEIGHTS)
    return content.getvalue()


def with_size(path: Path, entry_name: bytes, size: int) -> None:
    """Says another size of an entry, in the list at the end."""
    good(".keras")(path)
    data = bytearray(path.read_bytes())
    place = data.rindex(entry_name) - 46
    assert data[place : place + 4] == b"PK\x01\x02"
    data[place + 24 : place + 28] = struct.pack("<I", size)
    path.write_bytes(data)


def packed(path: Path, bomb: str) -> None:
    """An entry of 800 MB that takes less than one."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            with file.open(name, "w") as made:
                for _ in range(800 if name == bomb else 1):
                    made.write(b" " * 2**20 if name == bomb else b"{}")


zipped("a bomb of weights", "claims to unpack", lambda path: packed(path, "model.weights.h5"))
zipped("a bomb of a configuration", "claims to unpack", lambda path: packed(path, "config.json"))
zipped("a configuration of 5 MB", "are read", lambda path: archive(path, " " * 5 * 2**20, WEIGHTS))
zipped("a claim of 4 GB", "claims to unpack", lambda path: with_size(path, b"model.weights.h5", 2**32 - 2))
zipped("a claim of less", DAMAGED, lambda path: with_size(path, b"model.weights.h5", 3000))
zipped(
    "weights packed by LZMA",
    "compressed in a way",
    lambda path: archive(path, CONFIG, WEIGHTS, compression=zipfile.ZIP_LZMA),
)
zipped(
    "an entry above", "which leads out of it", lambda path: archive(path, CONFIG, WEIGHTS, **{"../../evil.py": b"x"})
)
zipped(
    "an entry at the root", "which leads out of it", lambda path: archive(path, CONFIG, WEIGHTS, **{"/etc/evil": b"x"})
)
zipped(
    "an entry above, with backslashes",
    "which leads out of it",
    lambda path: archive(path, CONFIG, WEIGHTS, **{"..\\evil": b"x"}),
)
zipped(
    "many entries",
    "10,004 entries",
    lambda path: archive(path, CONFIG, WEIGHTS, **{f"a{n}": b"" for n in range(10_001)}),
)
zipped("weights that are a pickle", DAMAGED, lambda path: archive(path, CONFIG, pickle.dumps(os.getcwd)))
zipped("weights that are a zip", DAMAGED, lambda path: archive(path, CONFIG, b"PK\x03\x04" + bytes(4000)))
zipped("weights of nothing", DAMAGED, lambda path: archive(path, CONFIG, b""))
zipped("no version", "its keras_version is not a text", lambda path: archive(path, CONFIG, WEIGHTS, version=3))  # type: ignore[arg-type]
zipped("no entries", "0 entries 'config.json'", lambda path: zipfile.ZipFile(path, "w").close())
