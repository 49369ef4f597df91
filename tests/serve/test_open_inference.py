"""Open Inference Protocol v2: metadata, tensors as JSON and as binary data, and every way to get them wrong."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.serve.running import Running, serving
from tests.tasks import untrained

import holdfast
from holdfast import runtime
from holdfast.interop import formats
from holdfast.serve.limits import Limits
from holdfast.serve.models import load
from holdfast.serve.naming import Place

HEADER = "Inference-Header-Content-Length"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in ("numbers", "texts", "forecast", "regress"):
        untrained.write(name, folder)
    torch.manual_seed(1)
    holdfast.Stream(holdfast.LSTM(3, 5)).export(folder / "stream.safetensors")
    with torch.no_grad():
        torch.save(torch.nn.LSTM(3, 4, batch_first=True).state_dict(), folder / "lstm.pt")
    formats.write(folder / "converted.safetensors", formats.read(folder / "lstm.pt"))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Running]:
    names = ("numbers", "texts", "forecast", "regress", "stream", "converted")
    paths = [f"{folder}/{name}.safetensors" for name in names]
    with serving(*paths, f"stream@2={folder}/stream.safetensors") as running:
        yield running


def ones(*shape: int) -> dict[str, Any]:
    return {"name": "input", "datatype": "FP32", "shape": list(shape), "data": [1.0] * int(np.prod(shape))}


def test_health_and_metadata(server: Running) -> None:
    assert server.get("/v2/health/live").json == {"live": True}
    assert server.get("/v2/health/ready").json == {"ready": True}
    document = server.get("/v2").json
    assert (document["name"], document["extensions"]) == ("holdfast", ["binary_tensor_data"])
    model = server.get("/v2/models/stream").json
    assert model["versions"] == ["1", "2"]
    assert model["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, -1, 3]}]
    assert model["outputs"] == [{"name": "output", "datatype": "FP32", "shape": [-1, -1, 5]}]
    assert len(model["parameters"]["digest"]) == 64
    assert server.get("/v2/models/stream/versions/1/ready").json == {"name": "stream", "ready": True}
    assert server.get("/v2/models/stream/versions/3").error == "The model 'stream' has no version '3'; it has 1, 2."
    assert server.get("/v2/models/nothing/ready").status == 404
    assert server.get("/v3").error == "There is no such path; /docs lists the paths."
    assert server.post("/v2").status == 405
    classifier = server.get("/v2/models/numbers").json
    assert [info["name"] for info in classifier["outputs"]] == ["label", "probabilities", "answer"]
    assert classifier["parameters"]["labels"] == {"probabilities": ["no", "yes"]}


def test_json_nested_and_flat_and_binary_give_the_bits_of_the_stream(server: Running, folder: Path) -> None:
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    expected = runtime.load(folder / "stream.safetensors", batch=2).run(x)
    tensor = {"name": "input", "datatype": "FP32", "shape": [2, 4, 3]}
    for data in (x.tolist(), x.ravel().tolist()):
        request = {"id": "seven", "inputs": [{**tensor, "data": data}]}
        answer = server.post("/v2/models/stream/infer", request).json
        assert (answer["id"], answer["model_name"], answer["model_version"]) == ("seven", "stream", "2")
        (output,) = answer["outputs"]
        assert (output["name"], output["datatype"], output["shape"]) == ("output", "FP32", [2, 4, 5])
        assert np.array_equal(np.float32(output["data"]).reshape(2, 4, 5), expected)
    header = json.dumps(
        {
            "inputs": [{**tensor, "parameters": {"binary_data_size": x.nbytes}}],
            "outputs": [{"name": "output", "parameters": {"binary_data": True}}],
        }
    ).encode()
    headers = {HEADER: str(len(header)), "Content-Type": "application/octet-stream"}
    answer = server.post("/v2/models/stream/versions/1/infer", header + x.tobytes(), headers)
    length = int(answer.headers[HEADER.lower()])
    (output,) = json.loads(answer.content[:length])["outputs"]
    assert output["parameters"] == {"binary_data_size": expected.nbytes}
    assert answer.content[length:] == expected.tobytes()


def test_a_classifier_has_its_label_and_probabilities(server: Running) -> None:
    numbers = server.service.models.get("numbers").predictor()
    x = np.float32([[[1.0], [2.0]], [[3.0], [0.0]]])
    request = {
        "inputs": [
            {"name": "input", "datatype": "FP32", "shape": [2, 2, 1], "data": x.ravel().tolist()},
            {"name": "lengths", "datatype": "INT64", "shape": [2], "data": [2, 1]},
        ]
    }
    outputs = {
        output["name"]: output["data"] for output in server.post("/v2/models/numbers/infer", request).json["outputs"]
    }
    expected = list(numbers.predict_values([x[0], x[1, :1]]))
    assert outputs["label"] == [answer["label"] for answer in expected]
    assert outputs["probabilities"] == [
        answer["probabilities"][label] for answer in expected for label in ("no", "yes")
    ]
    for text, answer in zip(outputs["answer"], expected, strict=True):
        assert json.loads(text) == {key: value for key, value in answer.items() if key != "origin"}
    request["inputs"][1]["data"] = [3, 1]
    assert server.post("/v2/models/numbers/infer", request).error == "lengths is [3, 1]; expected 2 from 1 to 2."


def test_texts_and_series(server: Running) -> None:
    tensor = {"name": "input", "datatype": "BYTES", "shape": [2], "data": ["1 yes", "4"]}
    request = {"inputs": [tensor], "outputs": [{"name": "label"}]}
    (output,) = server.post("/v2/models/texts/infer", request).json["outputs"]
    expected = server.service.models.get("texts").predictor().predict_lines(["1 yes", "4"])
    assert output["data"] == [answer["label"] for answer in expected]
    rows = [line.split(",") for line in untrained.FILES["series.csv"].splitlines()[1:]]
    columns = {"time": [time for time, _ in rows], "value": [float(value) for _, value in rows]}
    tensor = {"name": "input", "datatype": "BYTES", "shape": [1], "data": [json.dumps(columns)]}
    (output,) = server.post("/v2/models/forecast/infer", {"inputs": [tensor]}).json["outputs"]
    assert len(json.loads(output["data"][0])["values"]["value"]) == 2


def test_a_network_of_other_software(server: Running, folder: Path) -> None:
    model = server.get("/v2/models/converted").json
    assert model["inputs"][0]["shape"] == [-1, -1, 3]
    assert model["outputs"][0]["shape"] == [-1, -1, 4]
    name = model["inputs"][0]["name"]
    x = torch.rand(2, 7, 3, generator=torch.Generator().manual_seed(0))
    tensor = {"name": name, "datatype": "FP32", "shape": [2, 7, 3], "data": x.tolist()}
    answer = server.post("/v2/models/converted/infer", {"inputs": [tensor]}).json
    network = formats.read(folder / "converted.safetensors")
    with torch.inference_mode():
        expected = network(x, *[None] * (len(network.inputs) - 1))
    expected = expected[0] if isinstance(expected, tuple) else expected
    assert answer["outputs"][0]["data"] == expected.ravel().tolist()
    assert server.post("/predict/converted", {"examples": []}).error == (
        "The model 'converted' has no task, only tensors: use /v2/models/converted/infer."
    )


def test_nan_passes_in_binary_data_and_is_null_in_json(server: Running) -> None:
    x = np.full((1, 1, 3), np.nan, np.float32)
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 1, 3], "parameters": {"binary_data_size": 12}}
    header = json.dumps({"inputs": [tensor]}).encode()
    answer = server.post("/v2/models/stream/infer", header + x.tobytes(), {HEADER: str(len(header))})
    assert answer.json["outputs"][0]["data"] == [None] * 5
    assert server.post("/v2/models/stream/infer", b'{"inputs": [NaN]}').error.startswith("The body is not JSON: ")


def changed(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{**ones(1, 1, 3), **changes}]}


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({}, "The request has no inputs; expected a list of 1 to 256 tensors."),
        ({"inputs": [3]}, "One of the inputs has no name; expected an object with a name."),
        ({"inputs": [ones(1, 1, 3)] * 2}, "Two of the inputs are called 'input'."),
        (changed(name="x"), "The model 'stream' has no tensor 'x'; expected input."),
        (changed(datatype="FP31"), "The datatype of 'input' is 'FP31'; expected BOOL, UINT8, "),
        (changed(datatype="FP64"), "The input 'input' has datatype FP64; expected FP32."),
        (changed(shape=[1, 3]), "The input 'input' has shape [1, 3]; expected [-1, -1, 3], where -1 is any size."),
        (changed(shape=[1, 1, -3]), "The shape of 'input' is [1, 1, -3]; expected a list of sizes from 0 on."),
        (changed(shape=[1, True, 3]), "The shape of 'input' is [1, True, 3]; expected a list of sizes from 0 on."),
        (changed(shape=[2**30] * 3), "The tensor 'input' has 1,237,940,039,285,380,274,899,124,224 values; at most "),
        (changed(data=[1.0]), "The tensor 'input' has 1 values; expected 3 for its shape [1, 1, 3]."),
        (changed(data=[[1.0], [2.0], [3.0]]), "The tensor 'input' has values nested as [3, 1]; expected 3 for its "),
        (
            changed(data=[[1.0], [2.0, 3.0]]),
            "The data of 'input' are ragged; expected lists of one length at each depth.",
        ),
        (changed(data=["a", 1, None]), "The tensor 'input' is FP32 and has values of the kind null, str."),
        (changed(data=[1e39, 1, 1]), "The tensor 'input' has a value that FP32 does not have."),
        (changed(data=[10**400, 1, 1]), "The tensor 'input' has a value that FP32 does not have."),
        (changed(data=None), "The data of 'input' are not a list; expected a list of values, nested or flat."),
        (changed(parameters={"binary_data_size": 12}), "binary_data_size of 'input' is 12; there are 0 bytes left."),
        (changed(parameters=3), "The parameters of input are no object."),
        ({**changed(), "id": 3}, "The id of the request is no text of at most 1000 characters."),
        ({**changed(), "outputs": [{"name": "x"}]}, "The model 'stream' has no tensor 'x'; expected output."),
        ({**changed(), "parameters": {"sequence_id": 3}}, "This server keeps no state; leave out sequence_id."),
    ],
)
def test_what_is_wrong_is_named(server: Running, request_: Any, error: str) -> None:
    answer = server.post("/v2/models/stream/infer", request_)
    assert answer.status == (413 if "values; at most" in error else 400)
    assert answer.error[: len(error)] == error


def test_wrong_binary_data(server: Running) -> None:
    def ask(size: int, data: bytes, header: str = "") -> str:
        tensor = {"name": "input", "datatype": "FP32", "shape": [1, 1, 3], "parameters": {"binary_data_size": size}}
        text = json.dumps({"inputs": [tensor]}).encode()
        return server.post("/v2/models/stream/infer", text + data, {HEADER: header or str(len(text))}).error

    assert ask(8, b"x" * 8) == "The tensor 'input' has 8 bytes of binary data; expected 12 for FP32 of shape [1, 1, 3]."
    assert ask(12, b"x" * 13) == "The body has 13 bytes of binary data; its inputs take 12 of them."
    assert ask(12, b"x" * 12, "100000").startswith(f"{HEADER} is '100000'; expected a number of bytes up to ")
    assert ask(12, b"x" * 12, "-1").startswith(f"{HEADER} is '-1'; expected")
    tensor = {"name": "input", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 8}}
    text = json.dumps({"inputs": [tensor]}).encode()
    answer = server.post("/v2/models/texts/infer", text + struct.pack("<I", 9) + b"four", {HEADER: str(len(text))})
    assert answer.error == "The binary data of 'input' do not hold 1 texts, each after its length in 4 bytes."


def test_limits_of_tensors(folder: Path) -> None:
    limits = Limits(body_bytes=2000, json_values=50, json_depth=6, tensor_values=30)
    with serving(folder / "stream.safetensors", limits=limits) as server:
        answers = [
            server.post("/v2/models/stream/infer", body)
            for body in (
                {"inputs": [ones(1, 1, 3)]},
                {"inputs": [ones(1, 11, 3)]},
                {"inputs": [ones(1, 20, 3)]},
                b"[" * 7 + b"]" * 7,
                b"x" * 2001,
            )
        ]
        assert [answer.status for answer in answers] == [200, 413, 413, 400, 413]
        assert answers[1].error == "The tensor 'input' has 33 values; at most 30 are taken (tensor_values)."
        assert answers[2].error[:40] == "The JSON has more than 50 values (json_v"
        assert answers[3].error == "The JSON is nested more than 6 deep (json_depth)."
        assert answers[4].error == "The body has more than 2,000 bytes (body_bytes). Send less at once."


def test_the_digest_is_that_of_the_file(folder: Path) -> None:
    import hashlib

    path = folder / "stream.safetensors"
    assert load(Place("a", "1", path)).digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_limits_of_the_computation(folder: Path) -> None:
    names = ("numbers", "texts", "converted")
    limits = Limits(batch_steps=20, examples=4)
    with serving(*(folder / f"{name}.safetensors" for name in names), limits=limits) as server:
        answers = []
        for name, info, shape in (
            ("numbers", "input", [3, 7, 1]),
            ("numbers", "input", [5, 2, 1]),
            ("converted", server.get("/v2/models/converted").json["inputs"][0]["name"], [3, 7, 3]),
        ):
            tensor = {"name": info, "datatype": "FP32", "shape": shape, "data": [0.0] * int(np.prod(shape))}
            answers.append(server.post(f"/v2/models/{name}/infer", {"inputs": [tensor]}))
    assert [answer.status for answer in answers] == [422, 413, 413]
    assert answers[0].error.startswith("3 examples of up to 7 steps have 21 steps with their padding; expected at most")
    assert answers[1].error == "There are 5 examples; at most 4 are taken (examples)."
    assert answers[2].error.endswith(
        "has 21 steps in all; at most 20 are computed (batch_steps). Send fewer rows or steps at once."
    )
