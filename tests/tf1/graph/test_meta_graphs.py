"""``.meta`` files: what is written, and what a file that lies or is damaged comes to."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.errors import ConversionError, ModelFileError
from holdfast.files import container
from holdfast.tf1 import graph as tf
from holdfast.tf1.graph import meta_graphs
from holdfast.tf1.graph.failures import NotFoundError
from holdfast.tf1.graph.meta_graphs import MetaGraph


@pytest.fixture(autouse=True)
def _own_graph() -> Any:
    with tf.Graph().as_default():
        yield


@pytest.fixture
def meta() -> MetaGraph:
    """A graph with an array, a variable and a loop, whose content a test may change."""
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        w = tf.get_variable("w", [3, 2])
        y = tf.matmul(x * np.float32([1, 2, 3]), w, name="y")
        tf.while_loop(lambda i: i < 3, lambda i: i + 1, [tf.constant(0)], name="loop")
        tf.identity(y)
        made: MetaGraph = tf.train.export_meta_graph()
    return MetaGraph(copy.deepcopy(made.content), made.arrays)


def opened(meta: MetaGraph, path: Path) -> Any:
    """What comes of a file with this content; the graph stays empty if it is refused."""
    meta.write(path)
    graph = tf.get_default_graph()
    try:
        return tf.train.import_meta_graph(str(path))
    except (ModelFileError, ConversionError):
        for name in ("operations", "collections", "variables", "tape", "_by_name", "_used", "controls"):
            assert not getattr(graph, name)
        assert (graph.scope, graph.seed, graph.most_operations, graph.most_values) == ("", None, None, None)
        raise


def call(name: str, meta: MetaGraph) -> dict[str, Any]:
    """The first call of a name."""
    found: dict[str, Any] = next(each for each in meta.content["calls"] if each["do"] == name)
    return found


def test_the_content_is_readable(meta: MetaGraph, tmp_path: Path) -> None:
    assert opened(meta, tmp_path / "m") is not None
    content = meta_graphs.read(tmp_path / "m").content
    assert content["calls"][0] == {
        "do": "placeholder", "args": [{"dtype": "float32"}, [None, 3]], "options": {"name": "x"}, "state": 0,
    }  # fmt: skip
    assert content["operations"][0][:5] == ["x", "Placeholder", [], [], [["float32", [None, 3]]]]
    assert content["lines"][content["operations"][0][5]].endswith("of test_meta_graphs.py")
    assert content["saver"]["variables"] == {"w": "w"}
    loop = call("while_loop", meta)
    assert [back[0] for back in loop["back"]] == [{"callback": 0}, {"callback": 1}]
    assert [each["do"] for each in loop["back"][1][2]] == ["__add__"]


def test_calls_in_a_run_are_not_kept() -> None:
    x = tf.placeholder(tf.float32, [])
    doubled = x * 2
    graph = tf.get_default_graph()
    before = list(graph.tape)
    with tf.Session() as session:
        for value in range(3):
            assert session.run(doubled, {x: value}) == 2 * value
    assert graph.tape == before
    assert [entry.name for entry in before] == ["placeholder", "__mul__"]


def test_a_file_of_tensorflow_is_told_apart(tmp_path: Path) -> None:
    message = (
        r"m.meta is a graph of TensorFlow itself \(a protobuf\); expected one that Holdfast wrote. Make the graph by "
        "the program's own code, and restore the checkpoint by tf.train.Saver"
    )
    for content in (b"\n\xd4\x0b\n\xc0\x08*\xbd\x08\n\x1a\n\x05Const", b"meta_info_def {\n  stripped_op_list {\n"):
        (tmp_path / "m.meta").write_bytes(content)
        with pytest.raises(ConversionError, match=message):
            tf.train.import_meta_graph(f"{tmp_path}/m.meta")


def test_no_file_and_other_files(tmp_path: Path) -> None:
    with pytest.raises(
        NotFoundError, match=r"There is no file .*m.meta; expected one that Saver.save wrote: PATH.meta"
    ):
        tf.train.import_meta_graph(f"{tmp_path}/m.meta")
    (tmp_path / "m.meta").write_bytes(b"abc" * 10)
    with pytest.raises(ModelFileError, match="is not a safetensors file"):
        tf.train.import_meta_graph(f"{tmp_path}/m.meta")
    from safetensors.numpy import save

    container.write(tmp_path / "m.meta", save, {"graph": np.zeros(3, np.uint8)}, {"version": 2}, "tf1 graph")
    with pytest.raises(ModelFileError, match="has version 2 of the graph; expected 1"):
        tf.train.import_meta_graph(f"{tmp_path}/m.meta")
    for tensors in ({"graph": np.zeros(3, np.float32)}, {"0": np.zeros(3, np.uint8)}):
        container.write(tmp_path / "m.meta", save, tensors, {"version": 1}, "tf1 graph")
        with pytest.raises(ModelFileError, match="holds no graph"):
            tf.train.import_meta_graph(f"{tmp_path}/m.meta")


def test_a_changed_bit_is_an_error(meta: MetaGraph, tmp_path: Path) -> None:
    path = tmp_path / "m.meta"
    meta.write(path)
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="does not match its digest"):
        tf.train.import_meta_graph(str(path))


@pytest.mark.parametrize(
    "name",
    [
        "gfile.Remove", "py_func", "train.Saver", "Session", "app.run", "contrib.learn.run_n", "summary.FileWriter",
        "estimator", "logging.info", "train.import_meta_graph", "no_such_name", "__version__", "gfile", 7, None,
        "contrib.learn.python.learn.datasets.mnist.read_data_sets", "nn.rnn_cell", "flags.FLAGS", "ConfigProto",
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["call", "value"])
def test_only_functions_that_make_a_graph_are_called(name: Any, place: str, meta: MetaGraph, tmp_path: Path) -> None:
    target = tmp_path / "kept"
    target.write_text("a file")
    one = {"do": name, "args": [str(target)], "state": 0}
    if place == "value":
        one = {"do": "identity", "args": [{"function": name}], "state": 0}
    meta.content["calls"].insert(0, one)
    with pytest.raises(ModelFileError, match="is damaged, or of another version"):
        opened(meta, tmp_path / "m")
    assert target.read_text() == "a file"


@pytest.mark.parametrize(
    "name", ["eval", "run", "__class__", "__init__", "__reduce__", "consumers", "graph", "_assign"]
)
def test_only_methods_that_make_a_graph_are_called(name: str, meta: MetaGraph, tmp_path: Path) -> None:
    meta.content["calls"].append({"do": name, "on": {"tensor": "x:0"}, "state": 0})
    with pytest.raises(ModelFileError, match=f"'{name}' is not a method of Tensor that makes a graph"):
        opened(meta, tmp_path / "m")


def test_the_operations_must_be_those_that_were_saved(meta: MetaGraph, tmp_path: Path) -> None:
    changes: list[tuple[str, Any]] = [
        ("there is operation x; expected z", lambda c: c["operations"][0].__setitem__(0, "z")),
        ("operation x is .*expected .*'Other'", lambda c: c["operations"][0].__setitem__(1, "Other")),
        ("operation x is ", lambda c: c["operations"][0][4][0].__setitem__(1, [None, 4])),
        ("operation y is ", lambda c: next(o for o in c["operations"] if o[0] == "y")[2].reverse()),
        ("there are 16 operations; expected 17", lambda c: c["operations"].append(["z", "NoOp", [], [], [], 0])),
        ("an operation Identity more than the file lists", lambda c: c["operations"].pop()),
        ("did not call the program's function", lambda c: c["calls"][0].update(back=[[None, "", [], None, False]])),
        ("called at another place", lambda c: call("while_loop", meta)["back"].reverse()),
        ("the call of identity did not fail", lambda c: call("identity", meta).update(failed=True)),
    ]
    for message, change in changes:
        other = MetaGraph(copy.deepcopy(meta.content), meta.arrays)
        kept, meta.content = meta.content, other.content
        change(other.content)
        with pytest.raises(ModelFileError, match=message):
            opened(other, tmp_path / "m")
        meta.content = kept


def test_what_a_file_may_ask_for_is_bounded(meta: MetaGraph, tmp_path: Path) -> None:
    huge = 2**33
    for one in (
        {"do": "constant", "args": [0, {"dtype": "float32"}, [huge]], "state": 0},
        {"do": "Variable", "args": [{"array": 0}], "options": {"expected_shape": [huge]}, "state": 0},
        {"do": "get_variable", "args": ["big", [huge, huge]], "state": 0},
        {"do": "unstack", "args": [{"tensor": "x:0"}, huge, 0], "state": 0},
        {"do": "split", "args": [{"tensor": "x:0"}, huge, 0], "state": 0},
        {"do": "constant", "args": [{"range": [0, huge, 1]}], "state": 0},
        {"do": "reshape", "args": [1, {"named": ["A", ["a"] * 5000, [1] * 5000]}], "state": 0},
    ):
        other = MetaGraph({**meta.content, "calls": [meta.content["calls"][0], one]}, meta.arrays)
        with pytest.raises(ModelFileError, match=r"is damaged, or of another version|does not give the graph"):
            opened(other, tmp_path / "m")
    deep: Any = 1
    for _ in range(100):
        deep = {"tuple": [deep]}
    again = {"do": "identity", "args": [deep], "state": 0}
    with pytest.raises(ModelFileError, match="values are in each other more than 60 deep"):
        opened(MetaGraph({**meta.content, "calls": [again]}, meta.arrays), tmp_path / "m")
    meta.content["operations"][0] = ["x", "Const", [], [], [["float32", [huge]]], 0]
    with pytest.raises(
        ModelFileError, match=r"its constants and variables have 8,589,934,60. values; at most 2,147,483,648"
    ):
        opened(meta, tmp_path / "m")


def test_a_graph_that_is_too_large_is_refused_when_it_is_opened(
    meta: MetaGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meta_graphs, "_MOST_ARRAYS", 1000)
    with pytest.raises(
        ConversionError, match=r"does not hold its graph: its calls and arrays have [\d,]+ bytes; at mo"
    ):
        opened(meta, tmp_path / "m")


def test_objects_of_no_known_class(meta: MetaGraph, tmp_path: Path) -> None:
    for value in (
        {"class": "Session"}, {"own": 0}, {"own": 5}, {"pickle": "gASV"}, {"result": 99}, {"array": 7}, {"array": "0"},
        {"tuple": 3}, {"dtype": "float31"}, {"tensor": 3}, {"operation": "z"}, {"scope": [1, 2, 3, 4, 5]},
        {"dict": [[[1], 2]]}, {"named": ["__import__('os')", ["a"], [1]]}, {"shape": "abc"}, {"a": 1, "b": 2},
        {"tensor_array": [1, 2, 3, 4]},
    ):  # fmt: skip
        one = {"do": "identity", "args": [value], "state": 0}
        classes = [["A", "contrib.rnn.RNNCell", ["__reduce__"], [], []]]
        other = MetaGraph({**meta.content, "calls": [one], "classes": classes}, meta.arrays)
        with pytest.raises(ModelFileError, match="is damaged, or of another version"):
            opened(other, tmp_path / "m")


def test_a_saver_that_lies(meta: MetaGraph, tmp_path: Path) -> None:
    for saver in (
        {},
        3,
        {**meta.content["saver"], "variables": {"w": "x"}},
        {**meta.content["saver"], "max_to_keep": "a"},
    ):
        with pytest.raises(ModelFileError, match="is damaged, or of another version"):
            opened(MetaGraph({**meta.content, "saver": saver}, meta.arrays), tmp_path / "m")
