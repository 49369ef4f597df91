"""Sequence to sequence: a decoder starts from the encoder's state and writes the digits of a number backwards.

It is trained with teacher forcing and then run step by step on its own output. ``holdfast train dates`` and
``holdfast train fra-eng`` train whole models of this kind, with attention and beam search.
"""

import sys

import torch
from torch import nn

import holdfast

BEGIN, LENGTH = 10, 5  # the ids 0 to 9 are the digits


torch.manual_seed(0)
embed, output, start = nn.Embedding(11, 16), nn.Linear(64, 10), torch.full((256, 1), BEGIN)
encoder, decoder = (holdfast.LSTM(16, 64, batch_first=True) for _ in range(2))
optimizer = torch.optim.Adam(nn.ModuleList([embed, encoder, decoder, output]).parameters(), lr=5e-3)
for _ in range(int((sys.argv[1:] or ["500"])[0])):
    source = torch.randint(10, (256, LENGTH))
    target = source.flip(1)
    before = torch.cat([start, target[:, :-1]], 1)  # the digit before each target digit
    scores = output(decoder(embed(before), encoder(embed(source))[1])[0])
    optimizer.zero_grad()
    nn.functional.cross_entropy(scores.transpose(1, 2), target).backward()
    optimizer.step()
with torch.no_grad():
    source = torch.randint(10, (256, LENGTH))
    state, written = encoder(embed(source))[1], [start]
    for _ in range(LENGTH):
        outputs, state = decoder(embed(written[-1]), state)
        written.append(output(outputs).argmax(-1))
right = (torch.cat(written[1:], 1) == source.flip(1)).all(1)
print(f"{source[0].tolist()} -> {torch.cat(written[1:], 1)[0].tolist()}; right: {right.float().mean():.3f}")
