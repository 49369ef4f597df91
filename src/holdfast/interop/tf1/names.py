"""Parses the names that TensorFlow 1's cells gave their variables, in every version.

Since version 1.2 a variable has a name such as ``rnn/multi_rnn_cell/cell_0/basic_lstm_cell/kernel``. Versions 1.0 and
1.1 had ``weights`` and ``biases``, and earlier versions had ``RNN/MultiRNNCell/Cell0/BasicLSTMCell/Linear/Matrix``: see
tensorflow/contrib/rnn/python/tools/checkpoint_convert.py in TensorFlow 1.15, and the code of version 0.12.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from holdfast.cells import Kind
from holdfast.interop.tf1.weights import DIAGONALS, PROJECTION

_LSTM_CELLS = ("basic_lstm_cell", "lstm_cell", "lstm_fused_cell", "lstm_block_wrapper", "cudnn_compatible_lstm_cell")
CELLS: dict[str, Kind] = {
    **dict.fromkeys(_LSTM_CELLS, "lstm"),
    **dict.fromkeys(("gru_cell", "cudnn_compatible_gru_cell"), "gru"),
    "basic_rnn_cell": "rnn",
}
FORGET_BIAS_STORED = "cudnn_compatible_lstm_cell"
"""The cell that adds no forget bias at run time."""
OTHERS = (
    *("layer_norm_basic_lstm_cell", "layer_norm_lstm_cell", "sru_cell", "nas_cell", "nas_rnn", "ugrnn_cell"),
    *("intersection_rnn_cell", "phased_lstm_cell", "time_freq_lstm_cell", "grid_lstm_cell"),
    *("coupled_input_forget_gate_lstm_cell", "attention_cell_wrapper", "conv_lstm_cell", "conv_1d_lstm_cell"),
    *("conv_2d_lstm_cell", "conv_3d_lstm_cell", "weight_norm_lstm_cell", "bidirectional_grid_lstm_cell"),
    *("glstm_cell", "ntm_cell", "ind_rnn_cell", "indy_gru_cell", "indy_lstm_cell"),
)
"""Cells of tf.contrib.rnn that no layer describes."""

_OLD_CELLS = {
    "BasicLSTMCell": "basic_lstm_cell",
    "LSTMCell": "lstm_cell",
    "GRUCell": "gru_cell",
    "BasicRNNCell": "basic_rnn_cell",
}
_OLD_VARIABLES = {
    "Linear/Matrix": "kernel",
    "Linear/Bias": "bias",
    "Gates/Linear/Matrix": "gates/kernel",
    "Gates/Linear/Bias": "gates/bias",
    "Candidate/Linear/Matrix": "candidate/kernel",
    "Candidate/Linear/Bias": "candidate/bias",
    "W_0": "kernel",
    "B": "bias",
    "W_F_diag": "w_f_diag",
    "W_I_diag": "w_i_diag",
    "W_O_diag": "w_o_diag",
    "W_P_0": PROJECTION,
    "w_ru": "gates/kernel",
    "b_ru": "gates/bias",
    "w_c": "candidate/kernel",
    "b_c": "candidate/bias",
}
_VARIABLES = {"kernel", "bias", PROJECTION, *DIAGONALS} | {
    f"{part}/{sort}"
    for part in ("gates", "candidate", "candidate/input_projection", "candidate/hidden_projection")
    for sort in ("kernel", "bias")
}


class Place(NamedTuple):
    """The place of a cell in its model.

    Attributes:
        scope: Its full scope in the checkpoint.
        cell: Its name in :data:`CELLS`.
        block: The scope of its recurrent network, without directions, stacks and layers.
        stage: Its number in a stack of bidirectional layers.
        direction: ``"fw"``, ``"bw"`` or ``""``.
        layer: Its number in a MultiRNNCell.
    """

    scope: str
    cell: str
    block: str
    stage: int
    direction: str
    layer: int


_CELL = re.compile(rf"(?:^|/)({'|'.join([*CELLS, *_OLD_CELLS])})(?:_\d+)?/(.+)$")
_OTHER = re.compile(rf"(?:^|/)({'|'.join(OTHERS)})(?:_\d+)?/[\w/]+$")


def parse_name(name: str) -> tuple[str, str, str] | None:
    """The scope, the cell's name in :data:`CELLS` and the variable in a name; None for any other variable."""
    match = _CELL.search(name)
    if match is None:
        return None
    variable = re.sub(r"\bweights$", "kernel", re.sub(r"\bbiases$", "bias", match[2]))
    variable = _OLD_VARIABLES.get(variable, variable)
    if variable not in _VARIABLES:
        return None
    return name[: match.start(2) - 1], _OLD_CELLS.get(match[1], match[1]), variable


def modern(name: str) -> str:
    """The name of a cell's variable, or of its slot, in TensorFlow 1.2 and later; any other variable keeps its name."""
    parts = parse_name(name)
    if parts is None:
        variable, _, slot = name.rpartition("/")  # of an optimiser: .../biases/Adam_1
        return f"{modern(variable)}/{slot}" if parse_name(variable) else name
    scope, cell, variable = parts
    before, _, last = scope.rpartition("/")
    number = re.search(r"_\d+$", last)
    for old, new in (
        (r"(^|/)RNN(?=/|$)", r"\1rnn"),
        (r"(^|/)BiRNN(?=/|$)", r"\1bidirectional_rnn"),
        (r"(^|/)MultiRNNCell/Cell(\d+)$", r"\1multi_rnn_cell/cell_\2"),
        (r"(?<=bidirectional_rnn/)(FW|BW)(?=/|$)", lambda match: match[1].lower()),
    ):
        before = re.sub(old, new, before)
    return "/".join(part for part in (before, cell + (number[0] if number else ""), variable) if part)


def other_cell(name: str) -> str | None:
    """The name in :data:`OTHERS` of a variable's cell, or None."""
    match = _OTHER.search(name)
    return match[1] if match else None


def place_of(scope: str, cell: str) -> Place:
    """The place of a cell, from the part of its scope before the cell."""
    before = scope.rpartition("/")[0]
    layer, stage, direction = 0, 0, ""
    if stacked := re.search(r"(?:^|/)(?:multi_rnn_cell|MultiRNNCell)(?:_\d+)?/[cC]ell_?(\d+)$", before):
        before, layer = before[: stacked.start()], int(stacked[1])
    if directed := re.search(r"(?:^|/|_)(fw|bw|FW|BW)$", before):
        before, direction = before[: directed.start()], directed[1].lower()
    if in_stack := re.search(r"(?:^|/)cell_(\d+)(?:/bidirectional_rnn)?$", before):
        before, stage = before[: in_stack.start()], int(in_stack[1])
    return Place(scope, cell, before, stage, direction, layer)
