"""The models that a server has, by name and version."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, MissingLibraryError, ModelFileError, OptionError
from holdfast.files import container
from holdfast.runtime import network as streams
from holdfast.runtime.network import STREAM, StreamNetwork
from holdfast.runtime.steps import MISSING
from holdfast.serve.installed import check_whole, is_whole
from holdfast.serve.limits import Limits
from holdfast.serve.naming import Place
from holdfast.serve.refusals import Refusal
from holdfast.serve.runners import Runner, StreamRunner
from holdfast.serve.tensors import Array, TensorInfo

if TYPE_CHECKING:
    from holdfast.predictor import Predictor

NETWORK = "network"
"""The task of a model of other software, which has tensors alone."""


@dataclass
class ServedModel:
    """A model that the server answers for.

    Attributes:
        name: Its name in paths.
        version: Its version in paths.
        digest: SHA-256 of its file, in hexadecimal digits; states that a client holds are bound to it.
        task: ``"classify"`` and so on; ``"stream"`` for an exported stream, ``"network"`` for other networks.
        network: What a stream computes; None where it cannot stream.
        why_no_stream: One sentence that says why it cannot; empty where it can.
        path: Its file.
    """

    name: str
    version: str
    digest: str
    task: str
    runner: Runner
    network: StreamNetwork | None = None
    why_no_stream: str = ""
    path: Path | None = None
    _open: Callable[[], Predictor] | None = None
    _predictor: Predictor | None = None
    _opening: threading.Lock = field(default_factory=threading.Lock)

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The input tensors of Open Inference Protocol v2."""
        return self.runner.inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The output tensors of Open Inference Protocol v2."""
        return self.runner.outputs

    def infer(self, inputs: Mapping[str, Array], limits: Limits) -> dict[str, Array]:
        """The output tensors of some input tensors, which were checked against :attr:`inputs`.

        Args:
            inputs: By name.
            limits: What a request may take.

        Raises:
            Refusal: 413 where the computation would take more than a limit.
            HoldfastError: The values do not fit the model.
        """
        return self.runner.run(inputs, limits)

    def predictor(self) -> Predictor:
        """What answers as ``holdfast predict``. The first call may import torch and open the model.

        Raises:
            Refusal: 422 for a model without a task.
            MissingLibraryError: A library is not installed.
            ModelFileError: The model cannot be used any more. The message names its file, which is for the log alone.
        """
        with self._opening:
            if self._predictor is None:
                if self._open is None:
                    raise Refusal(
                        422,
                        f"The model {self.name!r} has no task, only tensors: use /v2/models/{self.name}/infer.",
                    )
                check_whole(self.name)
                try:
                    self._predictor = self._open()
                except MissingLibraryError:
                    raise
                except HoldfastError as error:
                    raise ModelFileError(str(error)) from error
        return self._predictor

    def document(self) -> dict[str, Any]:
        """The metadata of the model, as Open Inference Protocol v2 has them."""
        labels = {info.name: list(info.labels) for info in self.outputs if info.labels}
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": f"holdfast_{self.task}",
            "inputs": [info.document() for info in self.inputs],
            "outputs": [info.document() for info in self.outputs],
            "parameters": {"digest": self.digest, "streams": self.network is not None, "labels": labels},
        }


class Models:
    """The models of a server.

    Args:
        models: At least one.
    """

    def __init__(self, models: Iterable[ServedModel]) -> None:
        self._by_name: dict[str, dict[str, ServedModel]] = {}
        for model in models:
            self._by_name.setdefault(model.name, {})[model.version] = model

    def __iter__(self) -> Any:
        return (model for versions in self._by_name.values() for model in versions.values())

    @property
    def names(self) -> list[str]:
        """The names of the models."""
        return list(self._by_name)

    def versions(self, name: str) -> list[str]:
        """The versions of a model, the lowest first; numbers come before other versions.

        Raises:
            Refusal: 404.
        """
        return sorted(self._versions(name), key=lambda v: (not v.isdecimal(), int(v) if v.isdecimal() else 0, v))

    def get(self, name: str, version: str = "") -> ServedModel:
        """A model.

        Args:
            name: Its name.
            version: Its version; empty for the highest one.

        Raises:
            Refusal: 404 where there is none.
        """
        versions = self._versions(name)
        wanted = version or self.versions(name)[-1]
        if wanted not in versions:
            raise Refusal(404, f"The model {name!r} has no version {wanted[:60]!r}; it has {', '.join(versions)}.")
        return versions[wanted]

    def _versions(self, name: str) -> dict[str, ServedModel]:
        if name not in self._by_name:
            raise Refusal(404, f"There is no model {name[:60]!r}; there is {', '.join(self._by_name)}.")
        return self._by_name[name]


def load(place: Place, device: str = "cpu") -> ServedModel:
    """Opens a model.

    An exported stream, and a model of a task that can be streamed, are opened without torch; the task of the latter at
    its first example. Every other model is opened with torch at once.

    Args:
        place: Its name, version and file.
        device: Where the model of a task is computed, as for :class:`holdfast.Predictor`. Streams and networks of other
            software are computed on the CPU.

    Raises:
        HoldfastError: There is no usable model, or no such device; the message says why.
    """
    if device != "cpu":  # else torch would be imported for streams too
        from holdfast.engines.devices import choose_device

        choose_device(device)
    path = container.model_path(place.path)
    kind = container.kind_of(path) if path.suffix == ".safetensors" else ""
    model = _of_network(place, path) if kind in ("", "network") else _of_holdfast(place, path, device)
    model.path, model.digest = path, _digest(path)
    return model


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_holdfast(place: Place, path: Path, device: str) -> ServedModel:
    """A model that ``holdfast train``, an estimator or ``Stream.export`` wrote."""
    try:
        network, task, why = *_streamed(path), ""
    except HoldfastError as error:
        if isinstance(error, ModelFileError) and not is_whole():
            raise  # torch would not help
        network, task, why = None, "", str(error).removeprefix(f"{path} ")
    if network is not None and network.vectors is not None:
        if task == STREAM:
            raise OptionError(
                f"{path} is a language model that was exported as a stream, and streams over HTTP take numbers. Serve "
                "the run of the model, which answers texts."
            )
        network, why = None, "It reads texts; a stream over HTTP takes numbers."
    if network is not None:
        why = MISSING or network.why_not_native() or ""
    if network is not None and task == STREAM:
        model = ServedModel(place.name, place.version, "", task, StreamRunner(network), network)
    elif network is not None and not why:
        model = ServedModel(place.name, place.version, "", task, StreamRunner(network), network)
        model._open = lambda: _unchanged(model, path, device)
    else:
        predictor = _predictor(path, device)
        from holdfast.serve.task_runner import TaskRunner

        runner = TaskRunner(predictor)
        model = ServedModel(place.name, place.version, "", predictor.task.name, runner, None, why)
        model._predictor = predictor
    return model


def _streamed(path: Path) -> tuple[StreamNetwork, str]:
    """The network of a file, and the name of its task."""
    network = streams.read(path)
    return network, str(container.read(path, "model", "np")[1].get("task"))


def _unchanged(model: ServedModel, path: Path, device: str) -> Predictor:
    """The predictor of a model that was opened before as a stream.

    Raises:
        ModelFileError: The file is another one by now: steps and examples would be answered by different models.
    """
    predictor = _predictor(path, device)
    if _digest(path) != model.digest:
        raise ModelFileError(f"{path} has changed since the server opened it. Restart the server.")
    return predictor


def _predictor(path: Path, device: str) -> Predictor:
    """What answers as ``holdfast predict``.

    Raises:
        MissingLibraryError: Only ``holdfast-runtime`` is installed.
    """
    check_whole(path)
    from holdfast.predictor import Predictor

    return Predictor(path, device)


def _of_network(place: Place, path: Path) -> ServedModel:
    """A model of other software, or a converted one."""
    check_whole(path)
    from holdfast.serve.network_runner import NetworkRunner

    why = "It is a network of other software. Only Holdfast's own layers can be streamed."
    return ServedModel(place.name, place.version, "", NETWORK, NetworkRunner.of(path), None, why)
