"""``tf.train.Saver``: a session's variables in TensorFlow's checkpoint files, and the file that lists these."""

from __future__ import annotations

import glob
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from holdfast.files.container import replace_file
from holdfast.interop.tf1.checkpoint import Checkpoint
from holdfast.interop.tf1.names import modern
from holdfast.interop.tf1.writer import write_checkpoint
from holdfast.tf1.graph.failures import InvalidArgumentError, NotFoundError
from holdfast.tf1.graph.graph import Graph, get_default_graph
from holdfast.tf1.graph.meta_graphs import MetaGraph, meta_graph
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.session import Session
from holdfast.tf1.graph.shapes import written
from holdfast.tf1.graph.variables import GLOBAL, Variable


@public("train.Saver")
class Saver:
    """Saves variables to files and restores them.

    Args:
        var_list: The variables: a list, or a dict by the names that the file has. None for all global variables.
        max_to_keep: How many of the last checkpoints stay; None or 0 for all.
        keep_checkpoint_every_n_hours: A checkpoint that is this much younger than the last one kept stays for good.
        allow_empty: Whether there may be no variables.
        reshape, sharded, name, ...: Accepted.

    Raises:
        ValueError: There are no variables.
    """

    def __init__(
        self, var_list: Any = None, reshape: bool = False, sharded: bool = False, max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0, name: str | None = None, restore_sequentially: bool = False,
        saver_def: Any = None, builder: Any = None, defer_build: bool = False, allow_empty: bool = False,
        write_version: Any = None, pad_step_number: bool = False, save_relative_paths: bool = False,
        filename: str | None = None,
    ) -> None:  # fmt: skip
        graph = get_default_graph()
        if var_list is None:
            var_list = graph.get_collection(GLOBAL) + graph.get_collection("saveable_objects")
        if isinstance(var_list, Mapping):
            self._variables: dict[str, Variable] = dict(var_list)
        else:
            self._variables = {variable.op.name: variable for variable in var_list}
        if not self._variables and not allow_empty:
            raise ValueError("tf.train.Saver found no variables to save; expected one. Make it after the model.")
        self._keep, self._hours, self._pad = max_to_keep or 0, keep_checkpoint_every_n_hours, pad_step_number
        self._relative = save_relative_paths
        self._graph = graph
        self._meta: tuple[Any, MetaGraph] | None = None  # of the graph as it was at the last save
        self._last: list[tuple[str, float]] = []
        self._kept_for_good = time.time() + self._hours * 3600

    @property
    def last_checkpoints(self) -> list[str]:
        """The checkpoints that stay, the oldest first."""
        return [path for path, _ in self._last]

    def set_last_checkpoints(self, last_checkpoints: list[str]) -> None:
        """Says which checkpoints there are already."""
        self._last = [(path, time.time()) for path in last_checkpoints]

    set_last_checkpoints_with_time = set_last_checkpoints

    def recover_last_checkpoints(self, checkpoint_paths: list[str]) -> None:
        """Says which checkpoints there are already; those without files do not count."""
        self.set_last_checkpoints([path for path in checkpoint_paths if checkpoint_exists(path)])

    def save(
        self, sess: Session, save_path: str, global_step: Any = None, latest_filename: str | None = None,
        meta_graph_suffix: str = "meta", write_meta_graph: bool = True, write_state: bool = True,
        strip_default_attrs: bool = False,
    ) -> str:  # fmt: skip
        """Saves the values of a session.

        Args:
            sess: The session.
            save_path: The name of the checkpoint.
            global_step: A number, or a variable with it, that is added to the name.
            latest_filename: The file that names the last checkpoint; ``checkpoint`` by default.
            write_state: Whether that file is written.
            write_meta_graph: Whether the graph is written too, for ``tf.train.import_meta_graph``.
            meta_graph_suffix: The end of the name of that file.
            strip_default_attrs: Accepted.

        Returns:
            The name of the checkpoint.

        Raises:
            NotFoundError: The folder does not exist.
            FailedPreconditionError: A variable has no value.
        """
        if global_step is not None:
            step = int(sess.run(global_step)) if not isinstance(global_step, int | np.integer) else int(global_step)
            save_path = f"{save_path}-{step:08}" if self._pad else f"{save_path}-{step}"
        folder = Path(save_path).parent
        if not folder.is_dir():
            raise NotFoundError(None, None, f"There is no folder {folder} for checkpoint {save_path}; make it first.")
        values = sess.run(dict(self._variables))
        write_checkpoint(save_path, {name: torch.as_tensor(value) for name, value in values.items()})
        if write_meta_graph:
            self._written(sess.graph).write(f"{save_path}.{meta_graph_suffix}")
        self._remember(save_path)
        if write_state:
            update_checkpoint_state(
                folder, save_path, self.last_checkpoints, latest_filename, save_relative_paths=self._relative
            )
        return save_path

    def export_meta_graph(self, filename: str | None = None, *args: Any, **options: Any) -> MetaGraph:
        """The graph with this saver as ``tf.train.import_meta_graph`` takes it; written to a file if one is given.

        Raises:
            ModelFileError: The file cannot be written.
        """
        meta = self._written(self._graph)
        if filename is not None:
            meta.write(filename)
        return meta

    def _written(self, graph: Graph) -> MetaGraph:
        key = graph, graph.changes
        if self._meta is None or self._meta[0] != key:
            saver = {
                "variables": {name: variable.op.name for name, variable in self._variables.items()},
                "max_to_keep": self._keep, "keep_checkpoint_every_n_hours": self._hours,
                "pad_step_number": self._pad, "save_relative_paths": self._relative,
            }  # fmt: skip
            self._meta = key, meta_graph(graph, saver if self._variables else None)
        return self._meta[1]

    def _remember(self, path: str) -> None:
        self._last = [each for each in self._last if each[0] != path] + [(path, time.time())]
        while self._keep and len(self._last) > self._keep:
            old, made = self._last.pop(0)
            if made > self._kept_for_good:
                self._kept_for_good += self._hours * 3600
                continue
            for file in Path(old).parent.glob(f"{glob.escape(Path(old).name)}.*"):
                if re.fullmatch(r"index|meta|data-\d{5}-of-\d{5}", file.name[len(Path(old).name) + 1 :]):
                    file.unlink(missing_ok=True)

    def restore(self, sess: Session, save_path: str) -> None:
        """Gives a session the values of a checkpoint, of either form and of any version of TensorFlow 1.

        Raises:
            ValueError: There is no such checkpoint.
            NotFoundError: It lacks a variable.
            InvalidArgumentError: A variable has another shape in it.
            ModelFileError: It is damaged.
        """
        if not save_path or not checkpoint_exists(save_path):
            raise ValueError(f"{save_path!r} is not a checkpoint; expected the name that Saver.save returned.")
        checkpoint = Checkpoint(save_path)
        stored = {modern(name): name for name in checkpoint}
        values: dict[Variable, torch.Tensor] = {}
        for name, variable in self._variables.items():
            found = name if name in checkpoint else stored.get(name)
            if found is None:
                raise NotFoundError(
                    None, variable.op, f"Checkpoint {save_path} has no variable {name}; it has "
                    f"{', '.join(sorted(checkpoint)[:8])}. Build the graph that was saved, or give Saver a dict.",
                )  # fmt: skip
            value = checkpoint.read(found)
            if variable.sizes is not None and tuple(value.shape) != variable.sizes:
                raise InvalidArgumentError(
                    None, variable.op, f"Variable {name} has shape {written(tuple(value.shape))} in checkpoint "
                    f"{save_path}; expected {written(variable.sizes)}. Build the graph that was saved.",
                )  # fmt: skip
            values[variable] = value
        for variable, value in values.items():
            variable.load(value, sess)


