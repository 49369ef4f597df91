"""How much of the gradient is left k steps back: the table of docs/cells.md, "The vanishing gradient".

It prints the norm of the gradient of the last output with respect to the input k steps before, divided by the norm at
k = 0.
"""

import torch

import holdfast

H, T, back = 64, 100, (0, 10, 25, 50, 99)


def report(name, layer, scale=1.0, update_bias=0.0):
    with torch.no_grad():
        layer.weight_hh_l0 *= scale
        layer.bias_ih_l0[H : 2 * H] += update_bias
    x = torch.randn(T, 32, H, requires_grad=True)
    layer(x)[0][-1].backward(torch.randn(32, H))
    norms = x.grad.double().norm(dim=(1, 2))
    print(f"{name:<27}", *(f"{norms[T - 1 - k] / norms[T - 1]:9.1e}" for k in back))


torch.manual_seed(0)
print(f"{'steps back':<27}", *(f"{k:9}" for k in back))
report("RNN, linear, W_hh × 0.9", holdfast.RNN(H, H, nonlinearity="linear"), scale=0.9)
report("RNN, linear, W_hh × 1.1", holdfast.RNN(H, H, nonlinearity="linear"), scale=1.1)
report("RNN, tanh", holdfast.RNN(H, H))
report("RNN, relu", holdfast.RNN(H, H, nonlinearity="relu"))
report("LSTM, forget_bias=0", holdfast.LSTM(H, H, forget_bias=0.0))
report("LSTM (forget_bias=1)", holdfast.LSTM(H, H))
report("LSTM, forget_bias=3", holdfast.LSTM(H, H, forget_bias=3.0))
report("GRU", holdfast.GRU(H, H))
report("GRU, 3 added to b_iz", holdfast.GRU(H, H), update_bias=3.0)
