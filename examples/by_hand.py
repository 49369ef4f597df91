"""An LSTM that you can check with a pencil: linear activations, whole numbers, one step.

docs/cells.md, "One step by hand", does the same calculation on paper.
"""

import torch

import holdfast

# As Keras stores them: one row per input or unit, and the gates i, f, g, o side by side.
kernel = [[2, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 0], [1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0]]
recurrent_kernel = [
    [1, 0, 0, 1, 2, 1, 0, 1, 2, 0, 1, 0],
    [1, 1, 0, 0, 2, 1, 0, 1, 2, 2, 0, 0],
    [1, 0, 1, 2, 0, 1, 0, 1, 1, 0, 1, 0],
]
bias = [3, 1, 0, 1, 1, 0, 0, 1, 0, 2, 0, 0]

lstm = holdfast.LSTM(2, 3, batch_first=True, activation="linear", recurrent_activation="linear", single_bias=True)
dense = torch.nn.Linear(3, 1)
kernels = {"weight_ih_l0": torch.tensor(kernel).T, "weight_hh_l0": torch.tensor(recurrent_kernel).T}
lstm.load_state_dict({**kernels, "bias_ih_l0": torch.tensor(bias)})

counts = [sum(p.numel() for p in module.parameters()) for module in (lstm, dense)]
print(f"parameters: {counts[0]} + {counts[1]} = {sum(counts)}")

x = torch.tensor([[[1.0, 0.0]]])  # one sequence of one step
i, f, g, o = (x[0, 0] @ lstm.weight_ih_l0.T + lstm.bias_ih_l0).chunk(4)
for name, gate in {"i": i, "f": f, "g": g, "o": o}.items():
    print(name, "=", gate.tolist())
print("by hand:  c =", (i * g).tolist(), " h =", (o * (i * g)).tolist())

_, (h, c) = lstm(x)
print("by layer: c =", c.flatten().tolist(), " h =", h.flatten().tolist())

outputs, _ = lstm(torch.zeros(1, 3, 2))
print("a sequence of 3 steps:", list(outputs.shape), "then", list(dense(outputs).shape))
