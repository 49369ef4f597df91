"""The two distributions: which files each has, and that ``holdfast-runtime`` needs NumPy and safetensors alone."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from tests.layers.stream_models import STREAMS, classifier

import holdfast
from holdfast.interop import network as networks
from holdfast.interop.network import Network, Node
from holdfast.tasks import model_file

ROOT = Path(__file__).resolve().parents[1]
MODELS = Path(__file__).parent / "tasks" / "files_v2"
NEEDED = ("numpy", "safetensors")


def _stage() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stage", ROOT / "wheels" / "stage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stage = _stage()


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("stage")
    stage.stage(folder)
    return folder


def test_each_file_is_in_one_distribution() -> None:
    runtime, whole = stage.contents()
    package = ROOT / "src" / "holdfast"
    every = {
        path for path in package.rglob("*") if path.is_file() and path.suffix in (".py", ".pyi", ".toml", ".typed")
    }
    assert not set(runtime) & set(whole)
    assert every <= {*runtime, *whole}
    assert {package / "__init__.py", package / "py.typed", package / "runtime" / "_native.pyi"} <= set(runtime)
    assert not [path for path in (*runtime, *whole) if path.suffix == ".so" or "__pycache__" in path.parts]


def test_the_metadata_are_complete(trees: Path) -> None:
    for name in (stage.RUNTIME, stage.WHOLE):
        document = tomllib.loads((trees / name / "pyproject.toml").read_text("utf-8"))
        project = document["project"]
        assert project["version"] == holdfast.__version__
        assert {"description", "readme", "license", "license-files", "classifiers", "keywords"} <= set(project)
        assert "Typing :: Typed" in project["classifiers"]
        assert (trees / name / project["readme"]).stat().st_size > 500
        assert (trees / name / "LICENSE").exists()
    whole = tomllib.loads((trees / stage.WHOLE / "pyproject.toml").read_text("utf-8"))["project"]
    runtime = tomllib.loads((trees / stage.RUNTIME / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"holdfast-runtime=={holdfast.__version__}" in whole["dependencies"]
    assert set(runtime["dependencies"]) <= set(whole["dependencies"])
    needed = {*whole["optional-dependencies"]["serve"], *whole["dependencies"]}
    assert set(runtime["optional-dependencies"]["serve"]) <= needed
    assert {path.name for path in (trees / stage.RUNTIME / "licenses").iterdir()} == {
        "libgomp.txt",
        "nanobind.txt",
        "robin_map.txt",
    }


def test_a_pattern_without_a_file_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"names 'cells/none\.py'"):
        stage._matching(["cells/none.py"])


# What a process runs that has the files of holdfast-runtime, NumPy and safetensors, and nothing else to import.
ALONE = """
import sys
from importlib.machinery import PathFinder

sys.path[1:1] = [{tree!r}, {site!r}]
find = PathFinder.find_spec


def only(name, *where):
    first = name.partition(".")[0]
    known = first in ("holdfast", *{needed!r}) or first in sys.stdlib_module_names or first.startswith("_sysconfigdata")
    return find(name, *where) if known else None


PathFinder.find_spec = only
"""


def alone(trees: Path, program: str, needed: tuple[str, ...] = NEEDED) -> str:
    """The output of a program in a process that has ``holdfast-runtime`` and the named libraries alone."""
    native = pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its kernels")
    source = trees / stage.RUNTIME / "src"
    shutil.copy(native.__file__, source / "holdfast" / "runtime")
    site = Path(safetensors.__file__).parents[1]
    assert site == Path(np.__file__).parents[1]
    setting = ALONE.format(tree=str(source), site=str(site), needed=needed)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", setting + program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_without_the_server_is_imported_alone(trees: Path) -> None:
    source = trees / stage.RUNTIME / "src"
    names = [
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(source.rglob("*.py"))
        if "serve" not in path.parts and path.name != "settings.py"  # these need the libraries of the extra serve
    ]
    program = f"""
from importlib import import_module
for name in {names!r}:
    import_module(name)
print(sys.modules["holdfast"].__file__, "torch" in sys.modules)
"""
    assert alone(trees, program).split() == [str(source / "holdfast" / "__init__.py"), "False"]


def test_models_have_the_same_bits_as_with_torch(trees: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    _, _, inputs = classifier(path, "standard", cell="gru", hidden_size=5, input_layer={"size": 4}, **STREAMS)
    x, ids = inputs[0], np.array([2, 5, 6, 7])
    language = tmp_path / "language.safetensors"
    model_file.save(language, *model_file.load(MODELS / "generate_characters.safetensors"))
    node = Node("a", "Recurrent", {"cell": "lstm", "input_size": 3, "hidden_size": 4, "bidirectional": True})
    converted = Network(["x"], ["y"], [Node(node.name, node.kind, node.options, ("x",), ("y",))])
    networks.save(tmp_path / "network.safetensors", converted)
    values = torch.randn(2, 6, 3).numpy()
    program = f"""
