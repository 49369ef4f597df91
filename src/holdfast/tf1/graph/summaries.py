"""``tf.summary``: values in a run as summaries, written to event files that TensorBoard shows.

The messages and the files are those of the library ``tensorboard``. Without it a program runs as well: its summaries
are empty and nothing is written, which a warning says once.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from holdfast.errors import HoldfastWarning
from holdfast.tf1.graph.convert import convert_to_tensor
from holdfast.tf1.graph.graph import Graph, get_default_graph, node
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.summary_messages import Summary as OwnSummary
from holdfast.tf1.graph.tensors import Tensor

_COLLECTION = "summaries"
_BINS = 30  # of a histogram


def _library() -> Any:
    """The messages of tensorboard; None without the library."""
    try:
        from tensorboard.compat.proto import summary_pb2
    except ImportError:
        return None
    return summary_pb2


def _summary(
    type_: str, name: str, tensor: Any, collections: Any, values_of: Callable[[Any, str, torch.Tensor], list[Any]]
) -> Tensor:
    value = convert_to_tensor(tensor)

    def compute(x: torch.Tensor) -> np.ndarray[Any, Any]:
        messages = _library()
        content = (
            b""
            if messages is None
            else messages.Summary(value=values_of(messages, tag, x.detach())).SerializeToString()
        )
        return np.array(content, dtype=np.object_)

    cleaned = re.sub(r"[^-/\w.]", "_", name).lstrip("/")  # as TensorFlow's tags
    made = node(type_, compute, [value], "string", (), cleaned, gradient=False)
    tag = made.op.name
    for collection in [_COLLECTION] if collections is None else collections:
        get_default_graph().add_to_collection(collection, made)
    return made


@public("summary.scalar")
def scalar(name: str, tensor: Any, collections: Any = None, family: str | None = None) -> Tensor:
    """A number."""
    return _summary(
        "ScalarSummary", name, tensor, collections,
        lambda messages, tag, x: [messages.Summary.Value(tag=tag, simple_value=float(x))],
    )  # fmt: skip


@public("summary.histogram")
def histogram(name: str, values: Any, collections: Any = None, family: str | None = None) -> Tensor:
    """The distribution of values."""
    return _summary("HistogramSummary", name, values, collections, _histogram_values)


def _histogram_values(messages: Any, tag: str, x: torch.Tensor) -> list[Any]:
    numbers = x.double().reshape(-1).numpy()
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        numbers = np.zeros(1)
    counts, edges = np.histogram(numbers, _BINS)
    distribution = messages.HistogramProto(
        min=numbers.min(), max=numbers.max(), num=numbers.size, sum=numbers.sum(), sum_squares=np.square(numbers).sum(),
        bucket_limit=edges[1:].tolist(), bucket=counts.tolist(),
    )  # fmt: skip
    return [messages.Summary.Value(tag=tag, histo=distribution)]


@public("summary.image")
def image(name: str, tensor: Any, max_outputs: int = 3, collections: Any = None, family: str | None = None) -> Tensor:
    """Pictures [B, height, width, channels]: bytes, or fractions that are scaled to fill their range."""

    def values(messages: Any, tag: str, x: torch.Tensor) -> list[Any]:
        return [
            messages.Summary.Value(tag=f"{tag}/image/{number}", image=_picture(messages, picture.numpy()))
            for number, picture in enumerate(x[:max_outputs])
        ]

    return _summary("ImageSummary", name, tensor, collections, values)


def _picture(messages: Any, picture: np.ndarray[Any, Any]) -> Any:
    import io

    from PIL import Image

    if picture.dtype != np.uint8:
        low, high = float(picture.min()), float(picture.max())
        scaled = picture * (255 / high if high > 0 else 0) if low >= 0 else picture * (127 / max(-low, high)) + 128
        picture = np.clip(scaled, 0, 255).astype(np.uint8)
    height, width, channels = picture.shape
    file = io.BytesIO()
    Image.fromarray(picture[..., 0] if channels == 1 else picture).save(file, "PNG")
    return messages.Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=file.getvalue())


@public("summary.merge", "merge_summary")
def merge(inputs: Any, collections: Any = None, name: str | None = None) -> Tensor:
    """Several summaries as one."""
    summaries = [convert_to_tensor(each) for each in inputs]

    def compute(*parts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.array(b"".join(part.item() for part in parts), dtype=np.object_)  # messages of one kind add up

    return node("MergeSummary", compute, summaries, "string", (), name, gradient=False)


@public("summary.merge_all", "merge_all_summaries")
def merge_all(key: str = _COLLECTION, scope: str | None = None, name: str | None = None) -> Tensor | None:
    """All summaries of the graph as one; None without any."""
    summaries = get_default_graph().get_collection(key, scope)
    return merge(summaries, name=name) if summaries else None


@public("summary.FileWriter", "train.SummaryWriter")
class FileWriter:
    """Writes summaries to an event file in a folder.

    Args:
        logdir: The folder; made if it is not there.
        graph: A graph to show; ``graph_def`` is another name of it.
        max_queue: Summaries that wait before they are written.
        flush_secs: Seconds after which they are written at the latest.
        filename_suffix: The end of the file's name.
    """

    def __init__(
        self, logdir: Any, graph: Graph | None = None, max_queue: int = 10, flush_secs: int = 120,
        graph_def: Any = None, filename_suffix: str | None = None, session: Any = None,
    ) -> None:  # fmt: skip
        self._folder = str(logdir)
        self._writer: Any = None
        try:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError:
            warnings.warn(
                "tf.summary.FileWriter writes nothing: the library tensorboard is not installed. "
                "pip install 'holdfast[tf1]' installs it.",
                HoldfastWarning,
                stacklevel=2,
            )
        else:
            Path(self._folder).mkdir(parents=True, exist_ok=True)
            self._writer = EventFileWriter(self._folder, max_queue, flush_secs, filename_suffix or "")
        shown = graph if graph is not None else graph_def
        if shown is not None:
            self.add_graph(shown)

    def get_logdir(self) -> str:
        """The folder."""
        return self._folder

    def add_summary(self, summary: Any, global_step: Any = None) -> None:
        """Writes what a run of a summary returned, with the number of the step."""
        if self._writer is None:
            return
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        if isinstance(summary, OwnSummary):
            values = [Summary.Value(tag=each.tag, simple_value=each.simple_value) for each in summary.value]
            summary = Summary(value=values)
        message = Summary.FromString(summary) if isinstance(summary, bytes) else summary
        self._add(Event(summary=message), global_step)

    def add_event(self, event: Any) -> None:
        """Writes an event of TensorBoard."""
        if self._writer is not None:
            self._writer.add_event(event)

    def _add(self, event: Any, global_step: Any) -> None:
        event.wall_time = time.time()
        if global_step is not None:
            event.step = int(global_step)
        self._writer.add_event(event)

    def add_graph(self, graph: Graph, global_step: Any = None, graph_def: Any = None) -> None:
        """Writes the operations of a graph, for TensorBoard's page of graphs."""
        if self._writer is None:
            return
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.graph_pb2 import GraphDef
        from tensorboard.compat.proto.node_def_pb2 import NodeDef

        nodes = [
            NodeDef(
                name=op.name,
                op=op.type,
                input=[t.op.name if not t.value_index else t.name for t in op.inputs]
                + [f"^{control.name}" for control in op.control_inputs],
            )
            for op in graph.operations
        ]
        self._add(Event(graph_def=GraphDef(node=nodes).SerializeToString()), global_step)

    def add_meta_graph(self, meta_graph_def: Any, global_step: Any = None) -> None:
        """Accepted."""

    def add_run_metadata(self, run_metadata: Any, tag: str, global_step: Any = None) -> None:
        """Accepted: runs are not traced."""

    def add_session_log(self, session_log: Any, global_step: Any = None) -> None:
        """Accepted."""

    def flush(self) -> None:
        """Writes all that waits."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Writes all that waits, and closes the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def reopen(self) -> None:
        """Opens another event file in the folder."""
        if self._writer is None:
            self.__init__(self._folder)  # type: ignore[misc]

    def __enter__(self) -> FileWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()
