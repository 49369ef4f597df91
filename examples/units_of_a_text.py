"""Units of a language model that follow quotations, speakers and lines: `holdfast train shakespeare --out RUN` first.

A unit is chosen on one half of the test text and measured on the other half.
"""

import re
import sys
from pathlib import Path

import numpy as np

from holdfast import Predictor
from holdfast.inspect import record
from holdfast.training.finished_run import FinishedRun

RULES = {"in a quotation": r"(?<!\w)'(?=\w)[^']{1,300}[.,;:!?]'(?!\w)", "in a speaker's name": r"(?<=\n\n).+:"}


def properties(text):  # a number for each letter that the model has just read
    marked = {name: re.sub(rule, lambda match: "\0" * len(match[0]), text) for name, rule in RULES.items()}
    line = [k - text.rfind("\n", 0, k + 1) for k in range(len(text))]
    return {n: [x == "\0" for x in letters] for n, letters in marked.items()} | {"letters of the line": line}


def correlations(states, values):  # of every unit [steps, units] with a property [steps]
    return (states - states.mean(0)).T @ (values - values.mean()) / len(values) / (states.std(0) * values.std() + 1e-9)


predictor, test = Predictor(sys.argv[1]), FinishedRun.read(Path(sys.argv[1])).test_data()
excerpts = [predictor.task.excerpt(test, number, 5000) for number in range(20)]
values = [properties("".join(predictor.task.step_tokens(excerpt))) for excerpt in excerpts]
cells = [record(predictor, excerpt)["recurrent.l0"].states["cell"][0].numpy() for excerpt in excerpts]
states, others = np.concatenate(cells[::2]), np.concatenate(cells[1::2])
for name in values[0]:
    here, there = (np.concatenate([each[name] for each in half]).astype(float) for half in (values[::2], values[1::2]))
    r, moves = correlations(states, here), np.random.default_rng(0).integers(500, len(here) - 500, 20)
    unit, chance = np.abs(r).argmax(), max(np.abs(correlations(states, np.roll(here, move))).max() for move in moves)
    measured = correlations(others, there)[unit]
    print(f"{name:20} unit {unit:3}  r = {measured:+.2f} (chosen by {r[unit]:+.2f}; by chance {chance:.2f} at most)")
