"""Your own cell, run over time by holdfast.unroll: the minimal gated unit (Zhou et al. 2016), trained.

The task: after 20 steps, predict the sign of the first one; the others are noise.
"""

import torch
from torch import nn

import holdfast


class MinimalGatedUnit(nn.Module):
    """h' = (1 - f) ⊙ h + f ⊙ g: one gate f, which also resets."""

    def __init__(self, inputs, units):
        super().__init__()
        self.units, self.gate, self.candidate = units, *(nn.Linear(inputs + units, units) for _ in "fg")
        nn.init.constant_(self.gate.bias, -2.0)  # start by keeping the old state: see docs/cells.md

    def initial_state(self, batch, dtype=None, device=None):  # noqa: D102 (unroll calls it)
        return torch.zeros(batch, self.units, dtype=dtype, device=device)

    def forward(self, x, h):  # noqa: D102 (the same)
        f = torch.sigmoid(self.gate(torch.cat([x, h], -1)))
        h = (1 - f) * h + f * torch.tanh(self.candidate(torch.cat([x, f * h], -1)))
        return h, h  # the output and the new state


torch.manual_seed(0)
cell, head = MinimalGatedUnit(1, 16), nn.Linear(16, 1)
optimizer = torch.optim.Adam([*cell.parameters(), *head.parameters()], lr=0.01)
for step in range(301):
    x = torch.randn(64, 20, 1)
    score, target = head(holdfast.unroll(cell, x)[1])[:, 0], x[:, 0, 0] > 0
    loss = nn.functional.binary_cross_entropy_with_logits(score, target.float())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 60 == 0:
        print(f"step {step:3}  loss {loss:.3f}  accuracy {((score > 0) == target).float().mean():.2f}")
