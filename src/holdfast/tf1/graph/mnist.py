"""``tensorflow.examples.tutorials.mnist.input_data``: the digits of MNIST, by batches."""

from __future__ import annotations

import math
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.errors import OptionError
from holdfast.tf1.graph.dtypes import as_dtype, float32, uint8
from holdfast.tf1.graph.graph import get_default_graph
from holdfast.tf1.graph.names import public, publish

Array = np.ndarray[Any, Any]
_PLACE = "contrib.learn.python.learn.datasets.mnist"
_CLASSES, _PIXELS, _FAKE = 10, 784, 10_000

Datasets = namedtuple("Datasets", ["train", "validation", "test"])
publish(Datasets, f"{_PLACE}.Datasets", "contrib.learn.python.learn.datasets.base.Datasets")


@public(f"{_PLACE}.dense_to_one_hot")
def dense_to_one_hot(labels_dense: Any, num_classes: int = _CLASSES) -> Array:
    """Labels [N] as rows [N, num_classes], float64, with 1 at the label."""
    rows: Array = np.eye(num_classes)[np.asarray(labels_dense)]
    return rows


@public(f"{_PLACE}.DataSet")
class DataSet:
    """Images and labels, given out in batches.

    Args:
        images: [N, 28, 28, 1], uint8.
        labels: [N], or [N, 10].
        fake_data: Makes images of ones instead.
        one_hot: Whether fake labels are rows.
        dtype: ``tf.float32`` scales the images to 0 to 1; ``tf.uint8`` leaves them.
        reshape: Whether images are rows of 784.
        seed: Of the order; None for the graph's seed if it has one, otherwise NumPy's own random numbers.
    """

    def __init__(
        self, images: Any, labels: Any, fake_data: Any = False, one_hot: Any = False, dtype: Any = float32,
        reshape: bool = True, seed: int | None = None,
    ) -> None:  # fmt: skip
        kind = as_dtype(dtype)
        if kind not in (float32, uint8):
            raise TypeError(f"MNIST's images were asked for as {kind.name}; expected tf.float32 or tf.uint8.")
        seed = get_default_graph().seed if seed is None else seed
        self._random: Any = np.random if seed is None else np.random.RandomState(seed % 2**32)
        self._fake, self._one_hot = fake_data, one_hot
        self._next, self._epochs = 0, 0
        if len(images) != len(labels):
            raise ValueError(f"A DataSet got {len(images)} images and {len(labels)} labels; expected as many.")
        pixels = np.asarray(images)
        if reshape:
            pixels = pixels.reshape(len(pixels), math.prod(pixels.shape[1:]))
        self._images: Array = pixels.astype(np.float32) * np.float32(1 / 255) if kind == float32 else pixels
        self._labels: Array = np.asarray(labels)

    @property
    def images(self) -> Array:
        """The images in their present order."""
        return self._images

    @property
    def labels(self) -> Array:
        """The labels in the order of the images."""
        return self._labels

    @property
    def num_examples(self) -> int:
        """The number of images."""
        return _FAKE if self._fake else len(self._images)

    @property
    def epochs_completed(self) -> int:
        """How many times all images have been given out."""
        return self._epochs

    def next_batch(self, batch_size: int, fake_data: Any = False, shuffle: bool = True) -> tuple[Any, Any]:
        """The next ``batch_size`` images and labels.

        The order is new in each epoch; a batch at the end of an epoch takes its rest from the next one.

        Raises:
            OptionError: The batch is larger than the whole set.
        """
        if fake_data or self._fake:
            label = [1] + [0] * (_CLASSES - 1) if self._one_hot else 0
            return [[1] * _PIXELS for _ in range(batch_size)], [label for _ in range(batch_size)]
        count = self.num_examples
        if batch_size > count:
            raise OptionError(f"next_batch({batch_size}) of {count} images; expected a batch of at most {count}.")
        start = self._next
        if start == 0 and self._epochs == 0 and shuffle:
            self._shuffle()
        if start + batch_size <= count:
            self._next = start + batch_size
            return self._images[start : self._next], self._labels[start : self._next]
        self._epochs += 1
        images, labels = self._images[start:], self._labels[start:]
        if shuffle:
            self._shuffle()
        self._next = batch_size - len(images)
        rest = slice(0, self._next)
        return np.concatenate([images, self._images[rest]]), np.concatenate([labels, self._labels[rest]])

    def _shuffle(self) -> None:
        order = np.arange(self.num_examples)
        self._random.shuffle(order)
        self._images, self._labels = self._images[order], self._labels[order]


