"""Listeners of the training loop: which events they get, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.training import Listener, Plan, fit

from .standin import ToyBatches, ToyTask, settings, toy_model


def test_listeners_hear_of_everything_in_order() -> None:
    heard: list[tuple[str, Any]] = []

    class Ear(Listener):
        def __init__(self, name: str) -> None:
            self.name = name

        def begin(self, plan: Plan) -> None:
            heard.append((self.name, ("begin", plan.updates, plan.done)))

        def update(self, training: Any, sequences: int) -> None:
            heard.append((self.name, ("update", training.step, sequences)))

        def log(self, row: dict[str, Any]) -> None:
            heard.append((self.name, ("log", row["step"])))

        def epoch(self, row: dict[str, Any]) -> None:
            heard.append((self.name, ("epoch", row)))

        def end(self) -> None:
            heard.append((self.name, "end"))

    options = settings(epochs=1, log_every=2)
    history = fit(toy_model(), ToyTask(), ToyBatches(2), None, options, listeners=[Ear("a"), Ear("b")])
    size = len(next(iter(ToyBatches(2).epoch(0))))
    events = [("begin", 2, 0), ("update", 1, size), ("update", 2, size), ("log", 2), ("epoch", history[-1]), "end"]
    assert heard == [(name, event) for event in events for name in "ab"]


def test_a_listener_may_override_one_method_and_an_error_in_it_ends_training() -> None:
    class Fails(Listener):
        def epoch(self, row: dict[str, Any]) -> None:
            raise ArithmeticError(row["epoch"])

    class Ends(Listener):
        ended = False

        def end(self) -> None:
            self.ended = True

    last = Ends()
    with pytest.raises(ArithmeticError, match="1"):
        fit(toy_model(), ToyTask(), ToyBatches(), None, settings(), listeners=[Fails(), last])
    assert last.ended


def test_each_listener_ends_also_where_the_end_of_another_one_fails() -> None:
    ended: list[str] = []

    class Ends(Listener):
        def __init__(self, name: str) -> None:
            self.name = name

        def end(self) -> None:
            ended.append(self.name)
            if self.name == "b":
                raise ArithmeticError(self.name)

    model = toy_model()
    with pytest.raises(ArithmeticError, match="b"):
        fit(model, ToyTask(), ToyBatches(), None, settings(), listeners=[Ends("a"), Ends("b"), Ends("c")])
    assert ended == ["a", "b", "c"]
