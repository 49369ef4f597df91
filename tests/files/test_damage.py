"""Every file that Holdfast reads back, damaged at random: a clear error, or an answer that is the same.

``make damage`` runs 1,000 damages of each kind and file; without ``HOLDFAST_DAMAGES``, a few of them.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import holdfast
from holdfast import experiment, recipes, runtime
from holdfast.data import load
from holdfast.errors import HoldfastError
from holdfast.interop import formats
from holdfast.predictor import Predictor
from holdfast.training import fit
from holdfast.training.finished_run import FinishedRun
from training.standin import ToyBatches, ToyTask, run_in, settings, toy_model, without_time

DAMAGES = int(os.environ.get("HOLDFAST_DAMAGES", "25"))
QUICK = ["train.epochs=1", "model.hidden_size=8", "data.limit=100", "train.threads=1"]
QUICK += ["model.head=last_state", "model.bidirectional=false"]
X = np.linspace(0, 255, 5 * 8, dtype=np.float32).reshape(5, 8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and beside its files an exported stream, the state of one, and a converted network."""
    folder = tmp_path_factory.mktemp("damage") / "run"
    experiment.train(recipes.load("digits", QUICK), folder, data_dir=folder.parent)
    stream = runtime.load(folder)
    stream.run(X)
    stream.export(folder / "exported.safetensors")
    stream.save(folder / "state.safetensors")
    holdfast.convert(folder, folder / "network.safetensors")
    return folder


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the stand-in that ended."""
    folder = tmp_path_factory.mktemp("damage") / "toy"
    resumed(folder)
    return folder


def predicted(path: Path) -> Any:
    predictor = Predictor(path)
    recipe = recipes.load("digits", QUICK)
    return list(predictor.answer(load(recipe.data, None, recipe.train.seed).test.subset(range(2))))


def streamed(path: Path) -> Any:
    return holdfast.Stream(path).run(X).tolist() + runtime.load(path).run(X).tolist()


def went_on(path: Path) -> Any:
    stream = runtime.load(path.with_name("exported.safetensors"))
    stream.load(path)
    return stream.run(X).tolist()


def as_network(path: Path) -> Any:
    with torch.inference_mode():
        return [output.tolist() for output in formats.read(path)(torch.from_numpy(X)[None])]


def resumed(path: Path) -> Any:
    """What training ends with in the folder of a file (or in one that is not there yet)."""
    folder = path if not path.suffix else path.parent
    model, how = toy_model(), settings(epochs=2, log_every=3)
    with run_in(folder, {"train": how.model_dump()}) as run:
        history = fit(model, ToyTask(), ToyBatches(2), ToyBatches(1, seed=1), how, run=run)
    return without_time(history), {name: value.tolist() for name, value in model.state_dict().items()}


def evaluated(path: Path) -> Any:
    return experiment.evaluate(path.parent).metrics


def results(path: Path) -> Any:
    return FinishedRun.read(path.parent).results


FILES: dict[str, tuple[str, str, Callable[[Path], Any], float]] = {
    "model": ("run", "model.safetensors", predicted, 1),
    "model as a stream": ("run", "model.safetensors", streamed, 1),
    "model as a network": ("run", "model.safetensors", as_network, 1),
    "exported stream": ("run", "exported.safetensors", streamed, 1),
    "state of a stream": ("run", "state.safetensors", went_on, 1),
    "network": ("run", "network.safetensors", as_network, 1),
    "recipe, to evaluate": ("run", "recipe.toml", evaluated, 0.4),
    "place of the data, to evaluate": ("run", "data.toml", evaluated, 0.4),
    "results": ("run", "results.toml", results, 1),
    "checkpoint": ("toy", "checkpoint.safetensors", resumed, 1),
    "history": ("toy", "history.jsonl", resumed, 1),
    "recipe, to go on": ("toy", "recipe.toml", resumed, 1),
}
"""Of which run, which file, what reads it, and the share of the damages that it gets (what is slow gets fewer)."""


def damaged(whole: bytes, kind: str, generator: random.Random) -> bytes:
    place = generator.randrange(len(whole))
    if kind == "bit":
        return whole[:place] + bytes([whole[place] ^ 1 << generator.randrange(8)]) + whole[place + 1 :]
    if kind == "cut":
        return whole[:place]
    size = generator.choice([1, 8, 64, 512])
    return whole[:place] + bytes(min(size, len(whole) - place)) + whole[place + size :]


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("kind", ["bit", "cut", "zeros"])
def test_damage(what: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    run, name, read, share = FILES[what]
    folder = tmp_path / "copy"
    shutil.copytree(request.getfixturevalue(run), folder)
    path = folder / name
    whole = path.read_bytes()
    kept = {one: one.read_bytes() for one in folder.iterdir() if one.is_file() and run == "toy"}
    right = read(path)
    generator = random.Random(f"{what} {kind}")
    refused, same = 0, 0
    for _ in range(round(DAMAGES * share)):
        for one, content in kept.items():
            one.write_bytes(content)
        path.write_bytes(damaged(whole, kind, generator))
        try:
            found = read(path)
        except HoldfastError:
            refused += 1
        else:
            assert found == right, f"another answer after a damage to {name}"
            same += 1
    print(f"{what}, {kind}: {refused} refused, {same} of no effect")
    assert refused > 0
