"""The tutorial LSTM classifier, written with holdfast.tf1: each batch starts from the final state of the batch before.

``tensorflow_1.py mnist 10000`` is the tutorial's run; without arguments it makes 100 updates on 8x8 digits.
"""

import sys
from functools import partial
from itertools import chain, count, islice

import torch
from torch import nn

from holdfast import tf1
from holdfast.data import Batches, Encoder, load
from holdfast.tasks.classify.settings import ClassifyData

source, updates = sys.argv[1:] or ("digits", "100")
settings = ClassifyData(source=source, scaling="unit", validation=0)
train = load(settings, None, seed=0).train
batches = Batches(Encoder.fit(train, settings).encode(train), 256, shuffle=True, drop_last=True)

torch.manual_seed(0)
w_in = tf1.get_variable("in/weights", (train.channels, 256), initializer=nn.init.normal_)
b_in = tf1.get_variable("in/biases", (256,), initializer=partial(nn.init.constant_, val=0.1))
w_out = tf1.get_variable("out/weights", (256, 10), initializer=partial(nn.init.normal_, std=0.1))
b_out = tf1.get_variable("out/biases", (10,), initializer=partial(nn.init.constant_, val=0.1))
cell = tf1.BasicLSTMCell(256, forget_bias=1.0, state_is_tuple=True)
tf1.build(cell, 256)
optimizer = torch.optim.Adam(tf1.trainable_variables(), lr=1e-3)
state = cell.zero_state(256, dtype=torch.float32)
for update, batch in enumerate(islice(chain.from_iterable(map(batches.epoch, count())), int(updates) + 1)):
    _, state = tf1.dynamic_rnn(cell, batch.inputs @ w_in + b_in, initial_state=state, time_major=False)
    scores = state.h @ w_out + b_out
    if update % 20 == 0:
        print(f"update {update:5}  accuracy {(scores.argmax(-1) == batch.targets).float().mean():.3f}")
    optimizer.zero_grad()
    nn.functional.cross_entropy(scores, batch.targets).backward()
    optimizer.step()
    state = tf1.LSTMStateTuple(*(part.detach() for part in state))
print(*tf1.default_store().variables)
