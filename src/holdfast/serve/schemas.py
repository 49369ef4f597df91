"""The schemas of the OpenAPI document, in JSON Schema."""

from __future__ import annotations

from typing import Any

from holdfast.serve.tensors import DATATYPES

Schema = dict[str, Any]


def _object(properties: Schema, required: list[str], **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": required, **more}


_TEXT: Schema = {"type": "string"}
_SHAPE: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": 16}
_PARAMETERS: Schema = {"type": "object"}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 1000}
_DATATYPE: Schema = {"type": "string", "enum": list(DATATYPES)}

ERROR: Schema = _object({"error": _TEXT}, ["error"])
SERVER: Schema = _object(
    {"name": _TEXT, "version": _TEXT, "extensions": {"type": "array", "items": _TEXT}},
    ["name", "version", "extensions"],
)
_INFO: Schema = _object(
    {"name": _TEXT, "datatype": _DATATYPE, "shape": {"type": "array", "items": {"type": "integer", "minimum": -1}}},
    ["name", "datatype", "shape"],
)
MODEL: Schema = _object(
    {
        "name": _TEXT,
        "versions": {"type": "array", "items": _TEXT},
        "platform": _TEXT,
        "inputs": {"type": "array", "items": _INFO},
        "outputs": {"type": "array", "items": _INFO},
        "parameters": _PARAMETERS,
    },
    ["name", "versions", "platform", "inputs", "outputs"],
)
MODEL_READY: Schema = _object({"name": _TEXT, "ready": {"const": True}}, ["name", "ready"])
_INPUT: Schema = _object(
    {
        "name": _NAME,
        "datatype": _DATATYPE,
        "shape": _SHAPE,
        "data": {"type": "array", "description": "Nested, or flat in row-major order."},
        "parameters": _PARAMETERS,
    },
    ["name", "datatype", "shape"],
)
_WANTED: Schema = _object({"name": _NAME, "parameters": _PARAMETERS}, ["name"])
INFER_REQUEST: Schema = _object(
    {
        "id": {"type": "string", "maxLength": 1000},
        "parameters": _PARAMETERS,
        "inputs": {"type": "array", "items": _INPUT, "minItems": 1, "maxItems": 256},
        "outputs": {"type": "array", "items": _WANTED, "maxItems": 256},
    },
    ["inputs"],
)
_OUTPUT: Schema = _object(
    {"name": _TEXT, "datatype": _DATATYPE, "shape": _SHAPE, "data": {"type": "array"}, "parameters": _PARAMETERS},
    ["name", "datatype", "shape"],
)
INFER_ANSWER: Schema = _object(
    {
        "model_name": _TEXT,
        "model_version": _TEXT,
        "id": _TEXT,
        "outputs": {"type": "array", "items": _OUTPUT},
        "parameters": _PARAMETERS,
    },
    ["model_name", "model_version", "outputs"],
)
_FILE: Schema = _object(
    {"name": _TEXT, "content": {"type": "string", "contentEncoding": "base64"}}, ["name", "content"]
)
PREDICT_REQUEST: Schema = _object(
    {
        "examples": {
            "type": ["array", "object"],
            "description": "Texts, sequences of numbers, or the columns of a series.",
        },
        "texts": {"type": "array", "items": _TEXT, "description": "As lines for `holdfast predict RUN -`."},
        "files": {"type": "array", "items": _FILE, "description": "As files for `holdfast predict RUN FILES`."},
        "options": {"type": "object", "description": "Values of the recipe's table [predict]."},
    },
    [],
    description="One of examples, texts and files.",
)
ANSWERS: Schema = _object(
    {"model": _TEXT, "version": _TEXT, "answers": {"type": "array", "items": {"type": "object"}}},
    ["model", "version", "answers"],
)
GENERATE_REQUEST: Schema = _object(
    {
        "prompt": {"type": "string", "description": "The beginning of the text."},
        "options": {
            "type": "object",
            "description": "Values of the recipe's table [predict]: length, temperature, ...",
        },
        "stream": {"type": "boolean", "description": "Whether the text comes as server-sent events."},
    },
    [],
)
