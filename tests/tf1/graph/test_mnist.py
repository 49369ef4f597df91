from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from holdfast.data.sets import download
from holdfast.errors import MissingDataError, OptionError
from holdfast.tf1 import graph as tf

input_data = tf.examples.tutorials.mnist.input_data


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sixty training and ten test images of 28 x 28; image k has the value k and the label k % 10."""
    monkeypatch.delenv("HOLDFAST_DATA", raising=False)
    for name, count in (("train", 60), ("t10k", 10)):
        pixels = np.repeat(np.arange(count, dtype=np.uint8), 784).tobytes()
        images = struct.pack(">4I", 0x803, count, 28, 28) + pixels
        labels = struct.pack(">2I", 0x801, count) + bytes(k % 10 for k in range(count))
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (tmp_path / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    tf.reset_default_graph()
    return tmp_path


def numbers(images: np.ndarray) -> list[int]:
    return np.rint(images.reshape(len(images), -1)[:, 0] * 255).astype(int).tolist()


def test_the_three_parts(folder: Path) -> None:
    mnist = input_data.read_data_sets(str(folder), one_hot="true", validation_size=5)
    assert [part.num_examples for part in mnist] == [55, 5, 10]
    assert numbers(mnist.validation.images) == [0, 1, 2, 3, 4]
    assert mnist.train.images.shape == (55, 784)
    assert mnist.train.images.dtype == np.float32
    assert mnist.test.images[9, 0] == np.float32(9 / 255)
    assert mnist.test.labels.tolist() == np.eye(10).tolist()
    assert mnist.train.labels.dtype == np.float64


def test_forms(folder: Path) -> None:
    mnist = input_data.read_data_sets(folder, dtype=tf.uint8, reshape=False, validation_size=0)
    assert mnist.train.images.shape == (60, 28, 28, 1)
    assert mnist.train.images.dtype == np.uint8
    assert mnist.train.labels[:12].tolist() == [*range(10), 0, 1]
    assert mnist.validation.num_examples == 0
    with pytest.raises(ValueError, match="validation_size is 5000; expected a number from 0 to 60"):
        input_data.read_data_sets(folder)
    with pytest.raises(TypeError, match=r"expected tf.float32 or tf.uint8"):
        input_data.read_data_sets(folder, dtype=tf.int32, validation_size=0)


def test_batches_go_on_into_the_next_epoch_in_a_new_order(folder: Path) -> None:
    train = input_data.read_data_sets(folder, validation_size=0, seed=3).train
    given: list[int] = []
    epochs = []
    for _ in range(8):
        images, labels = train.next_batch(16)
        assert [number % 10 for number in numbers(images)] == labels.tolist()
        given += numbers(images)
        epochs.append(train.epochs_completed)
    assert sorted(given[:60]) == sorted(given[60:120]) == list(range(60))
    assert given[:60] != given[60:120] != list(range(60))
    assert epochs == [0, 0, 0, 1, 1, 1, 1, 2]


def test_batches_in_the_order_of_the_file(folder: Path) -> None:
    test = input_data.read_data_sets(folder, validation_size=0).test
    batches = [numbers(test.next_batch(4, shuffle=False)[0]) for _ in range(3)]
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    with pytest.raises(OptionError, match=r"next_batch\(11\) of 10 images; expected a batch of at most 10"):
        test.next_batch(11)


def test_seeds_give_the_same_order_again(folder: Path) -> None:
    def first(seed: int | None) -> list[int]:
        return numbers(input_data.read_data_sets(folder, validation_size=0, seed=seed).train.next_batch(60)[0])

    assert first(1) == first(1) != first(2)
    np.random.seed(4)
    order = first(None)
    assert first(None) != order
    np.random.seed(4)
    assert first(None) == order
    tf.set_random_seed(7)
    assert first(None) == first(None)


def test_fake_data() -> None:
    train = input_data.read_data_sets("", fake_data=True, one_hot=True).train
    images, labels = train.next_batch(3)
    assert images == [[1] * 784] * 3
    assert labels == [[1] + [0] * 9] * 3
    assert train.num_examples == 10_000


def test_files_from_the_environment_or_an_error(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "cache_dir", lambda: folder / "cache")
    monkeypatch.setattr("urllib.request.urlopen", lambda *args, **options: (_ for _ in ()).throw(OSError("no network")))
    with pytest.raises(MissingDataError, match=r"train-images-idx3-ubyte.gz"):
        input_data.read_data_sets("MNIST_data")
    monkeypatch.setenv("HOLDFAST_DATA", str(folder))
    assert input_data.read_data_sets("MNIST_data", validation_size=0).train.num_examples == 60
    (images, labels), (test_images, _) = tf.keras.datasets.mnist.load_data()
    assert images.shape == (60, 28, 28)
    assert labels.dtype == images.dtype == np.uint8
    assert test_images.shape == (10, 28, 28)
    with pytest.raises(OptionError, match="expected 'mnist'"):
        tf.contrib.learn.datasets.load_dataset("iris")


def test_the_real_files(real_data: Callable[[str], Path]) -> None:
    mnist = input_data.read_data_sets(real_data("mnist"), one_hot=True)
    assert [part.num_examples for part in mnist] == [55_000, 5000, 10_000]
    assert mnist.test.labels[:5].argmax(1).tolist() == [7, 2, 1, 0, 4]
    assert 0.129 < mnist.train.images.mean() < 0.132
