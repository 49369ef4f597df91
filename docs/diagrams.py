"""Draws the diagrams of ``docs/cells.md`` into ``docs/pictures``, and in Chinese into ``docs/zh/pictures``.

    python docs/diagrams.py

``tests/docs/test_diagrams.py`` fails when a picture is not up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for a test that runs this file

import chinese  # noqa: E402
from drawing import Drawing  # noqa: E402

_TOP, _BOXES, _BUS_H, _BUS_X = 90, 280, 335, 372
"""Heights in the pictures of LSTM and GRU: the line at the top, the gates, and the lines of h and x that they read."""
_LANES, _BELOW = 9, 20
"""From the middle of a gate to the arrows of h and of x, and down to their tips."""


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
    d.line([(180, 225), (180, 161)], "input")
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
    d = Drawing(820, 430, title, _LSTM + more)
    _lstm_lines(d, coupled=coupled)
    if peepholes:
        _peepholes(d)
    _lstm_parts(d, coupled=coupled)
    return d.svg()


_LSTM = (
    "The cell state c runs along the top. It is multiplied by the forget gate f, then the product of the input gate i "
    "and the candidate g is added: the new cell state c'. The output gate o multiplies φ(c') to give h', which is the "
    "output of the step and the state of the next step. Each gate and the candidate reads the input x and the old h "
    "through weights and biases of its own; the gates end in σ, the candidate in φ."
)


def _lstm_lines(d: Drawing, *, coupled: bool) -> None:
    """The lines of the LSTM, from the left to the right."""
    top = _BOXES - 19
    gates = [x for x, letter, _, _ in _LSTM_BOXES if not (coupled and letter == "f")]
    d.frame(80, 40, 730, 397)
    _buses(d, gates)
    if coupled:
        d.line([(310, 215), (200, 215), (200, 186)], "option")
        d.line([(200, 154), (200, _TOP + 15)], "option")
    else:
        d.line([(200, top), (200, _TOP + 15)])
    d.line([(310, top), (310, 170), (350, 170)])
    d.line([(430, top), (430, 170), (380, 170)])
    d.line([(365, 155), (365, _TOP + 15)])
    d.line([(20, _TOP), (185, _TOP)], "state", width=3)
    d.line([(215, _TOP), (350, _TOP)], "state", width=3)
    d.line([(380, _TOP), (800, _TOP)], "state", width=3)
    d.line([(640, _TOP), (640, 131)], "state")
    d.line([(640, 169), (640, 205)])
    d.line([(560, top), (560, 220), (625, 220)])
    d.line([(640, 235), (640, _BUS_H), (800, _BUS_H)], "output", width=3)
    d.line([(700, _BUS_H), (700, 16)], "output", over=[(700, _TOP)])


def _buses(d: Drawing, gates: Sequence[int]) -> None:
    """The lines of h and x, and their arrows into the gates."""
    tips = _BOXES + _BELOW
    d.line([(20, _BUS_H), (gates[-1] - _LANES, _BUS_H), (gates[-1] - _LANES, tips)], "output", width=2.4)
    d.line([(40, 418), (40, _BUS_X), (gates[-1] + _LANES, _BUS_X), (gates[-1] + _LANES, tips)], "input")
    for x in gates[:-1]:
        d.line([(x - _LANES, _BUS_H), (x - _LANES, tips)], "output")
        d.line([(x + _LANES, _BUS_X), (x + _LANES, tips)], "input", over=[(x + _LANES, _BUS_H)])
        d.dot(x - _LANES, _BUS_H, "output")
        d.dot(x + _LANES, _BUS_X, "input")


def _peepholes(d: Drawing) -> None:
    d.line([(110, _TOP), (110, _BOXES), (168, _BOXES)], "option", dashed=True)
    d.line([(110, 212), (262, 212), (262, _BOXES), (278, _BOXES)], "option", dashed=True, over=[(200, 212)])
    d.line([(506, _TOP), (506, _BOXES), (528, _BOXES)], "option", dashed=True)
    d.dot(110, _TOP, "option")
    d.dot(110, 212, "option")
    d.dot(506, _TOP, "option")
    d.text(118, 270, "p_f ⊙ c", "option-text", anchor="start")
    d.text(216, 204, "p_i ⊙ c", "option-text", anchor="start")
    d.text(514, 160, "p_o ⊙ c'", "option-text", anchor="start")


def _lstm_parts(d: Drawing, *, coupled: bool) -> None:
    """The boxes and operations of the LSTM, and its texts."""
    d.dot(640, _TOP, "state")
    d.dot(700, _BUS_H, "output")
    for x, letter, name, kind in _LSTM_BOXES:
        if letter == "f" and coupled:
            continue
        d.box(x, _BOXES, letter, kind=kind)
        d.text(x + 7, _BOXES - 25, name, "label", anchor="start")
        d.text(x + 17, _BOXES + 36, "φ" if letter == "g" else "σ", "small", anchor="start")
    if coupled:
        d.operation(200, 170, "1−", size=16)
        d.dot(310, 215, "option")
        d.text(176, 175, "f = 1 − i", "option-text", anchor="end")
    d.operation(200, _TOP, "⊙")
    d.operation(365, 170, "⊙")
    d.operation(365, _TOP, "+")
    d.box(640, 150, "φ", kind="candidate")
    d.operation(640, 220, "⊙")
    _ends(d, c=(20, _TOP), c_after=(800, _TOP), h=(20, _BUS_H), h_after=(800, _BUS_H))
    d.text(24, 420, "x", "letter")
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
        430,
        f"The GRU with the reset gate {'after' if reset_after else 'before'} the recurrent product",
        "The state h runs along the top. It is multiplied by the update gate z, and the candidate n, times "
        f"1 - z, is added: the new state h', which is also the output. {where}. Both gates read the input x and the "
        "old h through weights and biases of their own.",
    )
    d.frame(80, 40, 730, 397)
    end = _BOXES + (28 if reset_after else 0)
    d.line([(110, _TOP), (110, _BUS_H), (440, _BUS_H), (440, end)], "output")
    d.line([(40, 418), (40, _BUS_X), (580, _BUS_X), (580, 239)], "input")
    tips, top = _BOXES + _BELOW, _BOXES - 19
    for x in (190, 330):
        d.line([(x - _LANES, _BUS_H), (x - _LANES, tips)], "output")
        d.line([(x + _LANES, _BUS_X), (x + _LANES, tips)], "input", over=[(x + _LANES, _BUS_H)])
    d.line([(330, top), (330, _TOP + 15)])
    d.line([(330, 150), (429, 150)])
    d.line([(461, 150), (565, 150)])
    if reset_after:
        d.line([(190, top), (190, 220), (425, 220)], over=[(330, 220)])
        d.line([(440, _BOXES - 4), (440, 235)])
        d.line([(455, 220), (550, 220)])
    else:
        d.line([(190, top), (190, 205), (400, 205), (400, 265), (425, 265)], over=[(330, 205)])
        d.line([(440, 250), (440, 220), (550, 220)])
    d.line([(580, 201), (580, 165)])
    d.line([(580, 135), (580, _TOP + 15)])
    d.line([(20, _TOP), (315, _TOP)], "output", width=3)
    d.line([(345, _TOP), (565, _TOP)], "output", width=3)
    d.line([(595, _TOP), (800, _TOP)], "output", width=3)
    d.line([(700, _TOP), (700, 16)], "output")
    _gru_parts(d, reset_after=reset_after)
    return d.svg()


def _gru_parts(d: Drawing, *, reset_after: bool) -> None:
    """The boxes and operations of the GRU, and its texts."""
    d.dot(110, _TOP, "output")
    d.dot(700, _TOP, "output")
    d.dot(330, 150)
    for x, letter, name in ((190, "r", "reset"), (330, "z", "update")):
        d.box(x, _BOXES, letter)
        d.text(x + 7, _BOXES - 25, name, "label", anchor="start")
        d.text(x + 17, _BOXES + 36, "σ", "small", anchor="start")
        d.dot(x - _LANES, _BUS_H, "output")
        d.dot(x + _LANES, _BUS_X, "input")
    d.operation(330, _TOP, "⊙")
    d.operation(445, 150, "1−", size=16)
    d.operation(580, 150, "⊙")
    d.operation(580, _TOP, "+")
    d.box(580, 220, "n", kind="candidate")
    d.text(616, 224, "candidate", "label", anchor="start")
    if reset_after:
        d.box(440, _BOXES + 12, "W_hn h + b_hn", kind="plain", width=140, height=32)
        d.operation(440, 220, "⊙")
    else:
        d.operation(440, 265, "⊙")
        d.text(458, 211, "W_hn (r ⊙ h)", "label", anchor="start")
    d.text(592, 300, "W_in x + b_in", "label", anchor="start")
    _ends(d, h=(20, _TOP), h_after=(800, _TOP))
    d.text(24, 420, "x", "letter")
    d.text(690, 26, "output h'", "label", anchor="end")


def _ends(d: Drawing, **ends: tuple[float, float]) -> None:
    """The letters of the states, above the ends of their lines."""
    for name, (x, y) in ends.items():
        letter, after = name[0], name.endswith("after")
        d.text(x - 8 if after else x + 8, y - 12, letter + "'" * after, "letter")


OPTIONS = (
    (140, _BUS_H, "recurrent_dropout, mode “state”: d(h)"),
    (178, 318, "mode “gates”: a mask d for each gate"),
    (446, 200, "mode “candidate”: d(g)"),
    (289, 318, "weight_dropout: d(W_hh)"),
    (230, _BOXES, "gate_clip, then recurrent_activation (σ)"),
    (460, _BOXES, "gate_clip, then activation (φ)"),
    (560, 318, "layer_norm of W_ih x and of W_hh h"),
    (434, _TOP, "cell_clip: clip(c')"),
    (640, 112, "layer_norm of c', for the output only"),
    (676, 136, "output_activation: ψ in place of φ"),
    (640, 262, "proj_size: W_hr (...), then proj_clip"),
    (752, _TOP, "zoneout_c: some units keep c"),
    (752, _BUS_H, "zoneout_h: some units keep h"),
)
"""The options of the LSTM: the place of each in the picture, and what it does."""


def options() -> str:
    """The LSTM, with the places where its options act."""
    rows = -(-len(OPTIONS) // 2)
    d = Drawing(
        820,
        446 + 24 * rows,
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
        left, top = 40 + 400 * column, 460 + 24 * row
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


def drawn() -> dict[str, str]:
    """Every picture in both languages, by its path in ``docs``."""
    english = {name: draw() for name, draw in PICTURES.items()}
    pairs = {"pictures": english, "zh/pictures": chinese.pictures(english)}
    return {f"{folder}/{name}": svg for folder, pictures in pairs.items() for name, svg in pictures.items()}


if __name__ == "__main__":
    for path, svg in drawn().items():
        (HERE / path).parent.mkdir(exist_ok=True)
        (HERE / path).write_text(svg, "utf-8")
