"""The facts of a run for tests of the report and of the model card, made without a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from holdfast.inspect.facts import Facts, Setting
from holdfast.inspect.inside import Inside, LayerInside, Passage
from holdfast.layers.summary import LayerRow, Summary
from holdfast.tasks.presentation import Case, Curves, Line, Picture, Table, Text, Word, Words
from holdfast.training.finished_run import Circumstances

HOSTILE = (
    "</script><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>'",
    "<!-- --><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "\x00\x1b[31m\r\n\x85",
    "\u202eexe.gpj\u2066\u200f",
    "\udc80 half",
    "$\\frac{1}{$ _x_ **b** | `c` [l](javascript:alert(1)) &lt;",
    "---\nlicense: evil",
    "]]></style></title></textarea>",
)
"""Names and texts that a page must show as they are."""


def facts(**changes: Any) -> Facts:
    """The facts of a small classifier; ``changes`` replace some of them."""
    labels = ("a", "b")
    rows = [
        {
            "event": "epoch",
            "epoch": k,
            "step": 10 * k,
            "learning_rate": 0.01,
            "train": {"loss": 1 / k, "accuracy": 1 - 0.5 / k},
            "validation": {"loss": 1.1 / k, "accuracy": 1 - 0.6 / k},
            "best": k == 3,
            "seconds": 0.5 * k,
        }
        for k in (1, 2, 3)
    ]
    steps = np.linspace(0, 1, 15, dtype=np.float32).reshape(5, 3)
    made = Facts(
        name="small",
        description="A small classifier.",
        task="classify",
        pipeline_tag="text-classification",
        settings=(
            Setting("data.source", '"files"', '"files"', "default"),
            Setting("model.cell", '"lstm"', '"lstm"', "default"),
            Setting("model.hidden_size", "3", "64", "set"),
            Setting("train.epochs", "3", '"auto"', "chosen"),
        ),
        circumstances=Circumstances(
            {"train": {"sequences": 80, "steps": 400}, "test": {"sequences": 20, "steps": 100}},
            {"Python": "3.11.2", "holdfast": "0.1.0"},
            [{"part": "recurrent, layer 0", "engine": "native", "not": {"cudnn": "the tensors are on the CPU."}}],
        ),
        layers=Summary(
            (LayerRow("recurrent (LSTM)", (None, 3), 84), LayerRow("output (Linear)", (None, 2), 8)), 92, 92
        ),
        rows=rows,
        epochs=3,
        updates=30,
        seconds=1.5,
        measured_on="the test data",
        results={"loss": 0.4, "accuracy": 0.9},
        comparison={"model": {"loss": 0.4, "accuracy": 0.9}, "always a": {"accuracy": 0.55}},
        tables=(Table("Each label", ("label", "recall", "count"), (("a", 1.0, 11), ("b", 0.7777777, 9))),),
        figures={"confusion": {"labels": list(labels), "counts": [[11, 0], [2, 7]]}},
        error_name="cross-entropy (nats)",
        cases=(
            Case("one.csv[1]", 3.5, True, "b", "a", Picture(np.eye(4), ("row", "column")), "probability 97 %"),
            Case("two.csv[2]", 1.5, True, "b", "a", Text("a text")),
            Case("three.csv[3]", 1.0, True, "", "", Words((Word("the", "D", "D"), Word("boat", "N", "V")))),
            Case("four.csv[4]", 0.5, False, "", "", Curves((Line("truth", np.arange(4), np.arange(4.0), "truth"),))),
        ),
        sample="",
        inside=Inside(
            "one.csv[1]",
            tuple("fives"),
            8,
            (LayerInside("recurrent.l0", "LSTM", {"forget": steps, "candidate": steps - 0.5}, {"cell": steps}),),
            0,
            (Passage("how unexpected (nats)", tuple("fives"), np.array([np.nan, 0.5, 2.0, -1.0, 0.0]), 2.0),),
            {"recurrent.l0": {"hidden": steps[:, 2], "cell": steps[:, 1]}},
            {"recurrent.l0": {"hidden": 3, "cell": 4}},
            ("2 of 3 forget gates are open.",),
            (),
        ),
        missing=(),
    )
    return replace(made, **changes)


def hostile() -> Facts:
    """Facts whose every name and text is hostile."""
    names = HOSTILE
    everything = " ".join(names)
    inside = facts().inside
    assert inside is not None
    return facts(
        name=everything,
        description=everything,
        settings=tuple(Setting(f"data.{name}", f'"{name}"', name, "set") for name in names),
        circumstances=Circumstances(
            {name: {name: 3} for name in names},
            {name: name for name in names},
            [{"part": name, "engine": name, "not": {name: name}} for name in names],
        ),
        layers=Summary(tuple(LayerRow(name, (None, 3), 1) for name in names), 92, 92),
        measured_on=everything,
        results=dict.fromkeys(names, 0.5),
        comparison={"model": dict.fromkeys(names, 0.5), **{name: {names[0]: 0.1} for name in names}},
        tables=tuple(Table(name, names, (names,)) for name in names),
        figures={
            "confusion": {"labels": list(names), "counts": np.eye(len(names), dtype=int).tolist()},
            "mae_by_row": {"model": [1.0, 2.0], **{name: [1.0, 3.0] for name in names}},
        },
        error_name=everything,
        cases=(
            *(Case(name, 1.0, True, name, name, Text(name), name) for name in names),
            Case("words", 1.0, True, "", "", Words(tuple(Word(name, name, "x") for name in names))),
            Case(
                "curves",
                1.0,
                True,
                "",
                "",
                Curves(tuple(Line(n, np.arange(3), np.arange(3.0)) for n in names), (everything, everything)),
            ),
        ),
        sample=everything,
        inside=replace(
            inside,
            origin=everything,
            steps=names[:5],
            passages=(Passage(everything, names, np.linspace(-1, 1, len(names)), 1.0),),
            layers=tuple(replace(inside.layers[0], name=name, cell=name) for name in names[:4]),
            norms={name: {name: np.ones(3)} for name in names[:4]},
            memory={name: {name: 2} for name in names[:4]},
            sentences=names,
        ),
        missing=names,
    )
