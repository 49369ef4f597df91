"""Files of Keras whose HDF5 links, arrays or attributes are wrong; this module adds them to CASES."""

from __future__ import annotations

import functools
import os
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tests.interop.keras.hostile_cases import Make, case, good


def filled(fill: Callable[[Any], Any]) -> tuple[Make, Make]:
    """A dataset or something else in place of the kernel of the Dense, in both layouts; ``fill`` gets a group."""

    def third(path: Path) -> None:
        good(".weights.h5")(path)
        with h5py.File(path, "r+") as file:
            del file["layers/dense/vars/0"]
            fill(file["layers/dense/vars"])

    def second(path: Path) -> None:
        good(".h5")(path)
        with h5py.File(path, "r+") as file:
            del file["model_weights/dense/dense/kernel:0"]
            fill(file["model_weights/dense/dense"])

    return third, second


def kernel(name: str, message: str, fill: Callable[[Any, str], Any]) -> None:
    third, second = filled(lambda group: fill(group, "0" if "vars" in group.name else "kernel:0"))
    case(f"{name}, .weights.h5", ".weights.h5", message, third)
    case(f"{name}, .h5", ".h5", message, second)


def external(group: Any, name: str) -> None:
    group.create_dataset(name, (4, 2), "f4", external=[("/etc/passwd", 0, 32)])


def virtual(group: Any, name: str) -> None:
    layout = h5py.VirtualLayout((4, 2), "f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", (4, 2))
    group.create_virtual_dataset(name, layout)


@functools.cache
def packed_zeros() -> bytes:
    pack = zlib.compressobj(1)
    return b"".join([*(pack.compress(bytes(2**20)) for _ in range(800)), pack.flush()])


def bomb(group: Any, name: str) -> None:
    """A piece of 512 bytes that unpacks to 800 MB; in smaller pieces, HDF5 1 cannot note its packed size."""
    made = group.create_dataset(name, (4, 2), "f4", chunks=(16, 8), maxshape=(None, None), compression="gzip")
    made.id.write_direct_chunk((0, 0), packed_zeros())


kernel(
    "a link to another file",
    "is a link to another place",
    lambda g, n: g.__setitem__(n, h5py.ExternalLink("/etc/passwd", "/x")),
)
kernel(
    "a link to another group",
    "is a link to another place",
    lambda g, n: g.__setitem__(n, h5py.SoftLink("/layers/lstm/cell/vars/0")),
)
kernel("a link to itself", "is a link to another place", lambda g, n: g.__setitem__(n, h5py.SoftLink(f"{g.name}/{n}")))
kernel("numbers in another file", "has its numbers in other files", external)
kernel("numbers of other files", "has its numbers in other files", virtual)
kernel("a bomb of gzip", "is compressed, which Keras does not do", bomb)
kernel(
    "zeros packed small",
    "is compressed",
    lambda g, n: g.create_dataset(n, (20_000, 1000), "f4", chunks=(1000, 1000), compression="gzip"),
)
kernel("another filter", "is compressed", lambda g, n: g.create_dataset(n, (4, 2), "f4", chunks=(4, 2), shuffle=True))
kernel(
    "10^15 numbers, and none", "claims to be", lambda g, n: g.create_dataset(n, (10**8, 10**7), "f4", chunks=(100, 100))
)
kernel("10^12 numbers not written", "claims to be", lambda g, n: g.create_dataset(n, (10**6, 10**6), "f4"))
kernel("pieces of 4 GB", "claims to be", lambda g, n: g.create_dataset(n, (2**15, 2**14), "f4", chunks=(2**15, 2**14)))
kernel(
    "nine dimensions", "claims to be", lambda g, n: g.create_dataset(n, (1,) * 9, "f4", data=np.ones((1,) * 9, "f4"))
)
kernel("texts for numbers", "holds values of type", lambda g, n: g.create_dataset(n, data=[b"a", b"b"]))
kernel("whole numbers", "holds values of type", lambda g, n: g.create_dataset(n, data=np.ones((4, 2), "i8")))
kernel("complex numbers", "holds values of type", lambda g, n: g.create_dataset(n, data=np.ones((4, 2), "c8")))
kernel(
    "a pickle as bytes", "holds values of type", lambda g, n: g.create_dataset(n, data=np.void(pickle.dumps(os.getcwd)))
)
kernel("a group for numbers", "", lambda g, n: g.create_group(n))
kernel("nothing", "", lambda g, n: None)
kernel("another shape", "has a kernel of shape (2, 4)", lambda g, n: g.create_dataset(n, data=np.ones((2, 4), "f4")))
kernel("one number", "has a kernel of shape ()", lambda g, n: g.create_dataset(n, data=np.float32(1)))
kernel("no numbers", "has a kernel of shape (0, 2)", lambda g, n: g.create_dataset(n, data=np.ones((0, 2), "f4")))


def attribute(name: str, message: str, change: Callable[[Any], Any]) -> None:
    def make(path: Path) -> None:
        good(".h5")(path)
        with h5py.File(path, "r+") as file:
            change(file)

    case(name, ".h5", message, make)


def within(file: Any) -> None:
    file["model_weights/lstm/again"] = file["model_weights"]


def many(file: Any) -> None:
    for number in range(5000):
        file.create_group(f"model_weights/g{number}")


def shared(file: Any) -> None:
    """A megabyte of numbers under a thousand names."""
    data = file.create_dataset("model_weights/data", data=np.ones(2**18, "f4"))
    for number in range(1000):
        file["model_weights"][f"d{number}"] = data
    file["model_weights"].attrs["layer_names"] = [b"lstm"]
    file["model_weights/lstm"].attrs["weight_names"] = [b"kernel"]
    file["model_weights/lstm/kernel"] = data


attribute("a group in itself", "contains itself", within)
attribute("a group of 5000", "5,002 members", many)
attribute("one array under many names", "claims to be", shared)
attribute(
    "a configuration of numbers", "is not a text", lambda file: file.attrs.__setitem__("model_config", np.ones(5))
)
attribute(
    "a configuration of several", "is not a text", lambda file: file.attrs.__setitem__("model_config", [b"a", b"b"])
)
attribute(
    "a configuration of 5 MB",
    "is not a text of at most",
    lambda file: file.attrs.__setitem__("model_config", b"[" * (5 * 2**20)),
)
attribute(
    "names that are numbers",
    "is not a text",
    lambda file: file["model_weights"].attrs.__setitem__("layer_names", np.ones(3)),
)
attribute(
    "one name for all", "is not a list", lambda file: file["model_weights"].attrs.__setitem__("layer_names", b"lstm")
)
attribute("names of nothing", "it names no layers", lambda file: file["model_weights"].attrs.__delitem__("layer_names"))
attribute(
    "a name of no layer",
    "has no weights of the layer 'x'",
    lambda file: file["model_weights"].attrs.__setitem__("layer_names", [b"x"]),
)
attribute(
    "a name that leads out",
    "has no weights of the layer",
    lambda file: file["model_weights"].attrs.__setitem__("layer_names", [b"../.."]),
)
attribute(
    "a name of no array",
    "has no array 'x'",
    lambda file: file["model_weights/lstm"].attrs.__setitem__("weight_names", [b"x"]),
)