@public("train.SaverDef")
class SaverDef:
    """The forms of checkpoints, for the ``write_version`` of a Saver, which writes V2."""

    LEGACY, V1, V2 = range(3)


@public("train.checkpoint_exists")
def checkpoint_exists(checkpoint_prefix: str) -> bool:
    """Whether there is a checkpoint of that name."""
    path = Path(checkpoint_prefix)
    return path.with_name(f"{path.name}.index").is_file() or path.is_file() or any(
        path.parent.glob(f"{path.name}-?????-of-?????")
    )  # fmt: skip


@public("train.CheckpointState")
class CheckpointState:
    """What the file ``checkpoint`` says.

    Attributes:
        model_checkpoint_path: The last checkpoint.
        all_model_checkpoint_paths: All that stay, the oldest first.
    """

    def __init__(self, model_checkpoint_path: str, all_model_checkpoint_paths: list[str]) -> None:
        self.model_checkpoint_path = model_checkpoint_path
        self.all_model_checkpoint_paths = all_model_checkpoint_paths


_LINE = re.compile(r'^\s*(model_checkpoint_path|all_model_checkpoint_paths)\s*:\s*"((?:[^"\\]|\\.)*)"', re.MULTILINE)


@public("train.get_checkpoint_state")
def get_checkpoint_state(checkpoint_dir: str, latest_filename: str | None = None) -> CheckpointState | None:
    """What the file ``checkpoint`` of a folder says; None without one."""
    file = Path(checkpoint_dir) / (latest_filename or "checkpoint")
    if not file.is_file():
        return None
    found: dict[str, list[str]] = {"model_checkpoint_path": [], "all_model_checkpoint_paths": []}
    for key, value in _LINE.findall(file.read_text(encoding="utf-8", errors="replace")):
        found[key].append(str(Path(checkpoint_dir) / re.sub(r"\\(.)", r"\1", value)))
    if not found["model_checkpoint_path"]:
        return None
    last = found["model_checkpoint_path"][-1]
    return CheckpointState(last, found["all_model_checkpoint_paths"] or [last])


