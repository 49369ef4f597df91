"""Work of a listener takes no more than its share of the time."""

from __future__ import annotations

from holdfast.inspect.watching.time_share import TimeShare


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def spent_in(share: TimeShare, clock: Clock, seconds: int, cost: float) -> float:
    """Trains in steps of 0.01 s for some seconds, with work whenever it is due."""
    share.start()
    while clock.now < seconds:
        clock.now += 0.01
        if share.due():
            with share.spending():
                clock.now += cost
    return share.spent


def test_work_takes_its_share_and_its_grace() -> None:
    for cost in (0.05, 0.3, 2.0):
        clock = Clock()
        share = TimeShare(0.05, grace=1.0, clock=clock)
        spent = spent_in(share, clock, 200, cost)
        assert 0.04 * 200 < spent <= 1.0 + 0.05 * 200 + cost


def test_pieces_of_work_have_their_distance() -> None:
    clock = Clock()
    share = TimeShare(1.0, interval=5.0, clock=clock)
    assert not share.due()
    clock.now = 5.0
    assert share.due()
    with share.spending():
        clock.now = 6.0
    clock.now = 10.9
    assert not share.due()
    clock.now = 11.0
    assert share.due()


def test_the_time_of_work_that_fails_counts() -> None:
    clock = Clock()
    share = TimeShare(0.1, clock=clock)
    try:
        with share.spending():
            clock.now = 3.0
            raise ArithmeticError
    except ArithmeticError:
        pass
    assert share.spent == 3.0
    assert not share.due()
