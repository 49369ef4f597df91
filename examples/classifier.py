"""The tutorial LSTM classifier: an input layer and 128 units; the final hidden state is the last output.

``classifier.py mnist 781`` is the tutorial's run; without arguments it trains on 200 batches of embedded 8x8 digits. To
train the same network without a program: ``holdfast train mnist-classifier``.
"""

import sys
from itertools import chain, count, islice

import torch
from torch import nn

import holdfast
from holdfast.data import Batches, Encoder, load
from holdfast.tasks.classify.settings import ClassifyData

source, updates = sys.argv[1:] or ("digits", "200")
settings = ClassifyData(source=source, scaling="unit", validation=0)
train = load(settings, None, seed=0).train
batches = Batches(Encoder.fit(train, settings).encode(train), 128, shuffle=True, drop_last=True)

torch.manual_seed(0)
hidden, output = nn.Linear(train.channels, 128), nn.Linear(128, 10)
lstm = holdfast.LSTM(128, 128, batch_first=True)
optimizer = torch.optim.Adam([*hidden.parameters(), *lstm.parameters(), *output.parameters()], lr=1e-3)
for update, batch in enumerate(islice(chain.from_iterable(map(batches.epoch, count())), int(updates) + 1)):
    outputs, (h, c) = lstm(hidden(batch.inputs))
    scores = output(h[-1])
    if update % 20 == 0:
        print(f"update {update:5}  accuracy {(scores.argmax(-1) == batch.targets).float().mean():.3f}")
    optimizer.zero_grad()
    nn.functional.cross_entropy(scores, batch.targets).backward()
    optimizer.step()
print("final hidden state and last output agree:", torch.equal(h[-1], outputs[:, -1]))