import numpy as np
from holdfast import runtime

def array(text, dtype, *shape):
    return np.frombuffer(bytes.fromhex(text), dtype).reshape(shape)

x, values = array({x.tobytes().hex()!r}, np.uint8, -1, 3), array({values.tobytes().hex()!r}, np.float32, 2, 6, 3)
print(runtime.load({str(path)!r}).run(x).tobytes().hex())
print(runtime.load({str(language)!r}).run(np.array({ids.tolist()})).tobytes().hex())
print(runtime.load_network({str(tmp_path / "network.safetensors")!r})(values).tobytes().hex())
assert "torch" not in sys.modules
"""
    results: list[Any] = [
        holdfast.Stream(path).run(x),
        holdfast.Stream(language).run(ids),
        holdfast.runtime.load_network(tmp_path / "network.safetensors")(values),
    ]
    assert alone(trees, program).split() == [result.tobytes().hex() for result in results]
    with torch.inference_mode():
        expected = converted(torch.from_numpy(values))
    np.testing.assert_allclose(results[2], expected.numpy(), rtol=0, atol=1e-6)


def test_what_needs_torch_says_what_to_install(trees: Path) -> None:
    program = """
import holdfast
from holdfast.errors import MissingLibraryError

for name in ("LSTM", "Predictor", "convert"):
    try:
        getattr(holdfast, name)
    except MissingLibraryError as error:
        print(error)
"""
    needs = "needs torch, and only holdfast-runtime is installed. Install the wheel of holdfast next to it."
    names = ("holdfast.layers.LSTM", "holdfast.Predictor", "holdfast.convert")
    assert alone(trees, program).splitlines() == [f"{name} {needs}" for name in names]


# The libraries of the extra serve, and those that they need themselves.
SERVING = ("annotated_doc", "annotated_types", "anyio", "click", "exceptiongroup", "h11", "idna", "multipart")
SERVING += (
    "prometheus_client",
    "pydantic",
    "pydantic_core",
    "python_multipart",
    "sniffio",
    "starlette",
    "typing_extensions",
)
SERVING += ("typing_inspection", "uvicorn", "websockets")

CLIENT = """
import json, os, signal, threading, time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from holdfast.serve.arguments import main


def post(path, document):
    request = Request(f"http://127.0.0.1:{port}{path}", json.dumps(document).encode())
    request.add_header("Content-Type", "application/json")
    try:
        with urlopen(request, timeout=20) as answer:
            return json.load(answer)
    except HTTPError as error:
        return json.load(error)


def ask():
    from websockets.sync.client import connect

    try:
        for _ in range(200):
            try:
                urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=20)
                break
            except OSError:
                time.sleep(0.05)
        tensor = {"name": "input", "shape": [1, 2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6]}
        print(json.dumps(post("/v2/models/m/infer", {"inputs": [tensor]})["outputs"][0]["data"]))
        with connect(f"ws://127.0.0.1:{port}/stream/m") as stream:
            stream.send("[[1, 2, 3], [4, 5, 6]]")
            print(json.dumps(sum(json.loads(stream.recv(timeout=20))["output"], [])))
        print(json.dumps(post("/predict/m", {"examples": [[[1, 2, 3]]]})))
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


threading.Thread(target=ask).start()
print(main([f"m={path}", "--port", str(port)]), "torch" in sys.modules)
"""


def test_the_server_streams_alone(trees: Path, tmp_path: Path) -> None:
    pytest.importorskip("starlette", reason="needs starlette: pip install 'holdfast[serve]'")
    path = tmp_path / "model.safetensors"
    classifier(path, "standard", cell="gru", hidden_size=5, input_layer={"size": 4}, **STREAMS)
    expected = holdfast.Stream(path).run(np.arange(1, 7, dtype=np.float32).reshape(2, 3))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = alone(trees, f"path, port = {str(path)!r}, {port}\n{CLIENT}", (*NEEDED, *SERVING)).splitlines()
    for line in said[:2]:
        assert np.array_equal(np.array(json.loads(line), np.float32), expected.ravel())
    assert json.loads(said[2])["error"] == (
        "m needs torch for this; holdfast-runtime, which is installed here, serves the tensors of models that stream. "
        "Install the wheel of holdfast next to it."
    )
    assert said[3] == "0 False"
