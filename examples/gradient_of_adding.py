"""How far back the gradient of the adding problem reaches, at the start of training and at its end.

    holdfast train adding --set model.cell=rnn --out runs/adding-rnn
    holdfast train adding --set model.cell=lstm --out runs/adding-lstm
    python examples/gradient_of_adding.py runs/adding-rnn runs/adding-lstm

The columns are the norms of dL/dh_t and dL/dc_t by steps back, divided by the norm at the last step.
"""

import sys
from pathlib import Path

import torch

from holdfast import Predictor
from holdfast.inspect import gradient_through_time, memory_length
from holdfast.training.finished_run import FinishedRun

SHARES = (0, 0.25, 0.5, 0.75, 1)
print("run and weights".ljust(32), *(f"{share:8.0%}" for share in SHARES), " 90 % within")
for path in map(Path, sys.argv[1:]):
    run = FinishedRun.read(path)
    trained = Predictor(path)
    examples = run.test_data().subset(range(64))
    torch.manual_seed(0)
    start = Predictor.of(trained.task, trained.task.build())
    for name, predictor in (("start", start), ("trained", trained)):
        norms = gradient_through_time(predictor, examples)["recurrent.l0"]
        for state, values in norms.items():  # the norm of dL/dh_t and, in an LSTM, of dL/dc_t, by steps back
            places = [round(share * (len(values) - 1)) for share in SHARES]
            columns = " ".join(f"{values[k] / values[0]:8.1e}" for k in places)
            length = memory_length(values)
            print(f"{path.name}, {name}, {state}".ljust(32), columns, f"{length:6} steps")
