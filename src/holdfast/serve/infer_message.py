"""Requests and answers of Open Inference Protocol v2 as bytes: JSON, and binary data after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from holdfast.serve import bodies
from holdfast.serve.limits import Limits
from holdfast.serve.models import ServedModel
from holdfast.serve.refusals import Refusal
from holdfast.serve.tensors import (
    DATATYPES,
    Array,
    InferRequest,
    InferResult,
    check_shape,
    datatype_of,
    from_binary,
    from_json,
    to_binary,
    to_json,
)

HEADER = "Inference-Header-Content-Length"
_MOST_NAME, _MOST_TENSORS = 1000, 256


def read_request(body: bytes, header: str | None, limits: Limits) -> InferRequest:
    """The request in a body.

    Args:
        body: JSON, and binary data where ``header`` says so.
        header: The value of the header that says where the JSON ends; None without it.
        limits: ``json_values``, ``json_depth`` and ``tensor_values`` are used.

    Raises:
        Refusal: 400 where it is no request, 413 where it is too large.
    """
    end = len(body)
    if header is not None:
        if not header.isascii() or not header.isdecimal() or len(header) > 12 or int(header) > len(body):
            raise Refusal(
                400, f"{HEADER} is {header[:40]!r}; expected a number of bytes up to {len(body)}, the body's."
            )
        end = int(header)
    document = bodies.object_in(bodies.parsed(body[:end], limits))
    parameters = _parameters(document, "the request")
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs or len(inputs) > _MOST_TENSORS:
        raise Refusal(400, f"The request has no inputs; expected a list of 1 to {_MOST_TENSORS} tensors.")
    arrays: dict[str, Array] = {}
    rest, place = memoryview(body)[end:], 0
    for tensor in inputs:
        name = _name(tensor, "inputs", arrays)
        size = _parameters(tensor, name).get("binary_data_size")
        arrays[name], used = _array(name, tensor, size, rest[place:], limits)
        place += used
    if place != len(rest):
        raise Refusal(400, f"The body has {len(rest)} bytes of binary data; its inputs take {place} of them.")
    binary = parameters.get("binary_data_output", False)
    return InferRequest(arrays, parameters, _id(document), _wanted(document, binary is True), binary is True)


def _id(document: Mapping[str, Any]) -> str | None:
    given = document.get("id")
    if given is not None and not (isinstance(given, str) and len(given) <= _MOST_NAME):
        raise Refusal(400, f"The id of the request is no text of at most {_MOST_NAME} characters.")
    return given


def _name(tensor: Any, where: str, known: Mapping[str, Any]) -> str:
    name = tensor.get("name") if isinstance(tensor, dict) else None
    if not isinstance(name, str) or not name or len(name) > _MOST_NAME:
        raise Refusal(400, f"One of the {where} has no name; expected an object with a name.")
    if name in known:
        raise Refusal(400, f"Two of the {where} are called {name[:60]!r}.")
    return name


def _parameters(document: Mapping[str, Any], of: str) -> dict[str, Any]:
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise Refusal(400, f"The parameters of {of[:60]} are no object.")
    return parameters


def _array(name: str, tensor: dict[str, Any], size: Any, rest: memoryview, limits: Limits) -> tuple[Array, int]:
    """The array of a tensor, and the bytes of binary data that it took."""
    datatype = tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise Refusal(400, f"The datatype of {name[:60]!r} is {str(datatype)[:40]!r}; expected {', '.join(DATATYPES)}.")
    shape = check_shape(name[:60], tensor.get("shape"), limits.tensor_values)
    if size is None:
        return from_json(name[:60], datatype, shape, tensor.get("data")), 0
    if type(size) is not int or not 0 <= size <= len(rest):
        raise Refusal(400, f"binary_data_size of {name[:60]!r} is {str(size)[:40]}; there are {len(rest)} bytes left.")
    if "data" in tensor:
        raise Refusal(400, f"The input {name[:60]!r} has both data and binary_data_size; expected one of them.")
    return from_binary(name[:60], datatype, shape, rest[:size]), size


def _wanted(document: Mapping[str, Any], binary: bool) -> dict[str, bool]:
    outputs = document.get("outputs", [])
    if not isinstance(outputs, list) or len(outputs) > _MOST_TENSORS:
        raise Refusal(400, f"The outputs of the request are no list of at most {_MOST_TENSORS} tensors.")
    wanted: dict[str, bool] = {}
    for output in outputs:
        name = _name(output, "outputs", wanted)
        parameters = _parameters(output, name)
        if "classification" in parameters:
            raise Refusal(400, "The extension for classification is not there; read the output itself.")
        wanted[name] = parameters.get("binary_data", binary) is True
    return wanted


def write_result(model: ServedModel, request: InferRequest, result: InferResult) -> tuple[bytes, dict[str, str]]:
    """The body of an answer, and its headers."""
    outputs, pieces = list[str](), list[bytes]()
    for name, array in result.outputs.items():
        if request.outputs and name not in request.outputs:
            continue
        document: dict[str, Any] = {"name": name, "datatype": datatype_of(array), "shape": list(array.shape)}
        if request.outputs.get(name, request.binary):
            pieces.append(to_binary(array))
            document["parameters"] = {"binary_data_size": len(pieces[-1])}
            outputs.append(_json(document))
        else:
            outputs.append(f'{_json(document)[:-1]},"data":{to_json(array.ravel())}}}')
    answer: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if request.id is not None:
        answer["id"] = request.id
    if result.parameters:
        answer["parameters"] = dict(result.parameters)
    text = f'{_json(answer)[:-1]},"outputs":[{",".join(outputs)}]}}'.encode("utf-8", "replace")
    headers = {HEADER: str(len(text))} if pieces else {}
    return b"".join([text, *pieces]), headers


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
