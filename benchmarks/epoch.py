"""A whole epoch of training: an LSTM reads 60,000 images of 28 x 28 pixels row by row.

Our layer and torch.nn's run in the same loop; Keras runs in its own, ``model.fit``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

import holdfast
from benchmarks import cases
from benchmarks.cases import Case
from benchmarks.rounds import Answers, Unavailable
from benchmarks.workers import Worker
from holdfast.data.readers import idx
from holdfast.settings import DataSettings

IMAGES, CLASSES = 60_000, 10
RATE, CLIP = 1e-3, 1.0
LEARNT = 1.0  # the mean loss of an epoch must be below this; guessing has 2.3

Images = Mapping[str, NDArray[Any]]


def generated() -> Images:
    """As many images as MNIST: noise added to one of ten patterns."""
    random = np.random.default_rng(0)
    patterns = random.random((CLASSES, 28, 28), np.float32)
    labels = random.integers(0, CLASSES, IMAGES)
    return {"images": (patterns[labels] + random.random((IMAGES, 28, 28), np.float32)) / 2, "labels": labels}


def read(folder: Path) -> Images:
    """MNIST's training images from a folder with its files."""
    examples = idx.read(
        folder / "train-images-idx3-ubyte.gz", DataSettings(), labels=folder / "train-labels-idx1-ubyte.gz"
    )
    images = np.stack([np.asarray(image, np.float32) for image in examples.inputs]) / 255
    return {"images": images, "labels": np.asarray(examples.labels, np.int64)}


class Loop:
    """A recurrent and a linear layer in a plain torch loop: shuffled batches, cross-entropy, clipping, Adam."""

    passes = ("epoch",)

    def __init__(self, name: str, layer: nn.Module, case: Case, images: Images):
        self.name, self.loss = name, float("nan")
        torch.manual_seed(0)
        linear = nn.Linear(case.shape[3], CLASSES)
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -0.07, 0.07)
        self._model, self._batch = nn.ModuleDict({"layer": layer, "linear": linear}), case.shape[0]
        self._images, self._labels = torch.from_numpy(images["images"]), torch.from_numpy(images["labels"])
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=RATE)

    def _loss(self, rows: torch.Tensor) -> torch.Tensor:
        _, (h, _) = self._model["layer"](self._images[rows])
        return F.cross_entropy(self._model["linear"](h[0]), self._labels[rows])

    def answers(self) -> Answers:
        """The gradients of the first batch."""
        self._optimizer.zero_grad()
        self._loss(torch.arange(self._batch)).backward()
        return {name: p.grad.numpy().copy() for name, p in self._model.named_parameters() if p.grad is not None}

    def seconds(self, which: str, calls: int, warm: bool) -> float:
        """The time of the next epoch."""
        start, losses = time.perf_counter(), []
        for rows in torch.randperm(len(self._images)).split(self._batch):
            self._optimizer.zero_grad()
            loss = self._loss(rows)
            loss.backward()
            nn.utils.clip_grad_norm_(self._model.parameters(), CLIP)
            self._optimizer.step()
            losses.append(loss.detach())
        self.loss = float(torch.stack(losses).mean())
        return time.perf_counter() - start


class KerasFit:
    """``model.fit`` in a worker."""

    passes = ("epoch",)

    def __init__(self, worker: Worker, case: Case, images: Images):
        self.name, self._worker, self.loss = worker.name, worker, float("nan")
        np.savez(worker.path("images.npz"), **images)
        sizes = {"hidden_size": case.shape[3], "batch": case.shape[0], "rate": RATE, "clip": CLIP}
        worker.ask("prepare_epoch", images=str(worker.path("images.npz")), **sizes)

    def answers(self) -> Answers:
        """Nothing: Keras draws its own initial weights, and its layer was compared before."""
        return {}

    def seconds(self, which: str, calls: int, warm: bool) -> float:
        """The time of the next epoch."""
        answer = self._worker.ask("epoch")
        self.loss = answer["loss"]
        return float(answer["seconds"])


def contender(name: str, case: Case, images: Images) -> Loop:
    """The loop around our layer (``"holdfast"``) or torch.nn's.

    Raises:
        Unavailable: There is no contender with that name.
    """
    _, _, I, H = case.shape  # noqa: E741
    layers = {"holdfast": holdfast.LSTM, cases.TORCH: nn.LSTM}
    if name not in layers:
        raise Unavailable(f"there is no peer {name!r}.")
    return Loop(name, layers[name](I, H, batch_first=True), case, images)
