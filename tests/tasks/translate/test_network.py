"""The network of translation against itself taken apart: padding, single steps, hypotheses, and the bridge."""

from __future__ import annotations

import math

import pytest
import torch
from tests.tasks.translate.reversed_words import PAIRS, encoded, late, task

from holdfast.data.vocabulary import BEGIN, PADDING, UNKNOWN


def split_up(scores, lengths):
    return scores.split(lengths.tolist())


VARIANTS = [
    {},
    {"attention": "none"},
    {"attention": "additive", "cell": "gru", "bidirectional": True},
    {"attention": "dot", "bidirectional": True, "num_layers": 2},
    {"attention": "dot", "bidirectional": True, "merge": "sum", "cell": "rnn"},
    {"attention": "none", "bidirectional": True, "decoder_size": 7},
    {"bidirectional": True, "num_layers": 2, "decoder_size": 4, "residual": False},
    {"bidirectional": True, "hidden_size": [6, 4]},
    {"bidirectional": True, "options": {"proj_size": 3}},
    {"tied": "output", "attention": "additive"},
]


@pytest.mark.parametrize("model", VARIANTS, ids=str)
def test_padding_changes_nothing(model):
    of = task(**model)
    net, batch = of.build().eval(), encoded(of)
    together = split_up(net(batch.inputs, batch.lengths, late(batch), batch.target_lengths), batch.target_lengths)
    for k in range(len(PAIRS)):
        one = encoded(of, PAIRS.subset([k]))
        torch.testing.assert_close(together[k], net(one.inputs, None, late(one), None))


def test_nan_in_the_padding_changes_no_score_and_no_gradient():
    of = task(bidirectional=True)
    results = []
    for filler in (0.0, math.nan):
        torch.manual_seed(0)
        net, batch = of.build(), encoded(of)
        with torch.no_grad():
            net.source_embedding.weight[PADDING] = net.target_embedding.weight[PADDING] = filler
        scores = net(batch.inputs, batch.lengths, late(batch), batch.target_lengths)
        scores.square().sum().backward()
        results.append([scores, *(parameter.grad for parameter in net.parameters())])
    for clean, dirty in zip(*results, strict=True):
        assert torch.isfinite(clean).all()
        assert torch.equal(clean, dirty)


@pytest.mark.parametrize("model", VARIANTS, ids=str)
def test_the_decoder_step_by_step_scores_as_over_known_targets(model):
    of = task(**model)
    net, batch = of.build().eval(), encoded(of)
    known = torch.log_softmax(net(batch.inputs, batch.lengths, late(batch), batch.target_lengths), -1)
    forbidden = [PADDING, UNKNOWN, BEGIN]
    known[:, forbidden] = -math.inf
    with torch.inference_mode():
        state = net.begin(batch.inputs, batch.lengths)
        steps = []
        for tokens in late(batch).unbind(1):
            scores, state = net.step(tokens[:, None], state)
            steps.append(scores[:, 0])
    for row, expected in enumerate(split_up(known, batch.target_lengths)):
        found = torch.stack([step[row] for step in steps[: len(expected)]])
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", VARIANTS, ids=str)
def test_selected_hypotheses_go_on_as_their_own(model):
    """Two sentences with two hypotheses each, from three sentences with one."""
    of = task(**model)
    net, batch = of.build().eval(), encoded(of, PAIRS.subset([0, 3, 1]))
    with torch.inference_mode():
        begun = net.begin(batch.inputs, batch.lengths)
        _, state = net.step(torch.tensor([[5], [6], [7]]), begun)
        state = net.select(state, torch.tensor([0, 2]), torch.tensor([[0, 0], [0, 0]]))
        scores, state = net.step(torch.tensor([[4, 5], [6, 7]]), state)
        state = net.select(state, torch.tensor([1]), torch.tensor([[1, 0]]))
        scores, _ = net.step(torch.tensor([[5, 6]]), state)
        for hypothesis, tokens in enumerate([[7, 7, 5], [7, 6, 6]]):
            one = encoded(of, PAIRS.subset([1]))
            state = net.begin(one.inputs, one.lengths)
            for token in tokens:
                alone, state = net.step(torch.tensor([[token]]), state)
            torch.testing.assert_close(scores[0, hypothesis], alone[0, 0], rtol=1e-5, atol=1e-6)


def test_without_attention_the_encoders_state_is_copied_into_the_decoder():
    of = task(attention="none")
    net, batch = of.build().eval(), encoded(of)
    _, (h, c) = net.encoder(net.source_embedding(batch.inputs), lengths=batch.lengths)
    begun = net.begin(batch.inputs, batch.lengths)
    assert begun.memory is None
    assert torch.equal(begun.recurrent[0], h)
    assert torch.equal(begun.recurrent[1], c)
    assert not list(net.bridge.parameters())


def test_the_directions_state_is_joined_for_the_decoder():
    of = task(bidirectional=True)
    net, batch = of.build().eval(), encoded(of)
    _, (h, c) = net.encoder(net.source_embedding(batch.inputs), lengths=batch.lengths)
    begun = net.begin(batch.inputs, batch.lengths)
    assert torch.equal(begun.recurrent[0][0], torch.cat([h[0], h[1]], -1))
    assert torch.equal(begun.recurrent[1][0], torch.cat([c[0], c[1]], -1))
    narrow = task(bidirectional=True, decoder_size=4).build()
    assert {name: tuple(p.shape) for name, p in narrow.bridge.named_parameters()} == {
        "h0.weight": (4, 12),
        "h0.bias": (4,),
        "c0.weight": (4, 12),
        "c0.bias": (4,),
    }
