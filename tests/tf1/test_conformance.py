"""Cells that TensorFlow itself ran, by the names of its variables; the names of the files say the options."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from holdfast import tf1

KINDS = (
    "basiclstmcell",
    "basicrnncell",
    "bidir_basic",
    "bstack",
    "fused_adapt_basic",
    "grublockcellv2",
    "grucell",
    "lstmblockcell",
    "lstmblockfusedcell",
    "lstmcell",
    "srucell",
    "tr_lstmbfc",
)
# Files whose names leave something out, or say another activation than the one that gives TensorFlow's own numbers.
MEANT = {
    "bstack/d_n2": "d_n2_relu_TM",
    "bidir_basic/dynamic_b1_n5-3_ts4_sig_withIS_noTM_f64": "dynamic_softsign_withIS",
    "grucell/dynamic_b1_nIn5_nOut3_ts4_sigmoid_withIS_noTM_double": "dynamic_softsign_withIS",
}
ACTIVATIONS = {"softsign": "softsign", "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}


def options(kind: str, name: str) -> dict[str, Any]:
    """The arguments of the cell that the name of a file says."""
    arguments: dict[str, Any] = {"num_units": 3}
    if forget := re.search(r"f(?:b|B|Bias)(\d+)", name):
        arguments["forget_bias"] = float(forget[1])
    words = [word for word in ACTIVATIONS if re.search(rf"_{word}", name, re.IGNORECASE)]
    if words and "block" not in kind:
        arguments["activation"] = ACTIVATIONS[words[0]]
    if clip := re.search(r"clip(-[\d.]+)(?:-([\d.]+))?", name):
        if kind == "lstmcell":
            arguments |= {"cell_clip": -float(clip[1]), "proj_clip": float(clip[2])}
        else:  # the block cell takes the number as it stands, and a negative one clips nothing
            arguments["cell_clip"] = float(clip[1])
    return arguments


def cell(kind: str, arguments: dict[str, Any], weights: dict[str, Tensor]) -> tf1.RNNCell:
    peepholes = any("diag" in name for name in weights)  # the names of files say PH where there are none
    if kind == "lstmblockcell":
        return tf1.LSTMBlockCell(**arguments, use_peephole=peepholes)
    if kind == "lstmcell":
        return tf1.LSTMCell(**arguments, use_peepholes=peepholes)
    kinds = {"basiclstmcell": tf1.BasicLSTMCell, "grucell": tf1.GRUCell, "grublockcellv2": tf1.GRUBlockCellV2}
    return {**kinds, "srucell": tf1.SRUCell}.get(kind, tf1.BasicRNNCell)(**arguments)


def joined(state: Any) -> Tensor:
    return state if isinstance(state, Tensor) else torch.cat([joined(part) for part in state])


def run(kind: str, name: str, weights: dict[str, Tensor], x: Tensor, first: list[Tensor]) -> dict[str, Tensor]:
    """The results, by the names that the graph gave them."""
    arguments, static = options(kind, name), name.startswith("sta")
    dtype = None if first else x.dtype
    steps = list(x.unbind(1)) if kind in ("bidir_basic", "bstack") or "fused" not in kind else []
    time_major = "TM" in name.replace("noTM", "")
    if kind == "bidir_basic":
        cells = [cell(kind, arguments, weights) for _ in range(2)]
        if static:
            outputs, forwards, backwards = tf1.static_bidirectional_rnn(*cells, steps, dtype=dtype)
            return {"concat_4": torch.cat(outputs), "concat_5": forwards, "concat_6": backwards}
        both, states = tf1.bidirectional_dynamic_rnn(*cells, x, None, *(first or (None, None)), dtype)
        return {"concat": torch.cat(both), "concat_1": torch.cat(states)}
    if kind == "bstack":
        count = int(name.partition("_n")[2][-1]) if static else 2
        stacks = [[cell(kind, arguments, weights) for _ in range(count)] for _ in range(2)]
        if static:
            outputs, forwards, backwards = tf1.stack_bidirectional_rnn(*stacks, steps, dtype=dtype)
            return {"concat": torch.cat(outputs), "concat_1": joined(forwards), "concat_2": joined(backwards)}
        parts = first[0::2], first[1::2]
        y, forwards, backwards = tf1.stack_bidirectional_dynamic_rnn(*stacks, x, *parts, time_major=time_major)
        return {"concat__concat": y, "concat_1": joined(forwards), "concat_2": joined(backwards)}
    if kind == "fused_adapt_basic":
        adapted = tf1.FusedRNNCellAdaptor(cell(kind, arguments, weights), use_dynamic_rnn=not static)
        y, state = adapted(x, dtype=dtype)
        return {("stack" if static else "rnn__TensorArrayStack__TensorArrayGatherV3"): y, "concat": state}
    if kind in ("lstmblockfusedcell", "tr_lstmbfc"):
        fused: Any = tf1.LSTMBlockFusedCell(**arguments)
        turned = kind == "tr_lstmbfc"
        y, state = (tf1.TimeReversedFusedRNN(fused) if turned else fused)(x, dtype=dtype)
        return {("ReverseV2_1" if turned else "lstm_fused_cell__BlockLSTM.6"): y, "concat": joined(state)}
    one = cell(kind, arguments, weights)
    initial = (tf1.LSTMStateTuple(*first) if len(first) == 2 else first[0]) if first else None
    if static:
        outputs, state = tf1.static_rnn(one, steps, initial, dtype)
        return {"concat": torch.cat(outputs), "concat_1": joined(state)}
    y, state = tf1.dynamic_rnn(one, x, None, initial, dtype, time_major=time_major)
    return {"concat": y, "concat_1": joined(state)}


@pytest.mark.parametrize("kind", KINDS)
def test_what_tensorflow_computed(kind: str, conformance: Callable[[str], Path]) -> None:
    folder = conformance("tf1-cells")
    assert {path.name for path in folder.iterdir() if path.is_dir()} <= {*KINDS}
    cases = sorted((folder / kind).glob("*.npz"))
    assert cases
    for path in cases:
        check(kind, path)


def check(kind: str, path: Path) -> None:
    with np.load(path) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file}
    fed = [arrays[f"const__in_{k}"] for k in range(sum("const__in_" in name for name in arrays))]
    is_weight = re.compile(r"const__(.*(?:kernel|bias|_diag))$")
    weights = {m[1].replace("__", "/"): array for name, array in arrays.items() if (m := is_weight.match(name))}
    expected = {name.removeprefix("expected__"): array for name, array in arrays.items() if name.startswith("exp")}
    store = tf1.VariableStore()
    with store.as_default():
        for name, array in weights.items():
            tf1.get_variable(name, array.shape, array.dtype, lambda variable, a=array: variable.copy_(a))
        with tf1.variable_scope(tf1.VariableScope(reuse=tf1.AUTO_REUSE)), torch.no_grad():
            actual = run(kind, MEANT.get(f"{kind}/{path.stem}", path.stem), weights, fed[0], fed[1:])
    assert store.variables.keys() == weights.keys()  # none was made anew
    assert actual.keys() == expected.keys()
    for name, result in actual.items():
        torch.testing.assert_close(
            result.double(), expected[name].double(), rtol=0, atol=1e-5, msg=f"{path.stem}: {name}"
        )
