"""Random numbers: new in each run, from torch's own state or from the seeds of the program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from holdfast.tf1.graph.convert import convert_to_tensor, known_sizes, whole_numbers
from holdfast.tf1.graph.dtypes import as_dtype, float32, int64
from holdfast.tf1.graph.graph import get_default_graph, node
from holdfast.tf1.graph.names import public
from holdfast.tf1.graph.shapes import Sizes
from holdfast.tf1.graph.tensors import Tensor

Draw = Callable[..., torch.Tensor]
"""Takes a generator (None for torch's own) and the values of the operation's inputs."""

_DEFAULT_SEED = 87654321  # of a graph, where only an operation has a seed


@public("set_random_seed")
def set_random_seed(seed: int) -> None:
    """Makes the random numbers of the graph reproducible; they are not TensorFlow's."""
    get_default_graph().seed = int(seed)


def random_node(
    type_: str, draw: Draw, inputs: Sequence[Tensor], dtype: Any, sizes: Sizes, seed: int | None, name: str | None
) -> Tensor:
    """Records an operation that draws random numbers."""
    graph = get_default_graph()
    seeds = None if seed is None and graph.seed is None else (graph.seed, seed)

    def prepare(plan: Any) -> Callable[..., Any]:
        generator = None if seeds is None else _generator(plan.session, tensor, *seeds)
        return lambda *values: draw(generator, *values)

    tensor = node(type_, None, inputs, dtype, sizes, name, prepare=prepare)
    return tensor


def _generator(session: Any, tensor: Tensor, graph_seed: int | None, seed: int | None) -> torch.Generator:
    """The generator of one operation in one session: so that its numbers do not depend on what else runs."""
    if tensor not in session.generators:
        first = _DEFAULT_SEED if graph_seed is None else graph_seed
        second = tensor.op.id if seed is None else int(seed)
        session.generators[tensor] = torch.Generator().manual_seed((first * 1_000_003 + second) % 2**63)
    generator: torch.Generator = session.generators[tensor]
    return generator


def _shaped(
    type_: str, shape: Any, dtype: Any, seed: int | None, name: str | None, fill: Callable[..., torch.Tensor]
) -> Tensor:
    kind = as_dtype(dtype)
    sizes = known_sizes(shape)
    if sizes is not None and None not in sizes:
        known = [size or 0 for size in sizes]
        return random_node(
            type_, lambda generator: fill(torch.empty(known, dtype=kind.torch), generator), [], kind, sizes, seed, name
        )

    def draw(generator: torch.Generator | None, given: torch.Tensor) -> torch.Tensor:
        return fill(torch.empty(given.tolist(), dtype=kind.torch), generator)

    return random_node(type_, draw, [whole_numbers(shape)], kind, sizes, seed, name)


@public("random_normal")
def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = float32, seed: int | None = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Numbers of a normal distribution."""
    return _shaped(
        "RandomStandardNormal", shape, dtype, seed, name,
        lambda tensor, generator: tensor.normal_(mean, stddev, generator=generator),
    )  # fmt: skip


@public("truncated_normal")
def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = float32, seed: int | None = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Numbers of a normal distribution, none further than two standard deviations from the mean."""

    def fill(tensor: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        return torch.nn.init.trunc_normal_(
            tensor, mean, stddev, mean - 2 * stddev, mean + 2 * stddev, generator=generator
        )

    return _shaped("TruncatedNormal", shape, dtype, seed, name, fill)


@public("random_uniform")
def random_uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = float32, seed: int | None = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Numbers between ``minval`` and ``maxval`` (1 by default for fractions), evenly distributed.

    Raises:
        ValueError: The numbers are whole, and there is no ``maxval``.
    """
    kind = as_dtype(dtype)
    if kind.is_integer and maxval is None:
        raise ValueError(f"random_uniform of {kind.name} got no maxval; expected one: the numbers stay below it.")
    high = 1 if maxval is None else maxval
    if isinstance(minval, Tensor) or isinstance(high, Tensor):
        unit = random_uniform(shape, 0, 1 if kind.is_floating else 2**31 - 1, kind, seed)
        low_tensor, high_tensor = convert_to_tensor(minval, kind), convert_to_tensor(high, kind)
        return node(
            "RandomUniform",
            (lambda u, a, b: a + u * (b - a)) if kind.is_floating else (lambda u, a, b: a + u % (b - a)),
            [unit, low_tensor, high_tensor], kind, unit.sizes, name,
        )  # fmt: skip

    def fill(tensor: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        if kind.is_floating:
            return tensor.uniform_(float(minval), float(high), generator=generator)
        return tensor.random_(int(minval), int(high), generator=generator)

    return _shaped("RandomUniform", shape, kind, seed, name, fill)


@public("random_shuffle")
def random_shuffle(value: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """The rows in another order."""
    tensor = convert_to_tensor(value)
    return random_node(
        "RandomShuffle",
        lambda generator, x: x[torch.randperm(len(x), generator=generator)],
        [tensor], tensor.dtype, tensor.sizes, seed, name,
    )  # fmt: skip


@public("multinomial")
def multinomial(
    logits: Any, num_samples: Any, seed: int | None = None, name: str | None = None, output_dtype: Any = int64
) -> Tensor:
    """Samples classes [B, num_samples] from unnormalised log probabilities [B, K]."""
    tensor, kind = convert_to_tensor(logits), as_dtype(output_dtype)
    count = None if isinstance(num_samples, Tensor) else int(num_samples)
    inputs = [tensor] if count is not None else [tensor, num_samples]

    def draw(generator: torch.Generator | None, scores: torch.Tensor, samples: Any = count) -> torch.Tensor:
        chances = torch.softmax(scores.detach(), -1)
        return torch.multinomial(chances, int(samples), replacement=True, generator=generator).to(kind.torch)

    rows = None if tensor.sizes is None else tensor.sizes[0]
    result = random_node("Multinomial", draw, inputs, kind, (rows, count), seed, name)
    result.op.gradient = False
    return result
