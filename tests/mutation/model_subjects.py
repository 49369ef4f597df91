"""The readers of recipes, models and checkpoints, Holdfast's own and other software's, with valid files for each."""

from __future__ import annotations

import io
import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.mutation.changes import in_document, in_header, in_last_tensor, in_zip, outside, with_digest
from tests.mutation.subjects import Subject
from torch import nn

from holdfast import recipes, runtime
from holdfast.data.defaults import resolve
from holdfast.interop import formats
from holdfast.tasks import TASKS, model_file

IN_OWN = (outside, with_digest(in_header), with_digest(in_document("holdfast_document")), with_digest(outside))


def _trained(name: str, train: Callable[[Path], list[str]], changes: list[str]) -> Callable[[Path], None]:
    """Writes the model of a recipe, as it is before training."""

    def make(folder: Path) -> None:
        files = [str(path) for path in train(folder)]
        recipe = recipes.load(name, ["train.limit=small", "data.source=files", f"data.train={files!r}", *changes])
        kind = TASKS[recipe.task]
        task = kind.fit(recipe, kind.load(recipe, None).train)
        model_file.save(folder / "model.safetensors", task, task.build())

    return make


def own() -> list[Subject]:
    from tests.training.standin import ToyBatches, ToyTask, settings, toy_model

    from holdfast.training import RunDirectory, fit
    from holdfast.training.checkpoint import Checkpoint
    from holdfast.training.history import History
    from holdfast.training.state import Training

    def table(folder: Path) -> list[Path]:
        path = folder / "waves.csv"
        rows = "".join(f"{n % 5},{n % 3},{n / 9},{'ab'[n % 2]}\n" for n in range(40))
        path.write_text("t0,t1,t2,label\n" + rows)
        return [path]

    def names(folder: Path) -> list[Path]:
        path = folder / "names.txt"
        path.write_text("anna\nberta\ncarla\ndora\nemma\n" * 40)
        return [path]

    def recipe(folder: Path) -> None:
        (folder / "file.toml").write_text(recipes.text("japanese-vowels"))

    sizes: dict[str, Any] = {"checkpoint_seconds": 0.0, "epochs": 2, "carry_state": True, "optimizer": "AdamW"}

    def run(folder: Path) -> None:
        how = settings(**sizes)
        with RunDirectory(folder / "run", {"name": "toy", "train": how.model_dump()}) as place:
            fit(toy_model(), ToyTask(), ToyBatches(4), None, how, run=place)

    def resume(path: Path) -> Any:
        """As the loop does."""
        how = resolve(settings(**sizes), 4)
        training = Training(toy_model(), ToyTask(), how, 8, torch.device("cpu"))
        from holdfast.files import storage

        setup = storage.read(path, "checkpoint")[1].get("setup", {})
        state = torch.get_rng_state()
        try:
            return Checkpoint(path, every=0, setup=setup if isinstance(setup, dict) else {}).read(training)
        finally:
            torch.set_rng_state(state)

    def reopen(path: Path) -> Any:
        recipe = {"name": "toy", "train": settings(**sizes).model_dump()}
        with RunDirectory(path, recipe, resume=True) as place:
            return History(place.path / "history.jsonl", keep=2)

    def network(folder: Path) -> None:
        formats.write(folder / "file.safetensors", _network())

    def graph(folder: Path) -> None:
        from holdfast.tf1 import graph as tf

        with tf.Graph().as_default():
            x = tf.placeholder(tf.float32, [None, 7, 3], name="x")
            outputs, _ = tf.nn.dynamic_rnn(tf.nn.rnn_cell.BasicLSTMCell(4), x, [7, 6], dtype=tf.float32)
            with tf.variable_scope("out", initializer=tf.zeros_initializer()):
                outputs = tf.layers.dense(outputs * np.float32([1, 2, 3, 4]), 2, tf.nn.relu)
            parts = tf.split(outputs, [3, 4], 1)
            _, total = tf.while_loop(lambda i, s: i < 3, lambda i, s: (i + 1, s + tf.fill([2], 2.0)), (0, tf.zeros(2)))
            tf.add_to_collection("total", total)
            tf.train.AdamOptimizer().minimize(tf.reduce_sum(parts[1]) + tf.reduce_sum(tf.stack(tf.unstack(total))))
            tf.train.export_meta_graph(str(folder / "file.meta"))

    def import_graph(path: Path) -> Any:
        from holdfast.tf1 import graph as tf

        with tf.Graph().as_default():
            return tf.train.import_meta_graph(str(path))

    classify = _trained(
        "japanese-vowels",
        table,
        ["data.label_column='label'", "data.test=[]", "model.bidirectional=false", "model.head='last_state'"],
    )
    return [
        Subject("recipe", recipe, "file.toml", lambda path: recipes.load(str(path))),
        Subject("model, classify", classify, "model.safetensors", model_file.load, layers=IN_OWN),
        Subject(
            "model, generate",
            _trained("names-generate", names, []),
            "model.safetensors",
            model_file.load,
            layers=IN_OWN,
        ),
        Subject("model, without torch", classify, "model.safetensors", runtime.load, layers=IN_OWN),
        Subject("network", network, "file.safetensors", formats.read, layers=IN_OWN),
        Subject("network, without torch", network, "file.safetensors", runtime.load_network, layers=IN_OWN),
        Subject("checkpoint", run, "run/checkpoint.safetensors", resume, layers=IN_OWN),
        Subject(
            "graph of TF1",
            graph,
            "file.meta",
            import_graph,
            layers=(outside, with_digest(in_last_tensor), with_digest(in_last_tensor), with_digest(in_header)),
        ),
        Subject("run directory", run, "run", reopen, ("run/history.jsonl", "run/recipe.toml")),
    ]


