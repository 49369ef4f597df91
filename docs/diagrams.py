"""Draws the diagrams of the cells in ``docs/cells.md`` into ``docs/pictures``.

    python docs/diagrams.py

``tests/docs/test_diagrams.py`` fails when a picture is not up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for a test that runs this file

from drawing import Drawing  # noqa: E402

_TOP, _BUS = 90, 345
"""Heights in the pictures of LSTM and GRU: of the line at the top, and of the lines that the gates read."""


def rnn() -> str:
    """The simple RNN."""
    d = Drawing(
        640,
        250,
        "The RNN",
        "The state h is multiplied by W_hh and the input x by W_ih. Their sum with the biases goes through the "
        "activation φ. The result h' is the output of the step and the state of the next step.",
    )
    d.frame(95, 40, 545, 180)
    d.line([(20, 95), (147, 95)], "output", width=3)
    d.line([(180, 225), (180, 152)], "input")
    d.line([(213, 95), (285, 95)], "ink")
    d.line([(213, 145), (300, 145), (300, 111)], "ink")
    d.line([(300, 60), (300, 80)], "input")
    d.line([(315, 95), (383, 95)], "ink")
    d.line([(443, 95), (620, 95)], "output", width=3)
    d.line([(500, 95), (500, 16)], "output", width=2)
    d.dot(500, 95, "output")
    d.box(180, 95, "W_hh", kind="plain", width=66, height=32)
    d.box(180, 145, "W_ih", kind="plain", width=66, height=32)
    d.operation(300, 95, "+")
    d.box(413, 95, "φ", "activation", kind="candidate")
    d.text(320, 66, "b_ih + b_hh", "label", anchor="start")
    _ends(d, h=(20, 95), h_after=(620, 95))
    d.text(180, 242, "x", "letter")
    d.text(522, 24, "output h'", "label", anchor="start")
    return d.svg()


def lstm(*, peepholes: bool = False, coupled: bool = False) -> str:
    """The LSTM, plain or with one of the options that change its form."""
    if peepholes:
        title, more = "The LSTM with peepholes", " With peepholes, i and f also read the old c, and o reads the new c'."
    elif coupled:
        title, more = "The LSTM with coupled gates", " With coupled gates there is no gate f of its own: f is 1 - i."
    else:
        title, more = "The LSTM", ""
    d = Drawing(820, 420, title, _LSTM + more)
    _lstm_lines(d, coupled=coupled)
    if peepholes:
        _peepholes(d)
    _lstm_parts(d, coupled=coupled)
    if peepholes:
        d.text(122, 236, "p_f ⊙ c", "option-text", anchor="start")
        d.text(236, 206, "p_i ⊙ c", "option-text", anchor="start")
        d.text(489, 236, "p_o ⊙ c'", "option-text", anchor="start")
    return d.svg()


_LSTM = (
    "The cell state c runs along the top. It is multiplied by the forget gate f, then the product of the input gate i "
    "and the candidate g is added: the new cell state c'. The output gate o multiplies φ(c') to give h', which is the "
    "output of the step and the state of the next step. Each gate and the candidate reads the input x and the old h "
    "through weights and biases of its own; the gates end in σ, the candidate in φ."
)


def _lstm_lines(d: Drawing, *, coupled: bool) -> None:
    d.frame(80, 40, 730, 370)
    d.line([(20, _BUS), (560, _BUS)], "output", arrow=False, width=3)
    d.line([(120, 408), (120, _BUS + 12), (128, _BUS + 6), (560, _BUS + 6)], "input", arrow=False)
    if coupled:
        d.line([(310, 275), (310, 215), (200, 215), (200, 186)], "option")
        d.line([(200, 154), (200, _TOP + 15)], "option")
    else:
        d.line([(200, 275), (200, _TOP + 15)], "ink")
    d.line([(310, 275), (310, 170), (350, 170)], "ink")
    d.line([(430, 275), (430, 170), (380, 170)], "ink")
    d.line([(365, 155), (365, _TOP + 15)], "ink")
    d.line([(20, _TOP), (185, _TOP)], "state", width=3)
    d.line([(215, _TOP), (350, _TOP)], "state", width=3)
    d.line([(380, _TOP), (800, _TOP)], "state", width=3)
    d.line([(640, _TOP), (640, 131)], "state")
    d.line([(640, 169), (640, 205)], "ink")
    d.line([(560, 275), (560, 220), (625, 220)], "ink")
    d.line([(640, 235), (640, _BUS), (800, _BUS)], "output", width=3)
    d.line([(700, _BUS), (700, 16)], "output")
    for x in (200, 310, 430, 560) if not coupled else (310, 430, 560):
        d.line([(x, _BUS), (x, 315)], "ink")


def _peepholes(d: Drawing) -> None:
    d.line([(110, _TOP), (110, 295), (168, 295)], "option", dashed=True)
    d.line([(110, 212), (260, 212), (260, 295), (278, 295)], "option", dashed=True)
    d.line([(480, _TOP), (480, 295), (528, 295)], "option", dashed=True)
    d.dot(110, _TOP, "option")
    d.dot(110, 212, "option")
    d.dot(480, _TOP, "option")


def _lstm_parts(d: Drawing, *, coupled: bool) -> None:
    d.dot(640, _TOP, "state")
    d.dot(700, _BUS, "output")
    for x, letter, name, kind in _LSTM_BOXES:
        if letter == "f" and coupled:
            continue
        d.box(x, 295, letter, kind=kind)
        d.text(x + 36, 299, name, "label", anchor="start")
        d.text(x + 10, 332, "φ" if letter == "g" else "σ", "small", anchor="start")
        d.dot(x, _BUS, "output")
    if coupled:
        d.operation(200, 170, "1−", size=16)
        d.dot(310, 215, "option")
        d.text(176, 175, "f = 1 − i", "option-text", anchor="end")
    d.operation(200, _TOP, "⊙")
    d.operation(365, 170, "⊙")
    d.operation(365, _TOP, "+")
    d.box(640, 150, "φ", kind="candidate")
    d.operation(640, 220, "⊙")
    _ends(d, c=(20, _TOP), c_after=(800, _TOP), h=(20, _BUS), h_after=(800, _BUS))
    d.text(104, 412, "x", "letter")
    d.text(690, 26, "output h'", "label", anchor="end")


_LSTM_BOXES = (
    (200, "f", "forget", "gate"),
    (310, "i", "input", "gate"),
    (430, "g", "candidate", "candidate"),
    (560, "o", "output", "gate"),
)


def gru(*, reset_after: bool = True) -> str:
    """The GRU with the reset gate after or before the recurrent product."""
    where = (
        "The reset gate r multiplies the recurrent product W_hn h + b_hn, after it is computed"
        if reset_after
        else "The reset gate r multiplies the old h before it is multiplied by W_hn"
    )
    d = Drawing(
        820,
        420,
        f"The GRU with the reset gate {'after' if reset_after else 'before'} the recurrent product",
        "The state h runs along the top. It is multiplied by the update gate z, and the candidate n, times "
        f"1 - z, is added: the new state h', which is also the output. {where}. Both gates read the input x and the "
        "old h through weights and biases of their own.",
    )
    d.frame(80, 40, 730, 390)
    d.line([(110, _TOP), (110, _BUS - 25), (440, _BUS - 25), (440, 299 if reset_after else 275)], "output")
    d.line([(40, 408), (40, 362), (580, 362), (580, 239)], "input")
    for x in (190, 330):
        d.line([(x - 9, _BUS - 25), (x - 9, 292)], "output")
        d.line([(x + 9, 362), (x + 9, 292)], "input")
    d.line([(330, 252), (330, _TOP + 15)], "ink")
    d.line([(330, 150), (429, 150)], "ink")
    d.line([(461, 150), (565, 150)], "ink")
    if reset_after:
        d.line([(190, 252), (190, 220), (425, 220)], "ink")
        d.line([(440, 267), (440, 235)], "ink")
        d.line([(455, 220), (550, 220)], "ink")
    else:
        d.line([(190, 252), (190, 205), (400, 205), (400, 260), (425, 260)], "ink")
        d.line([(440, 245), (440, 220), (550, 220)], "ink")
    d.line([(580, 201), (580, 165)], "ink")
    d.line([(580, 135), (580, _TOP + 15)], "ink")
    d.line([(20, _TOP), (315, _TOP)], "output", width=3)
    d.line([(345, _TOP), (565, _TOP)], "output", width=3)
    d.line([(595, _TOP), (800, _TOP)], "output", width=3)
    d.line([(700, _TOP), (700, 16)], "output")
    _gru_parts(d, reset_after=reset_after)
    return d.svg()


def _gru_parts(d: Drawing, *, reset_after: bool) -> None:
    d.dot(110, _TOP, "output")
    d.dot(700, _TOP, "output")
    d.dot(330, 150)
    for x, letter, name in ((190, "r", "reset"), (330, "z", "update")):
        d.box(x, 271, letter)
        d.text(x + 36, 275, name, "label", anchor="start")
        d.dot(x - 9, _BUS - 25, "output")
        d.dot(x + 9, 362, "input")
    d.operation(330, _TOP, "⊙")
    d.operation(445, 150, "1−", size=16)
    d.operation(580, 150, "⊙")
    d.operation(580, _TOP, "+")
    d.box(580, 220, "n", kind="candidate")
    d.text(616, 224, "candidate", "label", anchor="start")
    if reset_after:
        d.box(440, 283, "W_hn h + b_hn", kind="plain", width=140, height=32)
        d.operation(440, 220, "⊙")
    else:
        d.operation(440, 260, "⊙")
        d.text(462, 213, "W_hn (r ⊙ h)", "label", anchor="start")
    d.text(592, 300, "W_in x + b_in", "label", anchor="start")
    _ends(d, h=(20, _TOP), h_after=(800, _TOP))
    d.text(24, 412, "x", "letter")
    d.text(690, 26, "output h'", "label", anchor="end")


def _ends(d: Drawing, **ends: tuple[float, float]) -> None:
    """The letters of the states, above the ends of their lines."""
    for name, (x, y) in ends.items():
        letter, after = name[0], name.endswith("after")
        d.text(x - 8 if after else x + 8, y - 12, letter + "'" * after, "letter")


OPTIONS = (
    (225, 364, "recurrent_dropout, mode “state”: d(h)"),
    (216, 326, "mode “gates”: a mask d for each gate"),
    (446, 200, "mode “candidate”: d(g)"),
    (272, 316, "weight_dropout: d(W_hh)"),
    (226, 276, "gate_clip, then recurrent_activation (σ)"),
    (456, 276, "gate_clip, then activation (φ)"),
    (168, 316, "layer_norm of W_ih x and of W_hh h"),
    (434, 72, "cell_clip: clip(c')"),
    (656, 112, "layer_norm of c', for the output only"),
    (676, 136, "output_activation: ψ in place of φ"),
    (640, 262, "proj_size: W_hr (...), then proj_clip"),
    (752, 72, "zoneout_c: some units keep c"),
    (752, 327, "zoneout_h: some units keep h"),
)
"""The options of the LSTM: the place of each in the picture, and what it does."""


def options() -> str:
    """The LSTM, with the places where its options act."""
    rows = -(-len(OPTIONS) // 2)
    d = Drawing(
        820,
        430 + 24 * rows,
        "Where the options of the LSTM act",
        _LSTM
        + " Numbers show where options act: "
        + "; ".join(f"{number}, {text}" for number, (_, _, text) in enumerate(OPTIONS, 1))
        + ".",
    )
    _lstm_lines(d, coupled=False)
    _lstm_parts(d, coupled=False)
    for number, (x, y, text) in enumerate(OPTIONS, 1):
        column, row = divmod(number - 1, rows)
        left, top = 40 + 400 * column, 446 + 24 * row
        d.badge(x, y, number)
        d.badge(left, top - 4.5, number)
        d.text(left + 18, top, text, "label", anchor="start")
    return d.svg()


PICTURES: dict[str, Callable[[], str]] = {
    "rnn.svg": rnn,
    "lstm.svg": lstm,
    "lstm_peepholes.svg": lambda: lstm(peepholes=True),
    "lstm_coupled_gates.svg": lambda: lstm(coupled=True),
    "lstm_options.svg": options,
    "gru_reset_after.svg": gru,
    "gru_reset_before.svg": lambda: gru(reset_after=False),
}
"""What draws each file of ``docs/pictures``."""

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (HERE / "pictures" / name).write_text(draw(), "utf-8")