@public(f"{_PLACE}.read_data_sets")
def read_data_sets(
    train_dir: Any, fake_data: Any = False, one_hot: Any = False, dtype: Any = float32, reshape: bool = True,
    validation_size: int = 5000, seed: int | None = None, source_url: str = "",
) -> Datasets:  # fmt: skip
    """MNIST as ``.train``, ``.validation`` (the first of the training images) and ``.test``.

    Args:
        train_dir: A folder that may have the files. Otherwise they are searched for in the folder that the
            environment variable HOLDFAST_DATA names and in the cache, and then downloaded into the cache.
        fake_data: Whether to make images of ones instead.
        one_hot: Anything true for labels [N, 10], float64; otherwise [N], uint8.
        dtype: ``tf.float32`` for images from 0 to 1, ``tf.uint8`` for images as they are in the files.
        reshape: Whether images are [N, 784]; otherwise [N, 28, 28, 1].
        validation_size: The number of validation images.
        seed: Of the order; None for the graph's seed if it has one, otherwise NumPy's own random numbers.
        source_url: Accepted.

    Raises:
        MissingDataError: The files were not found and could not be downloaded.
        DataError: A file is damaged.
        ValueError: There are fewer training images than ``validation_size``.
    """
    if fake_data:
        return Datasets(*(DataSet([], [], fake_data, one_hot, dtype, seed=seed) for _ in Datasets._fields))
    train, test = files(train_dir)
    images, labels = _read(train, one_hot)
    if not 0 <= validation_size <= len(images):
        raise ValueError(f"validation_size is {validation_size}; expected a number from 0 to {len(images)}.")
    parts = [
        (images[validation_size:], labels[validation_size:]),
        (images[:validation_size], labels[:validation_size]),
        _read(test, one_hot),
    ]
    return Datasets(*(DataSet(*part, dtype=dtype, reshape=reshape, seed=seed) for part in parts))


def files(train_dir: Any = "") -> tuple[list[Path], list[Path]]:
    """The files of MNIST: images and labels to train, and to test."""
    from holdfast.data.sets import published  # here, so that other programs start without the readers

    folders = [Path(str(train_dir))] if train_dir else []
    local = published.local_folder(None)
    return published.files_of("mnist", [*folders, *([local] if local else [])])


def _read(paths: list[Path], one_hot: Any) -> tuple[Array, Array]:
    from holdfast.data.readers import idx

    images, labels = idx.values(paths[0], 3, "images"), idx.values(paths[1], 1, "labels")
    return images[..., None], dense_to_one_hot(labels) if one_hot else labels


@public("keras.datasets.mnist.load_data")
def load_data(path: str = "mnist.npz") -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """MNIST as ``(images, labels), (test_images, test_labels)``: [N, 28, 28] and [N], uint8; ``path`` is accepted."""
    train, test = files()
    (images, labels), (test_images, test_labels) = (_read(paths, False) for paths in (train, test))
    return (images[..., 0], labels), (test_images[..., 0], test_labels)


@public("contrib.learn.datasets.load_dataset")
def load_dataset(name: str, size: str = "small", test_with_fake_data: bool = False) -> Any:
    """``read_data_sets`` of the set ``"mnist"``.

    Raises:
        OptionError: It is another set.
    """
    if name != "mnist":
        raise OptionError(f"load_dataset({name!r}): expected 'mnist', the only set that Holdfast reads by its name.")
    return read_data_sets("", test_with_fake_data)
