"""Asks a server by tritonclient; runs in an environment that has it, and prints what it got as JSON."""

from __future__ import annotations

import json
import sys

import numpy as np
import tritonclient.http as client

url, model = sys.argv[1:]
server = client.InferenceServerClient(url)
results: dict[str, object] = {
    "live": server.is_server_live(),
    "ready": server.is_server_ready(),
    "model_ready": server.is_model_ready(model),
    "version_ready": server.is_model_ready(model, "1"),
    "absent_ready": server.is_model_ready("absent"),
    "server": server.get_server_metadata(),
    "model": server.get_model_metadata(model),
}
x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)


def ask(binary_in: bool, binary_out: bool | None, **options: object) -> list[float]:
    tensor = client.InferInput("input", list(x.shape), "FP32")
    tensor.set_data_from_numpy(x, binary_data=binary_in)
    wanted = None if binary_out is None else [client.InferRequestedOutput("output", binary_data=binary_out)]
    answer = server.infer(model, [tensor], outputs=wanted, request_id="seven", **options)
    results.setdefault("ids", []).append(answer.get_response()["id"])  # type: ignore[attr-defined]
    return answer.as_numpy("output").ravel().tolist()


results["outputs"] = [
    ask(binary_in, binary_out) for binary_in in (True, False) for binary_out in (True, False, None)
] + [ask(True, None, model_version="1")]
tensor = client.InferInput("input", list(x.shape), "FP32")
tensor.set_data_from_numpy(x)
results["asynchronous"] = server.async_infer(model, [tensor]).get_result().as_numpy("output").ravel().tolist()
wrong = client.InferInput("input", [1, 3], "FP32")
wrong.set_data_from_numpy(np.zeros((1, 3), np.float32))
try:
    server.infer(model, [wrong])
except client.InferenceServerException as error:
    results["error"] = [error.status(), error.message()]


def step(x: np.ndarray, **options: object) -> object:
    """A step of a sequence: its output, or the status of the error."""
    tensor = client.InferInput("input", [1, 1, 3], "FP32")
    tensor.set_data_from_numpy(x[None, None])
    try:
        return server.infer(model, [tensor], **options).as_numpy("output").ravel().tolist()
    except client.InferenceServerException as error:
        return error.status()


both = (7, x[0]), ("7", x[1])  # a number, and the same number as a text
results["sequences"] = [
    [step(of_one[t], sequence_id=name, sequence_start=t == 0, sequence_end=t == 3) for name, of_one in both]
    for t in range(4)
]
results["misfits"] = [
    step(x[0, 0], sequence_id=7),  # it has ended
    step(x[0, 0], sequence_id=8),  # it has not begun
    step(x[0, 0], sequence_id=9, sequence_start=True),
    step(x[0, 0], sequence_id=9, sequence_start=True),  # it exists
    step(x[0, 0], sequence_id=9, sequence_end=True),
]
words = client.InferInput("input", [2], "BYTES")
words.set_data_from_numpy(np.array([b"4 1", "ü".encode()], object))
answer = server.infer("texts", [words])
results["labels"] = [label.decode() for label in answer.as_numpy("label").tolist()]
results["probabilities"] = answer.as_numpy("probabilities").tolist()
print(json.dumps(results))
