"""Which engine runs a call, and the explanation of it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

import holdfast
from holdfast.engines import ENGINES, Request, Result, select, switched_off
from holdfast.engines.reference import ReferenceEngine
from holdfast.errors import EngineError, OptionError, ShapeError
from verification import make_request


class Picky:
    """Runs the LSTM forwards; computes nothing itself."""

    name = "picky"

    def __init__(self) -> None:
        self.ran: list[Request] = []
        self.asked: list[Request] = []

    def why_not(self, request: Request) -> str | None:
        self.asked.append(request)
        if request.spec.peepholes:
            return "peepholes are not supported."
        return "it only runs forwards." if request.reverse else None

    def run(self, request: Request) -> Result:
        self.ran.append(request)
        return ReferenceEngine().run(request)


@pytest.fixture
def picky(monkeypatch: pytest.MonkeyPatch) -> Picky:
    """An engine that comes before the reference, and no other."""
    engine = Picky()
    table = {engine.name: engine, "reference": ENGINES["reference"]}
    monkeypatch.setattr("holdfast.engines.ENGINES", table)
    return engine


X = torch.zeros(5, 2, 3)


def test_auto_takes_the_first_engine_that_can(picky: Picky) -> None:
    assert select("auto", make_request()) is picky
    assert select("auto", make_request(peepholes=True)).name == "reference"
    assert select("reference", make_request()).name == "reference"
    holdfast.LSTM(3, 4, 2, bidirectional=True)(X)
    assert [request.reverse for request in picky.ran] == [False, False]


def test_an_engine_by_its_name_runs_or_says_why_not(picky: Picky) -> None:
    holdfast.LSTM(3, 4, engine="picky")(X)
    assert len(picky.ran) == 1
    with pytest.raises(EngineError) as raised:
        holdfast.LSTM(3, 4, engine="picky", peepholes=True)(X)
    assert str(raised.value) == (
        "The engine 'picky' cannot run this call: peepholes are not supported. Use engine='auto' for one that can."
    )
    assert isinstance(raised.value, RuntimeError)
    assert len(picky.ran) == 1  # nothing fell back on another


@pytest.mark.usefixtures("picky")
def test_an_unknown_engine() -> None:
    expected = "There is no engine 'piky': did you mean 'picky'? Known: auto, picky, reference."
    with pytest.raises(OptionError) as raised:
        holdfast.LSTM(3, 4, engine="piky")
    assert str(raised.value) == expected
    layer = holdfast.LSTM(3, 4)
    layer.engine = "piky"
    with pytest.raises(OptionError) as raised:
        layer(X)
    assert str(raised.value) == expected


def test_the_request_is_what_was_asked(picky: Picky) -> None:
    layer = holdfast.LSTM(3, 4, 2, batch_first=True, zoneout_c=0.1, memory="recompute", segment=2)
    x = torch.randn(2, 5, 3)
    layer(x, lengths=[5, 2], return_states=True)
    first, second = picky.ran
    assert first.inputs is x
    assert second.inputs.shape == (2, 5, 4)
    for request, number in ((first, 0), (second, 1)):
        assert request.spec is layer.specs[number]
        assert [part.shape for part in request.state] == [(2, 4), (2, 4)]
        assert request.parameters["weight_hh"] is layer.get_parameter(f"weight_hh_l{number}")
        assert request.parameters.keys() == request.spec.parameter_shapes().keys()
        assert request.lengths is not None
        assert (request.lengths.tolist(), request.lengths.dtype) == ([5, 2], torch.int64)
        assert request.noise is not None
        assert request.noise.zoneout_c is not None
        assert request.noise.zoneout_c.shape == (5, 2, 4)
        assert (request.reverse, request.return_states) == (False, True)
        assert (request.memory, request.segment) == ("recompute", 2)
    layer.eval()(x, lengths=[5, 5])
    assert picky.ran[-1].noise is None
    assert picky.ran[-1].lengths is None  # all rows have all steps


def test_explain_names_the_engine_and_every_reason(picky: Picky) -> None:
    layer = holdfast.LSTM(3, 4, 2, bidirectional=True)
    told = holdfast.explain(layer, X)
    assert str(told) == (
        "layer 0: picky\n"
        "    not reference: picky comes first.\n"
        "layer 0, reverse: reference\n"
        "    not picky: it only runs forwards.\n"
        "layer 1: picky\n"
        "    not reference: picky comes first.\n"
        "layer 1, reverse: reference\n"
        "    not picky: it only runs forwards."
    )
    assert told.engine == "mixed"
    assert [choice.engine for choice in told.choices] == ["picky", "reference"] * 2
    assert not picky.ran
    assert holdfast.explain(holdfast.LSTM(3, 4), X).engine == "picky"
    layer(X)
    assert [request.inputs.shape for request in picky.asked[-4:]] == [(2, 5, 3), (2, 5, 3), (2, 5, 8), (2, 5, 8)]


@pytest.mark.usefixtures("picky")
def test_explain_of_an_engine_that_was_asked_for() -> None:
    told = holdfast.explain(holdfast.LSTM(3, 4, engine="reference"), X)
    assert str(told) == "layer 0: reference\n    not picky: engine='reference' was asked for."
    told = holdfast.explain(holdfast.LSTM(3, 4, engine="reference", peepholes=True), X)
    assert str(told) == "layer 0: reference\n    not picky: peepholes are not supported."
    with pytest.raises(EngineError, match="The engine 'picky' cannot run this call: peepholes"):
        holdfast.explain(holdfast.LSTM(3, 4, engine="picky", peepholes=True), X)


def test_explain_without_another_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.engines.ENGINES", {"reference": ENGINES["reference"]})
    assert str(holdfast.explain(holdfast.GRU(3, 4), X)) == "layer 0: reference"


RANDOM: dict[str, Any] = {"recurrent_dropout": 0.5, "zoneout_h": 0.1, "weight_dropout": 0.5}


def test_explain_draws_no_random_number_and_computes_nothing(picky: Picky, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = holdfast.LSTM(3, 4, 3, bidirectional=True, dropout=0.5, **RANDOM)
    assert layer.training
    before = torch.get_rng_state()
    monkeypatch.setattr(ReferenceEngine, "run", lambda *_: pytest.fail("computed"))
    told = holdfast.explain(layer, X.requires_grad_(False), lengths=[5, 1], return_states=True)
    assert len(told.choices) == 6
    assert not picky.ran
    assert torch.equal(torch.get_rng_state(), before)


def test_explain_asks_about_the_same_call(picky: Picky) -> None:
    layer = holdfast.LSTM(3, [4, 6], bidirectional=True, memory="recompute", **RANDOM)
    calls: list[dict[str, Any]] = [
        {"input": torch.randn(5, 2, 3), "lengths": [5, 1], "return_states": True},
        {"input": torch.randn(5, 3)},
        {"input": pack_padded_sequence(torch.randn(5, 2, 3), [5, 2])},
    ]
    for call in calls:
        picky.asked.clear()
        holdfast.explain(layer, **call)
        explained = [*picky.asked]
        picky.asked.clear()
        layer(**call)
        assert len(explained) >= 4  # two layers, two directions
        real = {(request.spec, request.reverse): request for request in picky.asked}
        for asked in explained:
            other = real[asked.spec, asked.reverse]
            assert asked.inputs.shape == other.inputs.shape
            assert (asked.inputs.dtype, asked.inputs.device) == (other.inputs.dtype, other.inputs.device)
            assert (asked.lengths is None) == (other.lengths is None)
            assert (asked.noise is None) == (other.noise is None)
            assert [part.shape for part in asked.state] == [part.shape for part in other.state]
            assert {k: v.shape for k, v in asked.parameters.items()} == {
                k: v.shape for k, v in other.parameters.items()
            }
            assert (asked.return_states, asked.memory) == (other.return_states, other.memory)


def test_explain_checks_the_call() -> None:
    with pytest.raises(ShapeError, match="LSTM input has shape"):
        holdfast.explain(holdfast.LSTM(3, 4), torch.zeros(5, 2, 7))
    with pytest.raises(OptionError) as raised:
        holdfast.explain(torch.nn.LSTM(3, 4), X)  # type: ignore[arg-type]
    assert str(raised.value) == (
        "explain got a torch.nn.modules.rnn.LSTM; expected a layer of Holdfast: an LSTM, a GRU or an RNN."
    )


def test_the_reference_is_last_and_runs_everything() -> None:
    assert list(ENGINES)[-1] == "reference"
    assert all(engine.name == name for name, engine in ENGINES.items())
    assert ENGINES["reference"].why_not(make_request(training=True, zoneout_h=0.1, reverse=True)) is None


def test_the_setting_of_holdfast_engines() -> None:
    assert switched_off("") == frozenset()
    assert switched_off("-native, -cudnn") == {"native", "cudnn"}
    assert switched_off("native,reference") == {"recorded", "cudnn"}
    assert switched_off("native,reference,-native") == {"recorded", "cudnn", "native"}
    with pytest.raises(OptionError) as raised:
        switched_off("-nativ")
    assert str(raised.value) == (
        "The environment variable HOLDFAST_ENGINES is '-nativ' and has '-nativ': did you mean 'native'? Known: cudnn, "
        "native, recorded, reference."
    )


def test_an_engine_that_is_switched_off(picky: Picky, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.engines._SWITCHED_OFF", frozenset({"picky"}))
    assert select("auto", make_request()).name == "reference"
    assert select("picky", make_request()) is picky  # by its name, it still runs
    off = "the environment variable HOLDFAST_ENGINES switches it off for engine='auto'."
    assert str(holdfast.explain(holdfast.LSTM(3, 4), X)) == f"layer 0: reference\n    not picky: {off}"
    monkeypatch.setattr("holdfast.engines._SWITCHED_OFF", frozenset({"reference"}))
    assert select("auto", make_request()) is picky
    with pytest.raises(EngineError) as raised:
        holdfast.LSTM(3, 4, peepholes=True)(X)
    assert str(raised.value) == (
        f"No engine can run this call. picky: peepholes are not supported. reference: {off} Change HOLDFAST_ENGINES."
    )


def test_the_environment_switches_an_engine_off() -> None:
    program = "import torch, holdfast; print(holdfast.explain(holdfast.LSTM(3, 4), torch.zeros(5, 2, 3)).engine)"
    environment = {**os.environ, "HOLDFAST_ENGINES": "-native"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "reference\n"
