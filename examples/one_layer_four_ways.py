"""One layer of 128 units in four forms, on images read row by row: accuracy on the first 128 test images.

``one_layer_four_ways.py mnist 781`` is the tutorial's run; without arguments it trains on 200 batches of 8x8 digits.
"""

import sys
from functools import partial, reduce
from itertools import chain, count, islice

import torch
from torch import nn

import holdfast
from holdfast.data import Batches, Encoder, load
from holdfast.tasks.classify.settings import ClassifyData

source, updates = sys.argv[1:] or ("digits", "200")
splits = load(settings := ClassifyData(source=source, scaling="unit", validation=0), None, seed=0)
encoder = Encoder.fit(splits.train, settings)
train = Batches(encoder.encode(splits.train), 128, shuffle=True, drop_last=True)
test = encoder.encode(splits.test).__getitems__(range(128))


def static(cell, x):  # one call in Python per step
    state = reduce(lambda state, row: cell(row, state), x.unbind(1), None)
    return state if isinstance(state, torch.Tensor) else state[0]


forms = {"basic LSTM": (holdfast.LSTMCell, static), "LSTM": (partial(holdfast.LSTMCell, peepholes=True), static)}
forms |= {"GRU": (holdfast.GRUCell, static), "GRU, dynamic": (holdfast.GRUCell, lambda *a: holdfast.unroll(*a)[1])}
for name, (kind, final_h) in forms.items():
    torch.manual_seed(0)
    cell, output = kind(splits.train.channels, 128), nn.Linear(128, 10)
    optimizer = torch.optim.Adam([*cell.parameters(), *output.parameters()], lr=1e-3)
    for batch in islice(chain.from_iterable(map(train.epoch, count())), int(updates)):
        optimizer.zero_grad()
        nn.functional.cross_entropy(output(final_h(cell, batch.inputs)), batch.targets).backward()
        optimizer.step()
    print(f"{name:<16}{(output(final_h(cell, test.inputs)).argmax(-1) == test.targets).double().mean():.3f}")
