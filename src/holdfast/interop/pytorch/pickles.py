"""Checks what a pickle would do, without executing it.

torch's files contain pickles. ``torch.load(weights_only=True)`` does not run their code, but takes the memory that they
ask for. So every pickle is checked first: the names it imports, the storage it claims, and how deep it nests.
"""

from __future__ import annotations

import pickletools
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.errors import ModelFileError

MAX_OPCODES = 150_000
"""The longest pickle that is read: enough for a state dict of 4,900 tensors, half a second of reading."""
MAX_BYTES = 2**25
"""The number of bytes of a file in which pickles are looked for."""
MAX_DEPTH = 100
"""How deep values may be nested; Python itself fails at thousands."""

# The opcodes that torch.save writes for a dict of tensors, numbers and texts; others make objects. For each opcode that
# pops values: how many it pops, and whether it first pops all values down to the mark.
_POPS = {
    **dict.fromkeys(("TUPLE1", "BINPERSID", "STOP"), (1, False)),
    **dict.fromkeys(("TUPLE2", "REDUCE", "BUILD", "APPEND"), (2, False)),
    **dict.fromkeys(("TUPLE3", "SETITEM"), (3, False)),
    **dict.fromkeys(("APPENDS", "SETITEMS"), (1, True)),
    "TUPLE": (0, True),
}
_PUSHES = (
    *("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "NONE", "NEWTRUE", "NEWFALSE"),
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING"),
)
_NUMBERS = (
    *("Float", "Double", "Half", "BFloat16", "ComplexFloat", "ComplexDouble"),
    *("Long", "Int", "Short", "Char", "Byte", "Bool"),
)
_DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")
# The imports of such pickles. None takes memory that is not in the file, unlike some on torch's own list.
_IMPORTS = {
    "torch": {*(f"{name}Storage" for name in _NUMBERS), *_DTYPES, "Size", "device"},
    "torch._utils": {"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter"},
    "collections": {"OrderedDict"},
}
_OTHER_TENSORS = {
    ("torch._utils", "_rebuild_sparse_tensor"): "sparse",
    ("torch._utils", "_rebuild_qtensor"): "quantised",
    ("torch._utils", "_rebuild_nested_tensor"): "nested",
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): "without values (on the device 'meta')",
}


class _Parts(NamedTuple):
    """A value on the stack that is made of others. Any other value there is itself.

    Attributes:
        depth: How deep values lie in it.
        members: What it holds, if it is a tuple.
    """

    depth: int
    members: tuple[Any, ...] = ()


_MARK = object()


def check_pickle(file: BytesIO, path: Path) -> dict[str, int]:
    """Reads one pickle of a file of tensors without executing it.

    Args:
        file: The pickle; afterwards, the position is behind it.
        path: Its file, for messages.

    Returns:
        The number of elements that each storage claims, by its key.

    Raises:
        ModelFileError: It holds more than tensors, numbers and texts, or is damaged, too long, or nested too deep.
    """
    storages: dict[str, int] = {}
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count > MAX_OPCODES:
                raise ModelFileError(f"{path} has a pickle of more than {MAX_OPCODES:,} parts: that is no state dict.")
            _step(opcode.name, argument, stack, memo, storages, path)
    except ModelFileError:
        raise
    except (ValueError, IndexError, KeyError) as error:
        explained = isinstance(error, ValueError)
        reason = str(error).splitlines()[0].rstrip(".") if explained else "it pops values that it did not push"
        raise ModelFileError(
            f"{path} is damaged: its pickle cannot be read ({reason[:200]}). Take another copy of it."
        ) from error
    return storages


def _step(
    name: str, argument: Any, stack: list[Any], memo: dict[int, Any], storages: dict[str, int], path: Path
) -> None:
    """Applies one opcode to the stack."""
    if name in _PUSHES:
        if name == "LONG1" and argument.bit_length() > 63:
            raise ModelFileError(f"{path} has a number of {argument.bit_length()} bits: that is no state dict.")
        stack.append(argument)
    elif name in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name == "GLOBAL":
        stack.append(_allowed(argument, path))
    elif name == "MARK":
        stack.append(_MARK)
    elif name in _POPS:
        count, to_mark = _POPS[name]
        parts: list[Any] = []
        while to_mark and (item := stack.pop()) is not _MARK:
            parts.append(item)
        parts += [stack.pop() for _ in range(count)]
        depth = 1 + max(map(_depth, parts), default=0)
        if depth > MAX_DEPTH:
            raise ModelFileError(f"{path} nests values more than {MAX_DEPTH} deep: that is no state dict.")
        parts.reverse()
        if name in ("SETITEM", "SETITEMS") and any(map(_depth, parts[1::2])):
            raise ModelFileError(
                f"{path} has a dict with a key that is neither text nor number: that is no state dict."
            )
        if name == "BINPERSID":
            key, elements = _storage(parts[0], path)
            storages[key] = max(elements, storages.get(key, 0))
        stack.append(_Parts(depth, tuple(parts) if name.startswith("TUPLE") else ()))
    elif name != "PROTO":
        raise ModelFileError(
            f"{path} has {name} in its pickle, which torch.save does not write for a state dict. Save the model's "
            "state_dict() by torch.save without a pickle_protocol."
        )


def _allowed(argument: str, path: Path) -> tuple[str, str]:
    """The module and name that a pickle imports, if it is allowed to import them."""
    module, _, name = argument.partition(" ")
    if name in _IMPORTS.get(module, ()):
        return module, name
    if (module, name) in _OTHER_TENSORS:
        kind = _OTHER_TENSORS[module, name]
        raise ModelFileError(f"{path} has a tensor that is {kind}; expected plain ones. Save it as a plain tensor.")
    raise ModelFileError(
        f"{path} holds more than tensors: its pickle asks for {module[:80]}.{name[:80]}, so it may be a whole model, "
        "and opening it could run any code. If you trust the file, open it where that code is installed and save "
        "its state_dict()."
    )


def _depth(value: Any) -> int:
    return value.depth if isinstance(value, _Parts) else 0


def _storage(reference: Any, path: Path) -> tuple[str, int]:
    """The key and the number of elements in a reference to a storage."""
    parts = reference.members if isinstance(reference, _Parts) else ()
    match parts[:5]:
        case ("storage", (_, str()), str() as key, _, int() as elements) if elements >= 0:
            if all(part is None for part in parts[5:]):
                return key, elements
    raise ModelFileError(
        f"{path} refers to a storage in a way that torch.save does not: it is damaged. Take another copy of it."
    )
