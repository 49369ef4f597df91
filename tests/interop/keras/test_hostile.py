"""Files of Keras that are not what they say: one clear error each, soon, in little memory, and nothing is executed."""

from __future__ import annotations

import base64
import functools
import io
import json
import marshal
import os
import pickle
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="needs h5py: pip install 'holdfast[h5]'")

from tests.interop.keras.by_hand import archive, drawn, entry, legacy, lstm_weights, named, sequential, weights3  # noqa: E402

SECONDS, MEGABYTES = 2, 500
DAMAGED = "is truncated or damaged"

# Run in a process of its own: a file that breaks the reader does not break the tests. Its times are those of the
# processor, of it and of the processes that it starts; its memory is what all of them had at most.
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

for path in sys.argv[1:]:
    start = spent()
    try:
        keras_files.read(Path(path))
        outcome = ("", "")
    except (ConversionError, ModelFileError) as error:
        outcome = (type(error).__name__, str(error))
    except BaseException as error:
        outcome = ("another error", repr(error)[:300])
    print(json.dumps([path, *outcome, spent() - start, most()]), flush=True)
"""


class Outcome(NamedTuple):
    kind: str
    message: str
    seconds: float
    megabytes: float


LSTM = entry("LSTM", "lstm", units=4, return_sequences=True, batch_input_shape=[None, None, 3])
CONFIG = sequential(LSTM, entry("Dense", "dense", units=2))
DENSE = drawn((4, 2), (2,))
WEIGHTS = {"lstm/cell": lstm_weights(), "dense": DENSE}
WEIGHTS2 = {"lstm": named("lstm", lstm_weights()), "dense": named("dense", DENSE)}

Make = Callable[[Path], Any]
CASES: dict[str, tuple[str, Make, str]] = {}
"""The name of each file, what writes it, and what its error says."""


def case(name: str, ending: str, message: str, make: Make) -> None:
    CASES[name] = (ending, make, message)


def good(ending: str) -> Make:
    return {
        ".keras": lambda path: archive(path, CONFIG, WEIGHTS),
        ".h5": lambda path: legacy(path, CONFIG, WEIGHTS2),
        ".weights.h5": lambda path: (
            weights3(path, WEIGHTS),
            path.with_name(f"{path.name[:-11]}.json").write_text(json.dumps(CONFIG)),
        ),
    }[ending]


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

# Configurations.


def configured(name: str, config: Any, message: str) -> None:
    case(f"{name}, .keras", ".keras", message, lambda path: archive(path, config, WEIGHTS))
    case(f"{name}, .h5", ".h5", message, lambda path: legacy(path, config, WEIGHTS2))


def archived(name: str, config: Any, message: str) -> None:
    case(f"{name}, .keras", ".keras", message, lambda path: archive(path, config, WEIGHTS))


configured("nested lists", "[" * 100_000, "not JSON, or is nested too deep")
configured("nested objects", '{"a":' * 50_000, "not JSON, or is nested too deep")
configured("no JSON", "{'class_name': 1}", "not JSON, or is nested too deep")
configured("a number of many digits", '{"class_name": ' + "9" * 10_000 + "}", "not JSON, or is nested too deep")
configured("a list", "[1, 2]", "its configuration has no 'class_name' where one belongs")
configured("no layers", sequential(), "the model has no layers")
configured("layers that are none", {"class_name": "Sequential", "config": {"layers": [1, 2]}}, "has no 'class_name'")
configured(
    "a class of somebody's own", {"class_name": "os.system", "config": {}}, "computes with code that is not in the file"
)
configured("a layer twice", sequential(LSTM, LSTM), "two layers are called 'lstm'")
configured("a name that is none", sequential(entry("LSTM", 7, units=4)), "a layer is called '7'")  # type: ignore[arg-type]
for _units in (0, -1, 10**18, 2**31, "4", 4.0, True, None, [4], {"a": 1}):
    configured(f"units of {_units!r}", sequential(entry("LSTM", "lstm", units=_units)), "has units=")
configured(
    "units beyond the weights", sequential(entry("LSTM", "lstm", units=2**31 - 1)), "has (3, 16) as input weights"
)
configured(
    "an embedding of 10^12",
    sequential(entry("Embedding", "lstm", input_dim=10**6, output_dim=10**6)),
    "arrays of weights",
)
configured(
    "a rate of infinity", sequential(entry("Dropout", "d", rate=float("inf"))), "has rate=inf; expected a number"
)
configured("a rate of 10", sequential(entry("Dropout", "d", rate=10)), "expected a probability")
configured("a shape of texts", sequential(LSTM, entry("Reshape", "r", target_shape=["a"])), "has target_shape=['a']")
configured(
    "an option of a list", sequential(entry("LSTM", "lstm", units=4, activation=["tanh"])), "has activation=['tanh']"
)
configured("a wrapper of nothing", sequential(entry("Bidirectional", "b")), "does not say what it wraps")
_inner: Any = entry("LSTM", "l", units=4)
for _ in range(300):
    _inner = entry("Bidirectional", "b", layer=_inner)
configured("wrappers of wrappers", sequential(_inner), "wraps a Bidirectional")
_code = base64.b64encode(marshal.dumps(compile("__import__('os').mkdir('EXECUTED')", "x", "exec"))).decode()
configured(
    "a Lambda",
    sequential(entry("Lambda", "f", function=[_code, None, None], function_type="lambda")),
    "holds Python code",
)
configured(
    "a Lambda of Keras 3",
    sequential(entry("Lambda", "f", function={"class_name": "__lambda__", "config": {"code": _code}})),
    "holds Python code",
)
configured(
    "a function as an activation",
    sequential(entry("Dense", "dense", units=2, activation={"class_name": "__lambda__", "config": {"code": _code}})),
    "which Holdfast does not have",
)
configured(
    "a module to import",
    sequential({"module": "os", "class_name": "system", "config": {"name": "x", "command": "mkdir EXECUTED"}}),
    "has no counterpart here",
)


def functional(*layers: tuple[str, str, Any], ends: str = "z") -> dict[str, Any]:
    entries = [{**entry(kind, name, units=2), "name": name, "inbound_nodes": nodes} for kind, name, nodes in layers]
    places = {"input_layers": [["x", 0, 0]], "output_layers": [[ends, 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "m", "layers": entries, **places}}


def at(name: str) -> list[Any]:
    return [[[name, 0, 0, {}]]]


_x = ("InputLayer", "x", [])
configured("a circle", functional(_x, ("Dense", "y", at("z")), ("Dense", "z", at("y"))), "in a circle")
configured("an input from nowhere", functional(_x, ("Dense", "z", at("nowhere"))), "takes its input from 'nowhere'")
configured("an end that is not there", functional(_x, ends="nowhere"), "begins or ends with 'nowhere'")
configured("a layer without inputs", functional(_x, ("Dense", "z", [])), "layer 'z' has no inputs")
archived("a call that is not there", functional(_x, ("Dense", "z", [[["x", 7, 0, {}]]])), "input from 'x (8)'")
archived("a call below 0", functional(_x, ("Dense", "z", [[["x", -1, 0, {}]]])), "has a number below 0")


def within(inner: Any, calls: int) -> Any:
    """A model that calls another one, again and again on what it gave."""
    layers = [{**entry("InputLayer", "x"), "name": "x", "inbound_nodes": []}]
    places = [["x", 0, 0, {}], *(["m", number, 0, {}] for number in range(calls - 1))]
    named = {**inner["config"], "name": "m"}
    layers.append({**inner, "config": named, "name": "m", "inbound_nodes": [[place] for place in places]})
    config = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["m", calls - 1, 0]]}
    return {"class_name": "Functional", "config": config}


_deep: Any = sequential(entry("InputLayer", "x"))
for _ in range(40):
    _deep = within(_deep, 1)
archived("models in models", _deep, "more than 16 deep")
_wide: Any = sequential(entry("InputLayer", "x"))
for _ in range(12):
    _wide = within(_wide, 30)
archived("models that call models", _wide, "more than 4,096 layers")
_times: Any = entry("LSTM", "l", units=4)
for _ in range(200):
    _times = entry("TimeDistributed", "t", layer=_times)
archived("every step of every step", sequential(_times), "arrays")
archived("every step of nothing", sequential(entry("TimeDistributed", "t")), "does not say what it wraps")
for _kind, _name, _options, _said in (
    ("Conv1D", "a kernel of 10^12", {"filters": 4, "kernel_size": [10**12]}, "has kernel_size="),
    ("Conv1D", "filters beyond the weights", {"filters": 2**31 - 1, "kernel_size": 3}, "arrays of weights"),
    ("Conv1D", "a stride of 0", {"filters": 4, "kernel_size": 3, "strides": 0}, "has strides=0"),
    ("Conv1D", "groups of 0", {"filters": 4, "kernel_size": 3, "groups": 0}, "has groups=0"),
    ("Conv1D", "sizes that are lists", {"filters": 4, "kernel_size": [[3]]}, "has kernel_size=[[3]]"),
    ("MaxPooling1D", "a size of 2^40", {"pool_size": 2**40}, "has pool_size="),
    ("ZeroPadding1D", "a padding of -1", {"padding": -1}, "has padding=[-1]"),
    ("BatchNormalization", "the rows normalised", {"axis": 0}, "has axis=0"),
    ("BatchNormalization", "no weights", {}, "arrays of weights"),
    ("LayerNormalization", "no dimensions", {"axis": []}, "has axis=[]"),
    ("MultiHeadAttention", "many heads", {"num_heads": 2**31 - 1, "key_dim": 2**31 - 1}, "with 1 inputs"),
    ("Permute", "a dimension twice", {"dims": [1, 1]}, "has dims=[1, 1]"),
    ("Permute", "dimensions that are texts", {"dims": ["1"]}, "has dims=['1']"),
    ("Dot", "a product of rows", {"axes": 0}, "has axes=0"),
    ("Softmax", "a softmax of rows", {"axis": 0}, "has axis=0"),
):
    archived(_name, sequential(entry(_kind, "lstm", **_options)), _said)
configured(
    "arguments nested deep", functional(_x, ("Dense", "z", [[json.loads("[" * 90 + "]" * 90)]])), "nested too deep"
)
configured("inputs that are texts", functional(_x, ("Dense", "z", ["x"])), "its configuration has no 'args'")

# HDF5.


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
    """A piece of 32 bytes that unpacks to 800 MB."""
    made = group.create_dataset(name, (4, 2), "f4", chunks=(4, 2), compression="gzip")
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

# Zips.


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
