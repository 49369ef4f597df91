"""The search of a translator by a stream: the scores and hypotheses of the layers, and that a stream computes them."""

from __future__ import annotations

import pytest
import torch
from tests.tasks.translate.reversed_words import PAIRS, encoded, late, task
from tests.tasks.translate.test_network import VARIANTS

from holdfast.data.vocabulary import BEGIN, END
from holdfast.decoding import beam_search, greedy
from holdfast.tasks.translate.network import Translator

pytest.importorskip("holdfast.runtime._native", reason="Holdfast was installed without its native kernels")


@pytest.mark.parametrize("model", VARIANTS, ids=str)
@torch.inference_mode()
def test_the_stream_scores_as_the_layers_do(model):
    of = task(**model)
    net, batch = of.build().eval(), encoded(of)
    layers, stream = net.begin(batch.inputs, batch.lengths), net.begin(batch.inputs, batch.lengths, 1, 20)
    assert layers.steps is None
    assert stream.steps is not None
    stays = torch.arange(len(PAIRS))
    for tokens in late(batch).unbind(1):
        expected, layers = net.step(tokens[stays, None], layers)
        found, stream = net.step(tokens[stays, None], stream)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
        going_on = torch.arange(len(stays) - 1, -1, -2).flip(0)  # half of the sentences
        if len(stays) > 2:
            first = torch.zeros(len(going_on), 1, dtype=torch.int64)
            layers, stream = (net.select(state, going_on, first) for state in (layers, stream))
            stays = stays[going_on]


@pytest.mark.parametrize("model", VARIANTS, ids=str)
@torch.inference_mode()
def test_the_search_finds_the_hypotheses_of_the_layers(model):
    of = task(**model)
    net, batch = of.build().double().eval(), encoded(of)
    limits = torch.tensor([9, 3, 12, 10, 1, 11])[: len(batch)]
    both = []
    for searched in (0, 1):
        begun = net.begin(batch.inputs, batch.lengths, searched, 12)
        found = greedy(net, begun, limits, begin=BEGIN, end=END)
        begun = net.begin(batch.inputs, batch.lengths, 4 * searched, 12)
        ranked = beam_search(net, begun, limits, begin=BEGIN, end=END, beam=4, length_penalty=0.7)
        both.append([*found, *(hypothesis for row in ranked for hypothesis in row)])
    assert len(both[0]) > len(batch)
    for expected, again in zip(*both, strict=True):
        assert (again.tokens, again.ended) == (expected.tokens, expected.ended)
        assert again.score == pytest.approx(expected.score, rel=1e-12)


@pytest.mark.parametrize("beam", [1, 3])
def test_answers_come_from_a_stream_and_training_from_the_layers(beam, monkeypatch):
    of = task(answers={"beam": beam})
    net, batch = of.build().eval(), encoded(of)
    calls, decoded = [], Translator._decoded

    def counted(self, *given):
        calls.append(given)
        return decoded(self, *given)

    monkeypatch.setattr(Translator, "_decoded", counted)
    with torch.inference_mode():
        answers = of.answers(net, batch)
        of.loss(net, batch)
    assert not calls
    layers = of.answers(net, batch)  # with gradients
    assert calls
    for expected, again in zip(layers, answers, strict=True):
        assert again.pop("score") == pytest.approx(expected.pop("score"), rel=1e-5)
        assert again == expected


@torch.inference_mode()
def test_a_search_of_what_a_stream_does_not_compute_goes_by_the_layers():
    for options in ({"engine": "reference"}, {"cell": "rnn", "options": {"activation": "mish"}}):
        of = task(**options)
        net, batch = of.build().eval(), encoded(of)
        assert net.begin(batch.inputs, batch.lengths, 1, 20).steps is None
        assert len(of.answers(net, batch)) == len(batch)
