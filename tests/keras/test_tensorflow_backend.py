"""Keras on TensorFlow: Holdfast's kernels as calls on the host, eagerly, in graphs and in ``fit``."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

if os.environ.get("KERAS_BACKEND") != "tensorflow":
    pytest.skip("runs with KERAS_BACKEND=tensorflow alone", allow_module_level=True)
keras = pytest.importorskip("keras", reason="needs keras: pip install 'holdfast[keras]'")
tf = pytest.importorskip("tensorflow", reason="needs tensorflow: pip install tensorflow-cpu")

from tests.keras.computations import CELLS, Case, case, cases, present  # noqa: E402

import holdfast.keras  # noqa: E402  (TensorFlow may be missing)
from holdfast.errors import EngineError  # noqa: E402
from holdfast.keras import host, tensorflow_backend  # noqa: E402

OF_ROWS = ("inputs", "mask", "state_mask", "state.0", "state.1")


def tensor(each: torch.Tensor) -> Any:
    return tf.constant(each.numpy())


def there_and_back(of: Case, values: dict[str, Any], gradients: list[Any]) -> tuple[Any, Any, Any]:
    """The outcome, and its gradients taken twice through the same tape."""
    leaves = {name: values[name] for name in of.expected}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(leaves)
        outcome = present(tensorflow_backend.run(of.computation, host.from_names(values)))
    first, second = (tape.gradient(outcome, leaves, output_gradients=gradients) for _ in range(2))
    return outcome, first, second


def check(of: Case, found: tuple[Any, Any, Any]) -> None:
    outcome, *gradients = found
    for each, expected in zip(outcome, of.outcome, strict=True):
        np.testing.assert_array_equal(each, expected)
    for each in gradients:
        assert each.keys() == of.expected.keys()
        for name, expected in of.expected.items():
            np.testing.assert_array_equal(each[name], expected, err_msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_eager_results_and_gradients_are_those_of_torch(name: str, dtype: torch.dtype) -> None:
    for _, *which in (each for each in cases(dtype) if each[0] == name):
        of = case(*which)
        values = {name: tensor(each) for name, each in of.tensors.items()}
        check(of, there_and_back(of, values, [tensor(each) for each in of.gradients]))


@pytest.mark.parametrize("option", [0, 5, 10, 15])
@pytest.mark.parametrize("name", CELLS)
def test_a_graph_with_unknown_sizes_gives_the_same(name: str, option: int) -> None:
    of = case(CELLS[name], option, option % 2 == 1, option == 10, torch.float32)
    open_shapes = {name: [None, None, *each.shape[2:]] for name, each in of.tensors.items() if name == "inputs"}
    open_shapes |= {name: [None, *each.shape[1:]] for name, each in of.tensors.items() if name in OF_ROWS[2:]}
    open_shapes |= {"mask": [None, None]}
    specs = {
        name: tf.TensorSpec(open_shapes.get(name, each.shape), tensor(each).dtype) for name, each in of.tensors.items()
    }
    traced = []

    @tf.function(input_signature=[specs, [tf.TensorSpec([None] * each.ndim) for each in of.gradients]])
    def function(values: Any, gradients: Any) -> Any:
        found = there_and_back(of, values, gradients)
        traced.extend(each.shape.as_list() for each in found[0])
        return found

    check(of, function({k: tensor(v) for k, v in of.tensors.items()}, [tensor(each) for each in of.gradients]))
    assert traced == [[None] * (each.ndim - 1) + [each.shape[-1]] for each in of.outcome]


@pytest.mark.parametrize("graph", [False, True])
def test_the_host_works_in_the_memory_of_the_tensors(graph: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    of = case(CELLS["LSTM"], 4, masked=False, dropped=False, dtype=torch.float32)
    values = {name: tensor(each) for name, each in of.tensors.items()}
    seen = {}
    forward = host.forward

    def told(computation: Any, arrays: Any, **more: Any) -> Any:
        found = forward(computation, arrays, **more)
        seen.update(inputs=arrays.inputs.data_ptr(), outputs=found[0].outputs.data_ptr())
        return found

    monkeypatch.setattr(host, "forward", told)

    def function(values: Any) -> Any:
        return tensorflow_backend.run(of.computation, host.from_names(values))

    outcome = (tf.function(function) if graph else function)(values)
    address = {"inputs": values["inputs"], "outputs": outcome.outputs}
    assert seen == {name: np.asarray(memoryview(each)).ctypes.data for name, each in address.items()}


@pytest.mark.parametrize("graph", [False, True])
def test_there_is_no_second_derivative(graph: bool) -> None:
    of = case(CELLS["GRU"], 0, masked=False, dropped=False, dtype=torch.float32)
    values = {name: tensor(each) for name, each in of.tensors.items()}

    def function(x: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                last = tensorflow_backend.run(of.computation, host.from_names({**values, "inputs": x})).last
            first = inner.gradient(last, x)
        return outer.gradient(first, x)

    message = "The kernels that compute this GRU layer have no second derivative. Use Keras's own layer, which has one."
    with pytest.raises(EngineError) as caught:
        (tf.function(function, autograph=False) if graph else function)(values["inputs"])
    assert str(caught.value) == message


def test_calls_from_many_threads_at_once_do_not_disturb_one_another() -> None:
    of = case(CELLS["LSTM"], 7, masked=True, dropped=True, dtype=torch.float32)
    values = {name: tensor(each) for name, each in of.tensors.items()}
    gradients = [tensor(each) for each in of.gradients]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: there_and_back(of, values, gradients), range(40)):
            check(of, found)


def test_keras_runs_what_xla_compiles() -> None:
    keras.utils.set_random_seed(1)
    layer = holdfast.keras.LSTM(5)
    x = tf.random.normal((2, 4, 3), seed=1)
    expected = layer(x)
    reasons = []

    @tf.function(jit_compile=True)
    def compiled(x: Any) -> Any:
        reasons.append(layer.why_not())
        return layer(x)

    np.testing.assert_allclose(compiled(x), expected, rtol=1e-5, atol=1e-5)
    assert reasons == ["XLA compiles this call, and it cannot call the kernels."]
    assert layer.why_not() is None


def test_on_a_gpu_keras_runs_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [kind])
    assert holdfast.keras.GRU(3).why_not() == "TensorFlow computes on a GPU, and the kernels compute on the CPU."


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_fit_learns_as_with_keras_own_layer(name: str, eager: bool) -> None:
    random = np.random.default_rng(0)
    x, labels = random.normal(size=(50, 6, 3)).astype("float32"), random.integers(4, size=50)
    losses, weights = [], []
    for home in (keras.layers, holdfast.keras):
        keras.utils.set_random_seed(1)
        recurrent = keras.layers.Bidirectional(getattr(home, name)(8))
        model = keras.Sequential([keras.Input((None, 3)), recurrent, keras.layers.Dense(4)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.5), loss, run_eagerly=eager)
        losses.append(model.fit(x, labels, batch_size=16, epochs=2, verbose=0).history["loss"])
        weights.append(model.get_weights())
        assert not model.jit_compile or home is keras.layers
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    for ours, theirs in zip(*weights[::-1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
