"""Files of Keras with a wrong configuration; this module adds them to CASES."""

from __future__ import annotations

import base64
import json
import marshal
from typing import Any

from tests.interop.keras.by_hand import archive, entry, legacy, sequential
from tests.interop.keras.hostile_cases import LSTM, WEIGHTS, WEIGHTS2, case


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
