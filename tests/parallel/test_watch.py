"""The watch, each end of it in a thread of its own."""

import logging
import time
from collections.abc import Callable

import pytest

from combo_lightning.parallel.watch import RankWatch


class Group:
    """A watch of some processes, whose ends are noted instead of ending this one."""

    def __init__(self, size: int, stall: float = 60, silence: float = 60) -> None:
        self.ended: dict[int, float] = {}
        self.watches = [
            RankWatch(rank, [f"host{r}" for r in range(size)], stall, silence, self._note(rank))
            for rank in range(size)
        ]
        port = self.watches[0].listen()
        for watch in self.watches:
            watch.start("127.0.0.1", port, b"t" * 16)

    def _note(self, rank: int) -> Callable[[int], object]:
        return lambda code: self.ended.setdefault(rank, time.monotonic())

    def wait(self, ranks: set[int], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not ranks <= self.ended.keys() and time.monotonic() < end:
            time.sleep(0.05)
        assert ranks <= self.ended.keys(), self.ended


def test_a_run_that_ends_well_says_goodbye_and_nobody_is_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    group = Group(3)
    time.sleep(1.5)
    for watch in reversed(group.watches):
        watch.leave()
    time.sleep(1)
    assert not group.ended
    assert not caplog.records


def test_a_rank_that_is_behind_when_nobody_moves_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    group = Group(3, stall=3)
    for rank in (0, 2):
        group.watches[rank].progressed()
    with caplog.at_level(logging.ERROR):
        group.wait({0, 1, 2}, 12)
    (message,) = [record.getMessage() for record in caplog.records]
    assert "no process has made progress for 3 s" in message
    assert "rank 1 on host1 is the furthest behind" in message


def test_progress_keeps_a_slow_run_alive() -> None:
    group = Group(2, stall=2)
    for _ in range(6):
        time.sleep(0.7)
        group.watches[1].progressed()
    assert not group.ended
    for watch in reversed(group.watches):
        watch.leave()
