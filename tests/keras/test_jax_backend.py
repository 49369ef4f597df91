"""Keras on JAX: Holdfast's kernels as calls that XLA makes, traced or not, and in ``fit``."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

if os.environ.get("KERAS_BACKEND") != "jax":
    pytest.skip("runs with KERAS_BACKEND=jax alone", allow_module_level=True)
keras = pytest.importorskip("keras", reason="needs keras: pip install 'holdfast[keras]'")
jax = pytest.importorskip("jax", reason="needs jax: pip install jax")

from tests.keras.computations import CELLS, Case, case, cases, present  # noqa: E402

import holdfast.keras  # noqa: E402  (JAX may be missing)
from holdfast.errors import EngineError  # noqa: E402
from holdfast.keras import host, jax_backend  # noqa: E402
from holdfast.keras.jax_backend import _HostCall  # noqa: E402


def arrays(of: Case) -> dict[str, Any]:
    return {name: jax.numpy.asarray(each.numpy()) for name, each in of.tensors.items()}


def there_and_back(of: Case, values: dict[str, Any], gradients: list[Any]) -> tuple[Any, Any, Any]:
    """The outcome, and its gradients taken twice through the same call."""

    def outcome(leaves: dict[str, Any]) -> list[Any]:
        return present(jax_backend.run(of.computation, host.from_names({**values, **leaves})))

    actual, back = jax.vjp(outcome, {name: values[name] for name in of.expected})
    return actual, back(gradients)[0], back(gradients)[0]


def check(of: Case, actual: tuple[Any, Any, Any]) -> None:
    outcome, *gradients = actual
    for each, expected in zip(outcome, of.outcome, strict=True):
        np.testing.assert_array_equal(each, expected)
    for each in gradients:
        assert each.keys() == of.expected.keys()
        for name, expected in of.expected.items():
            np.testing.assert_array_equal(each[name], expected, err_msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_compiled_results_and_gradients_are_those_of_torch(name: str, dtype: torch.dtype) -> None:
    with jax.enable_x64(dtype == torch.float64):
        for _, *arguments in (each for each in cases(dtype) if each[0] == name):
            of = case(*arguments)
            function = jax.jit(lambda values, gradients, of=of: there_and_back(of, values, gradients))
            check(of, function(arrays(of), [jax.numpy.asarray(each.numpy()) for each in of.gradients]))


@pytest.mark.parametrize("option", [0, 5, 10, 15])
@pytest.mark.parametrize("name", CELLS)
def test_results_are_the_same_without_jit(name: str, option: int) -> None:
    of = case(CELLS[name], option, option % 2 == 1, option == 10, torch.float32)
    check(of, there_and_back(of, arrays(of), [jax.numpy.asarray(each.numpy()) for each in of.gradients]))


def test_the_host_works_in_the_memory_of_the_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    of = case(CELLS["LSTM"], 4, masked=False, dropped=False, dtype=torch.float32)
    values, seen = arrays(of), {}
    forward = host.forward

    def recorded(computation: Any, arrays: Any, *memory: Any) -> Any:
        actual = forward(computation, arrays, *memory)
        seen.update(inputs=arrays.inputs.data_ptr(), outputs=actual[0].outputs.data_ptr())
        return actual

    monkeypatch.setattr(host, "forward", recorded)
    outcome = jax.jit(lambda values: jax_backend.run(of.computation, host.from_names(values)))(values)
    address = {"inputs": values["inputs"], "outputs": outcome.outputs.block_until_ready()}
    assert seen == {name: each.unsafe_buffer_pointer() for name, each in address.items()}


def test_a_call_means_the_same_when_it_is_read_again() -> None:
    of = case(CELLS["GRU, reset before"], 9, masked=True, dropped=True, dtype=torch.float32)
    call = _HostCall(of.computation, tuple(of.tensors), True, ("kernel",), (True, False, True))
    assert _HostCall.of(call.text()) == call


def test_only_gradients_that_something_depends_on_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    of = case(CELLS["LSTM"], 4, masked=False, dropped=False, dtype=torch.float32)
    values, calls = arrays(of), []
    backward = host.backward

    def recorded(computation: Any, arrays: Any, kept: Any, gradient: Any, wanted: Any) -> Any:
        calls.append((set(wanted), [each is not None for each in host.flat(gradient)]))
        return backward(computation, arrays, kept, gradient, wanted)

    monkeypatch.setattr(host, "backward", recorded)

    def loss(kernel: Any) -> Any:
        return jax_backend.run(of.computation, host.from_names({**values, "kernel": kernel})).outputs.sum()

    jax.block_until_ready(jax.jit(jax.grad(loss))(values["kernel"]))
    assert calls == [({"kernel"}, [False, True, False, False])]


def test_vmap_gives_what_a_loop_gives() -> None:
    of = case(CELLS["LSTM"], 12, masked=False, dropped=False, dtype=torch.float32)
    values = arrays(of)

    def loss(kernel: Any, x: Any) -> Any:
        last = jax_backend.run(of.computation, host.from_names({**values, "inputs": x, "kernel": kernel})).last
        return (last**2).sum()

    several = jax.numpy.stack([values["inputs"], 2 * values["inputs"], -values["inputs"]])
    gradient = jax.value_and_grad(loss)
    actual = jax.jit(jax.vmap(gradient, in_axes=(None, 0)))(values["kernel"], several)
    for number, x in enumerate(several):
        expected = gradient(values["kernel"], x)
        for each, other in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(each[number], other)


def test_a_jacobian_goes_back_through_one_call_many_times() -> None:
    of = case(CELLS["GRU"], 0, masked=False, dropped=False, dtype=torch.float32)
    values = arrays(of)

    def last(bias: Any) -> Any:
        return jax_backend.run(of.computation, host.from_names({**values, "bias": bias})).last.sum(0)

    actual = jax.jit(jax.jacrev(last))(values["bias"])
    for unit, each in enumerate(actual):
        expected = jax.grad(lambda bias, unit=unit: last(bias)[unit])(values["bias"])
        np.testing.assert_allclose(each, expected, rtol=1e-6, atol=1e-7)


def test_there_is_no_second_derivative() -> None:
    of = case(CELLS["GRU"], 0, masked=False, dropped=False, dtype=torch.float32)
    values = arrays(of)

    def loss(x: Any) -> Any:
        return jax_backend.run(of.computation, host.from_names({**values, "inputs": x})).last.sum()

    message = "The kernels that compute this GRU layer have no second derivative. Use Keras's own layer, which has one."
    with pytest.raises(EngineError) as caught:
        jax.grad(lambda x: jax.grad(loss)(x).sum())(values["inputs"])
    assert str(caught.value) == message


def test_what_the_host_raises_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    of = case(CELLS["LSTM"], 0, masked=False, dropped=False, dtype=torch.float32)

    def failing(*_: Any) -> None:
        raise MemoryError("no memory for 3 GB")

    monkeypatch.setattr(host, "forward", failing)
    with pytest.raises(jax.errors.JaxRuntimeError, match="MemoryError: no memory for 3 GB"):
        jax.block_until_ready(jax_backend.run(of.computation, host.from_names(arrays(of))))


def test_calls_from_many_threads_at_once_do_not_disturb_one_another() -> None:
    of = case(CELLS["LSTM"], 7, masked=True, dropped=True, dtype=torch.float32)
    values, gradients = arrays(of), [jax.numpy.asarray(each.numpy()) for each in of.gradients]
    function = jax.jit(lambda values, gradients: there_and_back(of, values, gradients))
    with ThreadPoolExecutor(4) as pool:
        for actual in pool.map(lambda _: function(values, gradients), range(100)):
            check(of, actual)


def test_on_a_gpu_keras_runs_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert holdfast.keras.GRU(3).why_not() == "JAX computes on the GPU, and the kernels compute on the CPU."


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
        assert model.jit_compile is not eager
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    for ours, theirs in zip(*weights[::-1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
