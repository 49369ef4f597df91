"""Installs the wheels of a folder where there is no compiler, and prints what they do.

``python wheels/try_out.py dist`` makes two environments: one with ``holdfast`` and torch, which trains models, and one
with ``holdfast-runtime`` alone, which must give the same bits. ``PATH`` has no compiler in either. ``--network
FILE.onnx`` converts a network and compares it too; ``HOLDFAST_DATA`` names the folder of the data that the recipe
``shakespeare`` reads.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

# Prints the bits of each model as hexadecimal digits, the seconds to the first step, and the OpenMP runtimes.
RUN = """
import hashlib, json, re, sys, time
begin = time.perf_counter()
import numpy as np
from holdfast import runtime

def first_step(path):
    stream = runtime.load(path)
    ids = stream.network.vectors is not None
    x = np.array(1) if ids else np.zeros(stream.input_size, np.float32)
    stream.step(x)
    return time.perf_counter() - begin

result = {"bits": {}, "first step": {}}
for path in sys.argv[1:]:
    generator = np.random.default_rng(0)
    if path.endswith("network.safetensors"):
        network = runtime.load_network(path)
        shapes = [[size or 1 for size in network.shapes[name]] for name in network.inputs]
        state = [np.zeros(shape, np.float32) for shape in shapes[1:]]
        y = []
        for _ in range(40):
            out = network(generator.normal(size=shapes[0]).astype(np.float32), *state)
            y.append(out[0])
            state = list(out[1:])
        y = np.stack(y)
    else:
        result["first step"][path] = first_step(path)
        stream = runtime.load(path)
        if stream.network.vectors is not None:
            y = stream.run(generator.integers(0, stream.output_size, 200))
        else:
            y = stream.run(generator.integers(0, 17, (200, stream.input_size)).astype(np.float32))
    result["bits"][path] = hashlib.sha256(y.tobytes()).hexdigest()
    begin = time.perf_counter()
result["torch"] = "torch" in sys.modules
result["openmp"] = sorted({line.split()[-1] for line in open("/proc/self/maps") if re.search("lib(g|i|)omp", line)})
print(json.dumps(result))
"""
BOTH = """
import json, re, sys
{imports}
import numpy as np
assert np.isfinite(runtime.load(sys.argv[1]).run(np.zeros((300, 8), np.float32))).all()
torch.ones(300, 300) @ torch.ones(300, 300)
print(json.dumps(sorted({{line.split()[-1] for line in open("/proc/self/maps") if re.search("lib(g|i|)omp", line)}})))
"""


class Environment:
    """An environment without a compiler.

    Args:
        folder: Where it is made.
        python: The Python that makes it.
    """

    def __init__(self, folder: Path, python: str) -> None:
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        self.folder = folder
        self.variables = {name: value for name, value in os.environ.items() if name not in ("CXX", "CC", "PYTHONPATH")}
        self.variables |= {"PATH": str(folder / "bin"), "CXX": "/bin/false", "CC": "/bin/false"}

    def run(self, *command: str | Path) -> str:
        """The output of a program of the environment."""
        program = self.folder / "bin" / str(command[0])
        done = subprocess.run(
            [str(program), *map(str, command[1:])], env=self.variables, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def install(self, dist: Path, *requirements: str | Path) -> float:
        """Installs wheels alone; returns the seconds."""
        began = time.perf_counter()
        binary = ("--only-binary", "holdfast,holdfast-runtime")
        # The rest of Holdfast is named by its file: an index may have another project of that name.
        self.run("python", "-m", "pip", "install", "--quiet", *binary, "--find-links", dist, *requirements)
        return time.perf_counter() - began

    def megabytes(self, *names: str) -> float:
        """The size of folders of site-packages."""
        (site,) = self.folder.glob("lib/python*/site-packages")
        files = [path for name in names for path in (site / name).rglob("*") if "__pycache__" not in path.parts]
        return sum(path.stat().st_size for path in files if path.is_file()) / 1e6

    def bits(self, *models: Path) -> dict[str, object]:
        """What :data:`RUN` prints."""
        return dict(json.loads(self.run("python", "-c", RUN, *models)))


def train(environment: Environment, folder: Path, recipe: str, *settings: str) -> Path:
    """Trains a recipe; returns its run."""
    sets = [part for setting in settings for part in ("--set", setting)]
    environment.run("holdfast", "train", recipe, "--out", folder / recipe, *sets)
    return folder / recipe


def main() -> None:
    """Makes both environments and compares them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dist", type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--torch", default="torch", help="The requirement of torch, such as torch==2.13.0.")
    parser.add_argument("--network", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        compare(chosen.dist, chosen.python, chosen.torch, chosen.network, Path(place))


def compare(dist: Path, python: str, torch: str, network: Path | None, folder: Path) -> None:
    """Prints the figures of both environments; ends with an error where they differ."""
    (wheel,) = dist.glob("holdfast-*.whl")
    whole, alone = Environment(folder / "whole", python), Environment(folder / "alone", python)
    print(f"torch: installed in {whole.install(dist, torch):.0f} s")
    began = time.perf_counter()
    print(f"holdfast: installed in {whole.install(dist, wheel):.1f} s")
    train(whole, folder / "first", "digits")
    print(f"from pip install WHEEL to a trained digits, with torch present: {time.perf_counter() - began:.1f} s")
    print(f"holdfast-runtime: installed in {alone.install(dist, 'holdfast-runtime'):.1f} s")
    print(f"  {alone.megabytes('holdfast', 'holdfast_runtime*'):.1f} MB, NumPy {alone.megabytes('numpy'):.1f} MB")
    in_one_direction = ("model.bidirectional=false", "model.head=last_state", "train.epochs=12")
    models = [train(whole, folder, "digits", *in_one_direction)]
    if "HOLDFAST_DATA" in os.environ:
        whole.install(dist, f"{wheel}[text]")
        models.append(train(whole, folder, "shakespeare", "train.limit=small"))
    if network is not None:
        whole.install(dist, f"{wheel}[onnx]")
        models.append(folder / "network.safetensors")
        whole.run("holdfast", "convert", network, models[-1])
    results = {name: each.bits(*models) for name, each in (("holdfast", whole), ("holdfast-runtime", alone))}
    for name, result in results.items():
        print(f"{name}: {json.dumps({key: value for key, value in result.items() if key != 'bits'})}")
    same = results["holdfast"]["bits"] == results["holdfast-runtime"]["bits"]
    print(f"the same bits for {', '.join(model.name for model in models)}: {same}")
    orders(whole, models[0])
    if not same:
        raise SystemExit("The bits differ.")


def orders(environment: Environment, model: Path) -> None:
    """Prints the OpenMP runtimes in both orders of imports; ends with an error where there are two."""
    imports: Sequence[str] = ("from holdfast import runtime", "import torch")
    for order in (imports, imports[::-1]):
        loaded = json.loads(environment.run("python", "-c", BOTH.format(imports="\n".join(order)), model))
        print(f"{', then '.join(order)}: {loaded}")
        if len(loaded) != 1:
            raise SystemExit("There are two OpenMP runtimes.")


if __name__ == "__main__":
    main()