def _network() -> Any:
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "a.pt")
        torch.save(_state_dict(), path)
        return formats.read(path)


def _state_dict() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(OrderedDict(rnn=nn.LSTM(3, 4, 2), out=nn.Linear(4, 2))).state_dict()


def pytorch() -> list[Subject]:
    from safetensors.torch import save_file

    def saved(**options: Any) -> Callable[[Path], None]:
        return lambda folder: torch.save(_state_dict(), folder / "file.pt", **options)

    def tensors(folder: Path) -> None:
        save_file(dict(_state_dict()), folder / "file.safetensors")

    read = formats.read
    pickled = in_zip("data.pkl")
    return [
        Subject("PyTorch", saved(), "file.pt", read, layers=(outside, pickled, in_zip("byteorder"))),
        Subject("PyTorch, legacy", saved(_use_new_zipfile_serialization=False), "file.pt", read),
        Subject("safetensors", tensors, "file.safetensors", read, layers=(outside, in_header)),
        Subject("PyTorch, listed", saved(), "file.pt", formats.list_layers, layers=(outside, pickled)),
    ]


def onnx() -> list[Subject]:
    from tests.interop.onnx.models import arrays, recurrent

    def node(folder: Path) -> None:
        given = arrays("LSTM")
        kept = {name: given[name] for name in ("X", "W", "R", "B")}
        (folder / "file.onnx").write_bytes(recurrent("LSTM", kept, ("Y",), hidden_size=4).SerializeToString())

    def exported(folder: Path) -> None:
        formats.write(folder / "file.onnx", _network())

    return [
        Subject("ONNX, a node", node, "file.onnx", lambda path: formats.read(path, "onnx")),
        Subject("ONNX, exported", exported, "file.onnx", lambda path: formats.read(path, "onnx")),
    ]


def keras() -> list[Subject]:
    from tests.interop.keras.by_hand import archive, drawn, entry, legacy, lstm_weights, named, sequential, weights3

    lstm = entry("LSTM", "lstm", units=4, return_sequences=True, batch_input_shape=[None, None, 3])
    config = sequential(lstm, entry("Dense", "dense", units=2))
    dense = drawn((4, 2), (2,))

    def third(folder: Path) -> None:
        archive(folder / "file.keras", config, {"lstm/cell": lstm_weights(), "dense": dense})

    def second(folder: Path) -> None:
        legacy(folder / "file.h5", config, {"lstm": named("lstm", lstm_weights()), "dense": named("dense", dense)})

    def weights(folder: Path) -> None:
        content = io.BytesIO()
        weights3(content, {"lstm/cell": lstm_weights(), "dense": dense})
        (folder / "file.weights.h5").write_bytes(content.getvalue())
        (folder / "file.json").write_text(json.dumps(config))

    inside = (outside, in_zip("config.json"), in_zip("model.weights.h5"))
    both = ("file.weights.h5", "file.json")
    return [
        Subject("Keras 3", third, "file.keras", lambda path: formats.read(path, "keras"), layers=inside),
        Subject("Keras 2, HDF5", second, "file.h5", lambda path: formats.read(path, "keras"), slow=2),
        Subject("Keras 3, weights", weights, both[0], lambda path: formats.read(path, "keras"), both, slow=2),
    ]


def tf1() -> list[Subject]:
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1]))
    import tf1_writer

    values = {
        "rnn/lstm_cell/kernel": np.arange(216, dtype=np.float32).reshape(9, 24),
        "rnn/lstm_cell/bias": np.arange(24, dtype=np.float32),
        "rnn/global_step": np.array([7], np.int64),
    }

    def newer(folder: Path) -> None:
        tf1_writer.write_v2(folder / "m.ckpt", values)

    def older(folder: Path) -> None:
        tf1_writer.write_v1(folder / "m.ckpt", values)

    def resealed(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
        """An entry changed, in a table with right check sums."""
        entries = {b"": tf1_writer.header()}
        offset = 0
        for name in sorted(values):
            entries[name.encode()] = tf1_writer.entry(values[name], offset)
            offset += values[name].nbytes
        entries[b"rnn/lstm_cell/kernel"] = change(entries[b"rnn/lstm_cell/kernel"])
        return tf1_writer.table(entries)

    def slices(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
        entries = tf1_writer.v1_entries(values)
        key = sorted(entries)[1]
        return tf1_writer.table({**entries, key: change(entries[key])})

    index = ("m.ckpt.index", "m.ckpt.index", "m.ckpt.data-00000-of-00001")
    read = formats.read
    return [
        Subject("TF1 V2", newer, "m.ckpt.index", read, index),
        Subject("TF1 V2, entries", newer, "m.ckpt.index", read, layers=(resealed,)),
        Subject("TF1 V1", older, "m.ckpt", lambda path: read(path, "tf1"), layers=(outside, slices)),
    ]


GROUPS = {"own": own, "pytorch": pytorch, "onnx": onnx, "keras": keras, "tf1": tf1}
