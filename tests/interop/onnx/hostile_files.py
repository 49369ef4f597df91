"""ONNX files whose bytes, sizes or tensors are wrong, each with the start of its error message."""

from __future__ import annotations

from typing import Any

from onnx import helper
from tests.interop.onnx.hostile_models import WHOLE, attribute, changed, good, outside, tensor_with
from tests.interop.onnx.models import model, value


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def field(number: int, content: bytes) -> bytes:
    """A field with bytes, text or a message in it."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def in_graph(content: bytes) -> bytes:
    """A model with bytes for its graph."""
    return field(7, content) + field(8, field(1, b"") + b"\x10\x0e")


def nested(depth: int) -> bytes:
    """Graphs in attributes of nodes of graphs ..."""
    content = b""
    for _ in range(depth):
        content = field(1, field(5, field(6, content)))
    return in_graph(content)


def function() -> bytes:
    found = good()
    own = helper.make_function("own", "Twice", ["a"], ["b"], [], [helper.make_opsetid("", 14)])
    found.functions.append(own)
    return bytes(found.SerializeToString())


def versions(*numbers: int, domain: str = "") -> bytes:
    def change(found: Any) -> None:
        del found.opset_import[:]
        found.opset_import.extend(helper.make_opsetid(domain, number) for number in numbers)

    return changed(change)


def many_nodes() -> bytes:
    names = [f"v{number}" for number in range(30_000)]
    nodes = [helper.make_node("Neg", [a], [b]) for a, b in zip(["x", *names], names, strict=False)]
    return bytes(model(nodes, [value("x")], [value(names[-1])], []).SerializeToString())


DAMAGED = "{path} is not an ONNX model, or is truncated or damaged. Take another copy of it."
NOT_ONE = "{path} is not an ONNX model: it has no graph or no version. Take another copy of it."
FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "{path} is empty; expected an ONNX model. Take another copy of it."),
    "text": (b"this is not a model at all", DAMAGED),
    "zeros": (bytes(1000), DAMAGED),
    "ones": (b"\xff" * 1000, DAMAGED),
    "a pickle": (b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94\x93\x94.", DAMAGED),
    "a zip": (b"PK\x03\x04" + bytes(26), DAMAGED),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), DAMAGED),
    "JSON": (b'{"graph": {"node": []}}', DAMAGED),
    **{
        f"truncated to {len(WHOLE) * part // 100} bytes": (WHOLE[: len(WHOLE) * part // 100], DAMAGED)
        for part in (1, 5, 20, 50, 80, 95, 99)
    },
    "a byte too much": (WHOLE + b"\x3a", DAMAGED),
    "a group, which protobuf no longer has": (b"\x3b" + WHOLE, DAMAGED),
    "a length beyond the file": (b"\x3a\xff\xff\xff\xff\x7f" + WHOLE, DAMAGED),
    "a length of 2^62": (b"\x3a" + varint(2**62), DAMAGED),
    "a number without an end": (b"\x08" + b"\xff" * 100, DAMAGED),
    "no graph": (field(8, field(1, b"") + b"\x10\x0e"), NOT_ONE),
    "no version": (field(7, b""), NOT_ONE),
    "an empty graph": (in_graph(b""), "The network has inputs () and outputs (); expected names."),
    "an operator that is not UTF-8": (
        in_graph(field(1, field(4, b"\xff\xfe"))),
        "{path} has text that is not UTF-8. The file is damaged.",
    ),
    "an attribute that is not UTF-8": (
        attribute("direction", b"\xff\xfe"),
        "{path} has text that is not UTF-8. The file is damaged.",
    ),
    "half a million empty nodes": (in_graph(field(1, b"") * 500_000), "{path} has more than 400,000 names"),
    "half a million empty names": (in_graph(field(1, field(1, b"") * 500_000)), "{path} has more than 400,000 names"),
    "30,000 nodes": (many_nodes(), "{path} has 30,000 nodes; at most 20,000 are read. Refused."),
    "8 MiB of dimensions": (
        in_graph(field(5, field(1, b"\x01" * 2**23))),
        "{path} has more than 4,194,304 bytes of integers outside raw data. Refused.",
    ),
    "8 MiB of short integers": (
        in_graph(field(5, field(7, b"\x01" * 2**23))),
        "{path} has more than 4,194,304 bytes of integers outside raw data. Refused.",
    ),
    "a million dimensions": (
        in_graph(field(5, field(1, b"\x01" * 10**6) + b"\x10\x01" + field(8, b"W"))),
        "The tensor 'W' of {path} has 1,000,000 dimensions; expected at most 16",
    ),
    "graphs 40 deep": (nested(40), "{path} has messages within messages, more than 60 deep. Refused."),
    "graphs 5,000 deep": (nested(5_000), "{path} has messages within messages, more than 60 deep. Refused."),
    "a function of its own": (
        function(),
        "{path} has functions of its own, such as 'Twice'; expected operators of ONNX alone.",
    ),
    "sparse tensors": (
        changed(lambda found: found.graph.sparse_initializer.add()),
        "{path} has sparse tensors; expected dense ones. Write it with dense tensors.",
    ),
    "version 1": (versions(1), "{path} asks for version 1 of ONNX's operators; expected one from 7 to"),
    "version 9999": (versions(9999), "{path} asks for version 9999 of ONNX's operators; expected one from 7 to"),
    "two versions": (versions(13, 14), "{path} asks for version 13, 14 of ONNX's operators; expected one from 7 to"),
    "a version of other operators": (
        versions(14, domain="ai.onnx.ml"),
        "{path} asks for version none of ONNX's operators",
    ),
}
TENSORS: dict[str, tuple[bytes, str]] = {
    "dimensions of a terabyte": (
        tensor_with(dims=[2**20, 2**18]),
        "The tensor 'W' of {path} claims shape (1048576, 262144), which takes 1,099,511,627,776 bytes, and has 192. "
        "The file is damaged.",
    ),
    "dimensions beyond 2^64": (
        tensor_with(dims=[2**62, 2**62]),
        "The tensor 'W' of {path} claims shape (46116860184273",
    ),
    "a dimension below zero": (tensor_with(dims=[-1, 16, 3]), "The tensor 'W' of {path} has shape (-1, 16, 3)"),
    "a dimension missing": (
        tensor_with(dims=[16]),
        "The tensor 'W' of {path} claims shape (16,), which takes 64 bytes",
    ),
    "no data": (
        tensor_with(raw_data=None),
        "The tensor 'W' of {path} claims shape (1, 16, 3), which takes 48 numbers, and has 0.",
    ),
    "half the data": (
        tensor_with(raw_data=bytes(96)),
        "The tensor 'W' of {path} claims shape (1, 16, 3), which takes 192",
    ),
    "twice the data": (
        tensor_with(raw_data=bytes(384)),
        "The tensor 'W' of {path} claims shape (1, 16, 3), which takes 192",
    ),
    "data of another type": (
        tensor_with(raw_data=None, int64_data=[1] * 48),
        "The tensor 'W' of {path} claims shape (1, 16, 3)",
    ),
    "an element type that is none": (tensor_with(data_type=99), "The tensor 'W' of {path} has elements of type 99"),
    "no element type": (tensor_with(data_type=0), "The tensor 'W' of {path} has elements of type UNDEFINED"),
    "strings": (tensor_with(data_type=8), "The tensor 'W' of {path} has elements of type STRING"),
    "complex numbers": (tensor_with(data_type=14), "The tensor 'W' of {path} has elements of type COMPLEX64"),
    "float8": (tensor_with(data_type=17), "The tensor 'W' of {path} has elements of type FLOAT8E4M3FN"),
    "two tensors of one name": (tensor_with(name="R"), "{path} has two tensors called 'R'; expected a name for each."),
    "a tensor without a name": (tensor_with(name=""), "{path} has two tensors called ''; expected a name for each."),
    "weights in /etc/passwd": (
        outside(location="/etc/passwd"),
        "The tensor 'W' of {path} lies in '/etc/passwd'; expected a file in the folder of the model. Refused.",
    ),
    "weights above the folder": (
        outside(location="../weights"),
        "The tensor 'W' of {path} lies in '../weights'; expected a file in the folder of the model. Refused.",
    ),
    "weights above the folder, hidden": (
        outside(location="a/../../weights"),
        "The tensor 'W' of {path} lies in 'a/../../weights'; expected a file in the folder of the model. Refused.",
    ),
    "weights in the folder itself": (
        outside(location="."),
        "The tensor 'W' of {path} lies in '.', which is not there.",
    ),
    "weights nowhere": (outside(), "The tensor 'W' of {path} lies in ''; expected a file in the folder of the model."),
    "weights behind a zero byte": (
        outside(location="a\0b"),
        "The tensor 'W' of {path} lies in 'a\\x00b'; expected a file",
    ),
    "weights in a file with a long name": (
        outside(location="a" * 5000),
        "The tensor 'W' of {path} lies in 'aaaaaaaaaa",
    ),
    "weights that are not there": (
        outside(location="weights.bin"),
        "The tensor 'W' of {path} lies in 'weights.bin', which is not there. Put that file beside the model.",
    ),
    "weights behind the end of a file": (
        outside(location="model.onnx", offset="100000"),
        "The tensor 'W' of {path} takes 192 bytes; it claims 192 from byte 100,000 of 'model.onnx'",
    ),
    "weights before the start of a file": (
        outside(location="model.onnx", offset="-200"),
        "The tensor 'W' of {path} takes 192 bytes; it claims 192 from byte -200 of 'model.onnx'",
    ),
    "weights of another length": (
        outside(location="model.onnx", length="99999999999999"),
        "The tensor 'W' of {path} takes 192 bytes; it claims 99,999,999,999,999 from byte 0",
    ),
    "weights at a place that is no number": (
        outside(location="model.onnx", offset="first"),
        "The tensor 'W' of {path} has an offset or a length that is not a number. The file is damaged.",
    ),
    "a place with ten thousand digits": (
        outside(location="model.onnx", offset="9" * 10_000),
        "The tensor 'W' of {path} has an offset or a length that is not a number. The file is damaged.",
    ),
}
