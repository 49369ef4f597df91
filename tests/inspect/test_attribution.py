"""Attribution: input x gradient and integrated gradients against their definitions, and Captum's methods."""

from __future__ import annotations

import pytest
import torch
from tests.inspect.test_recording import Reader
from torch import Tensor, nn

import holdfast
from holdfast.errors import OptionError, ShapeError
from holdfast.inspect import input_times_gradient, integrated_gradients


class Classifier(nn.Module):
    """A classifier as people write it."""

    def __init__(self, kind: type[nn.Module] = holdfast.LSTM) -> None:
        super().__init__()
        self.layer = kind(3, 8, batch_first=True)
        self.output = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.layer(x)
        scores: Tensor = self.output(outputs[:, -1])
        return scores


@pytest.fixture
def model() -> Classifier:
    torch.manual_seed(3)
    return Classifier().eval()


def test_input_times_gradient(model: Classifier) -> None:
    x = torch.randn(2, 5, 3)
    leaf = x.clone().requires_grad_()
    scores = model(leaf)
    scores[[0, 1], [1, 3]].sum().backward()
    assert leaf.grad is not None
    found = input_times_gradient(model, x, target=torch.tensor([1, 3]))
    torch.testing.assert_close(found.values, x * leaf.grad)
    torch.testing.assert_close(found.by_step, (x * leaf.grad).sum(-1))
    torch.testing.assert_close(found.output, scores[[0, 1], [1, 3]].detach())
    best = input_times_gradient(model, x)
    torch.testing.assert_close(best.output, scores.detach().amax(1))
    assert best.tokens is None


@pytest.mark.parametrize("steps", [4, 32])
def test_integrated_gradients_add_up(model: Classifier, steps: int) -> None:
    x, baseline = torch.randn(3, 6, 3), 0.1
    found = integrated_gradients(model, x, target=2, baseline=baseline, steps=steps)
    with torch.no_grad():
        difference = (model(x) - model(torch.full_like(x, baseline)))[:, 2]
    assert found.completeness_error is not None
    torch.testing.assert_close(found.by_step.sum(1) - difference, found.completeness_error, atol=1e-6, rtol=0)
    assert found.completeness_error.abs().max() < (1e-2 if steps == 4 else 1e-5)


def test_integrated_gradients_of_a_product_by_hand() -> None:
    """F(x) = x_0 x_1 has the shares x_0 x_1 / 2 each from zeros, as the average gradient is half of the other value."""

    class Product(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :1, 0] * x[:, 1:2, 0]

    x = torch.tensor([[[3.0], [5.0]]])
    found = integrated_gradients(Product(), x, steps=3)
    torch.testing.assert_close(found.by_step, torch.tensor([[7.5, 7.5]]))
    assert found.completeness_error is not None
    assert abs(float(found.completeness_error)) < 1e-5


def test_ids_start_from_zeros_or_from_a_token() -> None:
    model = Reader().eval()
    ids = torch.randint(1, 11, (2, 8))
    for baseline in (None, 0):
        found = integrated_gradients(model, ids, target=0, baseline=baseline, steps=48)
        assert found.values.shape == (2, 8, 3)
        assert found.completeness_error is not None
        assert found.completeness_error.abs().max() < 1e-4
    with torch.no_grad():
        torch.testing.assert_close(found.baseline_output, model(torch.zeros_like(ids))[:, 0])


def test_outputs_of_every_step() -> None:
    layer, x = holdfast.GRU(3, 4, batch_first=True), torch.randn(2, 5, 3)
    with torch.no_grad():
        outputs, _ = layer(x, lengths=[5, 3])
    last = input_times_gradient(layer, x, [5, 3], target=1)
    torch.testing.assert_close(last.output, torch.stack([outputs[0, 4, 1], outputs[1, 2, 1]]))
    assert last.by_step[1, 3:].count_nonzero() == 0
    early = input_times_gradient(layer, x, target=1, step=1)
    torch.testing.assert_close(early.output, outputs[:, 1, 1])
    assert early.by_step[:, 2:].count_nonzero() == 0


def test_wrong_arguments_are_refused(model: Classifier) -> None:
    x = torch.randn(2, 5, 3)
    with pytest.raises(OptionError, match="target is 4; expected numbers from 0 to 3, the values of the output"):
        input_times_gradient(model, x, target=4)
    with pytest.raises(ShapeError, match=r"target is .*; expected a whole number, or one for each of the 2 rows"):
        input_times_gradient(model, x, target=torch.tensor([1, 2, 3]))
    with pytest.raises(OptionError, match="step is 2; the model has an output per row"):
        input_times_gradient(model, x, step=2)
    with pytest.raises(OptionError, match="steps is 0; expected a whole number from 1 on"):
        integrated_gradients(model, x, steps=0)
    with pytest.raises(ShapeError, match=r"baseline has shape \(7,\); expected one that broadcasts to \(2, 5, 3\)"):
        integrated_gradients(model, x, baseline=torch.zeros(7))
    with pytest.raises(OptionError, match=r"The model takes ids of shape \(1, 2\), and no torch.nn.Embedding in it"):
        input_times_gradient(nn.Flatten(), torch.zeros(1, 2, dtype=torch.int64))
