"""The good model of Keras that the damaged files start from, and the list of those files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.interop.keras.by_hand import archive, drawn, entry, legacy, lstm_weights, named, sequential, weights3

DAMAGED = "is truncated or damaged"

LSTM = entry("LSTM", "lstm", units=4, return_sequences=True, batch_input_shape=[None, None, 3])
CONFIG = sequential(LSTM, entry("Dense", "dense", units=2))
DENSE = drawn((4, 2), (2,))
WEIGHTS = {"lstm/cell": lstm_weights(), "dense": DENSE}
WEIGHTS2 = {"lstm": named("lstm", lstm_weights()), "dense": named("dense", DENSE)}

Make = Callable[[Path], Any]
CASES: dict[str, tuple[str, Make, str]] = {}
"""The name of each file, what writes it, and what its error says."""


def case(name: str, ending: str, message: str, make: Make) -> None:
    CASES[name] = (ending, make, message)


def good(ending: str) -> Make:
    return {
        ".keras": lambda path: archive(path, CONFIG, WEIGHTS),
        ".h5": lambda path: legacy(path, CONFIG, WEIGHTS2),
        ".weights.h5": lambda path: (
            weights3(path, WEIGHTS),
            path.with_name(f"{path.name[:-11]}.json").write_text(json.dumps(CONFIG)),
        ),
    }[ending]
