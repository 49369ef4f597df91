"""The tutorial LSTM classifier with carried state: each batch starts from the final state of the batch before.

    python carried_state.py               the embedded 8x8 digits, 100 updates
    python carried_state.py mnist 10000   like the tutorial: 28 rows of 28 pixels

The LSTM reads an image row by row. Every 20 updates the program prints the accuracy on the current training batch.
"""

import sys
from itertools import chain, count, islice

import torch
from torch import nn

import holdfast
from holdfast.data import Batches, Encoder, load
from holdfast.tasks.classify.settings import ClassifyData

source, updates = sys.argv[1:] or ("digits", "100")
settings = ClassifyData(source=source, scaling="unit", validation=0)
train = load(settings, None, seed=0).train
batches = Batches(Encoder.fit(train, settings).encode(train), 256, shuffle=True, drop_last=True)

torch.manual_seed(0)
hidden = nn.Linear(train.channels, 256)
nn.init.normal_(hidden.weight)
nn.init.constant_(hidden.bias, 0.1)
lstm, output = holdfast.LSTM(256, 256, batch_first=True, forget_bias=1.0), nn.Linear(256, 10)
optimizer = torch.optim.Adam([*hidden.parameters(), *lstm.parameters(), *output.parameters()], lr=1e-3)
state = None
for update, batch in enumerate(islice(chain.from_iterable(map(batches.epoch, count())), int(updates) + 1)):
    _, state = lstm(hidden(batch.inputs), state)
    scores = output(state[0][-1])
    if update % 20 == 0:
        print(f"update {update:5}  accuracy {(scores.argmax(-1) == batch.targets).float().mean():.3f}")
    optimizer.zero_grad()
    nn.functional.cross_entropy(scores, batch.targets).backward()
    optimizer.step()
    state = tuple(part.detach() for part in state)
