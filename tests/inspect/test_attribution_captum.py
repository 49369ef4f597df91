"""Captum's methods on models of Holdfast in evaluation mode, without a change to either."""

from __future__ import annotations

import pytest
import torch
from tests.inspect.test_attribution import Classifier
from torch import Tensor, nn

import holdfast
from holdfast.inspect import input_times_gradient, integrated_gradients

captum = pytest.importorskip("captum.attr", reason="Captum is not installed; it is part of the extra 'dev'")

HOOKS = pytest.mark.filterwarnings("ignore:Setting forward, backward hooks:UserWarning")  # DeepLift says so each time
KINDS = [holdfast.RNN, holdfast.GRU, holdfast.LSTM]


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest) -> Classifier:
    torch.manual_seed(3)
    return Classifier(request.param).eval()


X = torch.randn(3, 6, 3, generator=torch.Generator().manual_seed(4))


def test_integrated_gradients_are_ours(model: Classifier) -> None:
    found, delta = captum.IntegratedGradients(model).attribute(X, target=1, n_steps=32, return_convergence_delta=True)
    ours = integrated_gradients(model, X, target=1)
    torch.testing.assert_close(found.float(), ours.values, atol=1e-5, rtol=1e-4)
    assert delta.abs().max() < 1e-4


def test_saliency_is_the_gradient(model: Classifier) -> None:
    found = captum.Saliency(model).attribute(X.clone().requires_grad_(), target=2, abs=False)
    torch.testing.assert_close(X * found, input_times_gradient(model, X, target=2).values)


def test_feature_ablation_is_the_difference_without_a_value(model: Classifier) -> None:
    found = captum.FeatureAblation(model).attribute(X, target=0)
    with torch.no_grad():
        without = X.clone()
        without[:, 2, 1] = 0
        difference = (model(X) - model(without))[:, 0]
    torch.testing.assert_close(found[:, 2, 1], difference, atol=1e-5, rtol=1e-4)


@HOOKS
def test_deep_lift_takes_a_layer_by_its_gradient(model: Classifier) -> None:
    """DeepLift has rules for modules such as torch.nn.Tanh. A recurrent layer, Holdfast's or torch.nn's, is no such
    module, so its multiplier is its gradient, and the shares do not add up exactly.
    """
    baseline = torch.zeros_like(X)
    leaf = X.clone().requires_grad_()
    found, delta = captum.DeepLift(model).attribute(leaf, baseline, target=1, return_convergence_delta=True)
    (gradient,) = torch.autograd.grad(model(leaf)[:, 1].sum(), leaf)
    torch.testing.assert_close(found, gradient * (X - baseline), atol=1e-5, rtol=1e-4)
    assert delta.shape == (3,)
    assert not model._forward_hooks


@HOOKS
def test_deep_lift_keeps_its_rules_around_a_layer() -> None:
    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.hidden, self.act = holdfast.GRU(3, 8, batch_first=True), nn.Linear(8, 5), nn.ReLU()
            self.output = nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            scores: Tensor = self.output(self.act(self.hidden(self.layer(x)[0][:, -1])))
            return scores

    torch.manual_seed(0)
    found = captum.DeepLift(Head().eval()).attribute(X.clone().requires_grad_(), torch.zeros_like(X), target=0)
    assert found.shape == X.shape
    assert bool(found.isfinite().all())


def test_a_trained_network() -> None:
    """The network of an estimator returns its scores and its state; Captum wants the scores."""
    estimator = holdfast.SequenceClassifier(hidden_size=4, epochs=1, random_state=0).fit(X.numpy(), [0, 1, 0])
    network = estimator.model_
    found = captum.IntegratedGradients(lambda x: network(x)[0]).attribute(X, target=0, n_steps=32)
    ours = integrated_gradients(network, X, target=0)
    torch.testing.assert_close(found.float(), ours.values, atol=1e-5, rtol=1e-4)