@public("train.latest_checkpoint")
def latest_checkpoint(checkpoint_dir: str, latest_filename: str | None = None) -> str | None:
    """The last checkpoint of a folder; None without one."""
    state = get_checkpoint_state(checkpoint_dir, latest_filename)
    return state.model_checkpoint_path if state and checkpoint_exists(state.model_checkpoint_path) else None


@public("train.update_checkpoint_state")
def update_checkpoint_state(
    save_dir: Any, model_checkpoint_path: str, all_model_checkpoint_paths: list[str] | None = None,
    latest_filename: str | None = None, save_relative_paths: bool = False, **accepted: Any,
) -> None:  # fmt: skip
    """Writes the file ``checkpoint`` of a folder. Paths that are not absolute are relative to the folder."""
    folder = Path(save_dir)
    everything = list(all_model_checkpoint_paths or [])
    if model_checkpoint_path not in everything:
        everything.append(model_checkpoint_path)
    lines = [f'model_checkpoint_path: "{_quoted(model_checkpoint_path, folder, save_relative_paths)}"']
    lines += [f'all_model_checkpoint_paths: "{_quoted(each, folder, save_relative_paths)}"' for each in everything]
    replace_file(folder / (latest_filename or "checkpoint"), "".join(f"{line}\n" for line in lines).encode())


def _quoted(path: str, folder: Path, relative: bool) -> str:
    place = Path(path)
    if relative or not place.is_absolute():
        place = Path(place.name) if place.parent == folder else place.absolute()
    return str(place).replace("\\", "\\\\").replace('"', '\\"')


@public("train.NewCheckpointReader")
class CheckpointReader:
    """A checkpoint, open for reading."""

    def __init__(self, filepattern: str) -> None:
        self._checkpoint = Checkpoint(filepattern)

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """The shapes by name."""
        return {name: list(variable.shape) for name, variable in self._checkpoint.variables.items()}

    def has_tensor(self, tensor_str: str) -> bool:
        """Whether there is a variable of that name."""
        return tensor_str in self._checkpoint

    def get_tensor(self, tensor_str: str) -> Any:
        """The values of a variable."""
        return self._checkpoint.read(tensor_str).numpy()


@public("train.list_variables", "contrib.framework.list_variables")
def list_variables(ckpt_dir_or_file: str) -> list[tuple[str, list[int]]]:
    """The names and shapes of a checkpoint's variables."""
    return list(CheckpointReader(ckpt_dir_or_file).get_variable_to_shape_map().items())


@public("train.load_variable", "contrib.framework.load_variable")
def load_variable(ckpt_dir_or_file: str, name: str) -> Any:
    """The values of a variable of a checkpoint."""
    return CheckpointReader(ckpt_dir_or_file).get_tensor(name)
