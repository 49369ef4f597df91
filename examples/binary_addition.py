"""The tutorial binary adder: an LSTM reads two numbers, lowest bits first, and predicts the bits of their sum.

``binary_addition.py 3000`` trains as long as the tutorial; without an argument it makes 600 updates. To train the same
network without a program, with any optimiser: ``holdfast train addition``.
"""

import sys

import torch
from torch import nn

import holdfast

BITS, powers = 8, 2 ** torch.arange(8)


def bits(numbers):
    return ((numbers[..., None] & powers) > 0).float()


torch.manual_seed(0)
lstm, output = holdfast.LSTM(2, 32, batch_first=True), nn.Linear(32, 1)
nn.init.normal_(output.weight, std=0.01)
optimizer = torch.optim.Adam([*lstm.parameters(), *output.parameters()], lr=1e-2)
updates = int((sys.argv[1:] or ["600"])[0])
for update in range(updates + 1):
    a, b = torch.randint(2 ** (BITS - 1), (2, 128))
    predicted = torch.sigmoid(output(lstm(torch.stack([bits(a), bits(b)], -1))[0])[..., 0])
    loss = nn.functional.mse_loss(predicted, bits(a + b))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if update % 100 == 0:
        right = ((predicted > 0.5) == (bits(a + b) > 0)).all(-1)
        print(f"update {update:5}  loss {loss:.4f}  sums right {right.float().mean():.3f}")
total = int(((predicted[0] > 0.5) * powers).sum())
print(f"{a[0]} + {b[0]} = {total}")
