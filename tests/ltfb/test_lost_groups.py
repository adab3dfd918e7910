"""A trainer group that is lost, in any phase of a round, costs the others a wait and no more."""

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from combo_lightning.ltfb import LTFB, TreeAveraging, TruncationSelection
from combo_lightning.ltfb.place import GroupPlace
from combo_lightning.ltfb.record import read_rounds
from tests.ltfb.processes import Groups
from tests.ltfb.toy import EVERY, options, train


class DieAt(pl.Callback):
    """Kill this process, or stop it, in a phase of a round.

    Args:
        group: Which group's.
        round_index: In which round.
        phase: "pairing", "scoring", "waiting", "moving" or "adopting".
        number: The signal.
    """

    def __init__(self, group: int, round_index: int, phase: str, number: int) -> None:
        self.group, self.round_index, self.phase, self.number = group, round_index, phase, number

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        place = GroupPlace.from_environment()
        (ltfb,) = (c for c in trainer.callbacks if isinstance(c, LTFB))  # type: ignore[attr-defined]
        if place is None or place.group != self.group or ltfb.round_index:
            return
        meeting = ltfb.meeting
        owner, name = {
            "pairing": (meeting, "living"),
            "scoring": (meeting, "score"),
            "waiting": (meeting, "exchange_notes"),
            "moving": (meeting.channel, "_send"),
            "receiving": (meeting.channel, "_receive"),
            "adopting": (meeting.state, "adopt"),
        }[self.phase]
        work = getattr(owner, name)

        def die(*arguments: Any, **named: Any) -> Any:
            # A group that came late may have missed that round.
            if ltfb.round_index >= self.round_index:
                os.kill(os.getpid(), self.number)
            return work(*arguments, **named)

        setattr(owner, name, die)


PHASES = ["pairing", "scoring", "waiting", "moving", "receiving", "adopting"]


def failing_run(
    folder: Path, channel: str, phase: str, number: int, steps: int = 10 * EVERY
) -> Groups:
    """Three groups of which one is lost in the second round, in a phase that it comes to."""
    # Group 0 has the worst model, group 1 the best: it fetches, the other sends.
    group = 1 if phase == "moving" else 0
    # Independent jobs do not wait for each other at the start: they need time to overlap.
    slow = 0.03 if channel == "directory" else 0.0
    setting = options(channel=channel, timeout_seconds=2.0, patience_seconds=20.0, slow=slow)
    rates = [1e-6, 0.05, 1e-5]
    last = [DieAt(group, 2, phase, number)]
    work = (train_with_truncation, folder, rates, steps, setting, last, 3.0)
    return Groups(3, 1, folder, *work)


def train_with_truncation(
    folder: Path, rates: Any, steps: int, setting: Any, last: Any, expiry_seconds: float
) -> dict[str, Any]:
    """Train where all meet all, so that who is lost is missed."""
    from combo_lightning.ltfb.membership import Membership

    Membership.__init__.__defaults__ = (expiry_seconds,)
    truncation = TruncationSelection(fraction=0.4)
    return train(folder, rates, steps, {**setting, "strategy": truncation}, last)


@pytest.mark.slow
@pytest.mark.parametrize("channel", ["memory", "directory"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_group_that_dies_in_any_phase_costs_the_others_a_wait(
    channel: str, phase: str, tmp_path: Path
) -> None:
    groups = failing_run(tmp_path, channel, phase, signal.SIGKILL).start()
    ended = groups.wait()
    lost = 1 if phase == "moving" else 0
    assert ended[lost, 0].code == -signal.SIGKILL, ended[lost, 0].log
    for (group, _), end in ended.items():
        if group != lost:
            assert end.code == 0, end.log
            assert end.result["rounds"] >= 10
    rounds = read_rounds(tmp_path)
    others = {0, 1, 2} - {lost}
    assert set(rounds[10, max(others)].living) == others
    champion = json.loads((tmp_path / "champion.json").read_text())
    assert set(champion["scores"]) == {str(g) for g in others}


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["waiting", "moving"])
def test_averaging_goes_on_without_a_group_that_dies(phase: str, tmp_path: Path) -> None:
    setting = options(strategy=TreeAveraging(), timeout_seconds=2.0, patience_seconds=20.0)
    last = [DieAt(2, 3, phase, signal.SIGKILL)]
    work = (train, tmp_path, [0.01], 6 * EVERY, setting, last)
    ended = Groups(3, 1, tmp_path, *work).start().wait()
    assert ended[2, 0].code == -signal.SIGKILL, ended[2, 0].log
    found = [ended[group, 0] for group in (0, 1)]
    assert [end.code for end in found] == [0, 0], [end.log for end in found]
    # They average with each other to the end: all weights are equal.
    mine, theirs = (end.result["weights"] for end in found)
    assert all(torch.equal(weight, theirs[name]) for name, weight in mine.items())
    assert read_rounds(tmp_path)[6, 0].met == (1,)


@pytest.mark.slow
def test_a_group_that_is_stopped_is_waited_for_no_longer_than_said(tmp_path: Path) -> None:
    groups = failing_run(tmp_path, "memory", "waiting", signal.SIGSTOP).start()
    ended = groups.wait(1, 2)
    assert {e.code for e in ended.values()} == {0}, [e.log for e in ended.values()]
    groups.signal(0, signal.SIGKILL)
    waited = read_rounds(tmp_path)[2, 1].seconds["wait"]
    assert waited < 15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("channel", "copies"), [("memory", False), ("memory", True), ("directory", False)]
)
def test_a_group_that_comes_back_joins_the_rounds_again(
    channel: str, copies: bool, tmp_path: Path
) -> None:
    steps = 40 * EVERY
    groups = failing_run(tmp_path, channel, "scoring", signal.SIGKILL, steps)
    folder, rates, steps, setting, last, expiry = groups.arguments
    setting |= {"slow": 0.03, "newcomers_copy": copies}
    groups.arguments = (folder, rates, steps, setting, last, expiry)
    groups.start()
    groups.children[0, 0].join(60)
    groups.arguments = (*groups.arguments[:4], [], expiry)
    groups.start(0)
    ended = groups.wait()
    assert {e.code for e in ended.values()} == {0}, [e.log[-2000:] for e in ended.values()]
    rounds = read_rounds(tmp_path)
    again = [r for (r, g), record in rounds.items() if g == 0 and r > 2 and record.met]
    assert again
    # A newcomer that gives way has no score until it has taken a model. In its first round the
    # others may not have seen it yet.
    adopted = [rounds[r, 0] for r in sorted(again) if rounds[r, 0].adopted]
    assert math.isnan(adopted[0].scores[0]["mse"]) == copies
    assert math.isfinite(rounds[max(again), 0].scores[0]["mse"])
    # The others took it in again.
    assert any(0 in rounds[r, 1].met for r in again if (r, 1) in rounds)
