"""torch.nn.LSTM replaced by holdfast.LSTM: the same weights, the same numbers, and more options.

Sequences of unequal length need no packing and no sorting, and the layer can return the cell state of every step.
"""

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import holdfast

torch.manual_seed(0)
arguments = {"input_size": 8, "hidden_size": 16, "num_layers": 2, "batch_first": True, "bidirectional": True}
theirs = torch.nn.LSTM(**arguments).double()
ours = holdfast.LSTM(**arguments).double()
ours.load_state_dict(theirs.state_dict())

x = torch.randn(3, 10, 8, dtype=torch.float64)
lengths = torch.tensor([4, 10, 7])


def difference(a, b):
    return f"{(a - b).abs().max():.0e}"


(output, (h, c)), (their_output, (their_h, their_c)) = ours(x), theirs(x)
print("equal lengths, largest differences:", difference(output, their_output), difference(c, their_c))

packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
their_output, (their_h, their_c) = theirs(packed)
their_output, _ = pad_packed_sequence(their_output, batch_first=True)
output, (h, c), (every_h, every_c) = ours(x, lengths=lengths, return_states=True)
print("unequal lengths, largest differences:", difference(output, their_output), difference(c, their_c))
print("past the first row's length the output is", output[0, 4:].abs().max().item())
print("cell states [layers * directions, batch, time, units]:", list(every_c.shape))
print("the last of them is the final one:", torch.equal(every_c[0, 1, 9], c[0, 1]))
print(holdfast.explain(ours, x, lengths=lengths))
