"""What the gates of an LSTM learned, run with the folder of `holdfast train adding --set model.cell=lstm`."""

import sys
from pathlib import Path

import numpy as np
import torch

from holdfast import Predictor
from holdfast.inspect import health, record
from holdfast.training.finished_run import FinishedRun

trained, test = Predictor(sys.argv[1]), FinishedRun.read(Path(sys.argv[1])).test_data().subset(range(200))
torch.manual_seed(0)
for name, predictor in (("start", Predictor.of(trained.task, trained.task.build())), ("trained", trained)):
    steps = health(predictor, test).layers["recurrent.l0"].time_constants
    low, middle, high = np.quantile(steps.numpy(), [0.1, 0.5, 0.9])
    print(f"{name}: units keep their state for {middle:.1f} steps (10 %: {low:.1f}; 90 %: {high:.1f})")

layer = record(trained, test)["recurrent.l0"]
numbers, marks = np.moveaxis(np.asarray(test.inputs), -1, 0)
rows, first, second = np.arange(len(marks)), marks.argmax(1), marks.shape[1] - 1 - marks[:, ::-1].argmax(1)
cell, number = layer.states["cell"].numpy(), numbers[rows, first]
choose, check = rows[::2], rows[1::2]  # a unit is chosen on one half of the examples, and measured on the other
held = [np.corrcoef(values, number[choose])[0, 1] for values in cell[choose, second[choose] - 1].T]
unit = int(np.abs(held).argmax())
for when, step in (("read", first), ("held until the second", second - 1), ("after the second", second)):
    r = np.corrcoef(cell[check, step[check], unit], number[check])[0, 1]
    print(f"cell state of unit {unit} and the first number, {when}: r = {r:+.3f}")
for gate in ("input", "forget"):
    values = layer.gates[gate][..., unit].numpy()
    between = [row[a + 1 : b] for row, a, b in zip(values, first, second, strict=True)]
    at = [np.median(part) for part in (values[rows, first], np.concatenate(between), values[rows, second])]
    print(f"its {gate} gate, medians: first mark {at[0]:.3f}, between {at[1]:.3f}, second mark {at[2]:.3f}")
kept, steps = np.median([part.prod() for part in between]), (second - first).mean()
print(f"the product of its forget gates between the marks: {kept:.2f}, over {steps:.0f} steps")
