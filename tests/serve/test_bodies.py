"""JSON within its limits, before it is parsed."""

from __future__ import annotations

import json
import random
import time
from typing import Any

from holdfast.serve.bodies import depth


def deepest(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(deepest, value.values() if isinstance(value, dict) else value), default=0)


def test_the_depth_of_json() -> None:
    dice = random.Random(0)

    def made(levels: int) -> Any:
        text = "".join(dice.choices('[]{}"\\/a\u00e9\n', k=dice.randrange(6)))
        if not levels or dice.random() < 0.2:
            return text
        parts = [made(levels - 1) for _ in range(dice.randrange(4))]
        return parts if dice.random() < 0.5 else {f"{text}{k}": part for k, part in enumerate(parts)}

    for _ in range(300):
        value = made(6)
        for ascii in (True, False):
            assert depth(json.dumps(value, ensure_ascii=ascii).encode(), 99) == deepest(value), value


def test_the_time_is_linear_also_for_texts_without_an_end() -> None:
    began = time.monotonic()
    for end in (b"", b"\\", b"\n", b'"'):
        assert depth(b"[[" + b'"' + b'\\"' * 1_000_000 + end, 32) == 2
        assert depth(b"[[" + b'"a' * 1_000_000 + end, 32) == 2
    assert time.monotonic() - began < 10
