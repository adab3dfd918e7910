import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from combo_lightning.errors import InputError
from combo_lightning.ltfb.membership import Membership, read_beat
from combo_lightning.ltfb.place import GroupPlace

TOKEN = "a" * 32


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[list[Membership]]:
    members = [Membership(GroupPlace(g, 3, tmp_path, TOKEN), expiry_seconds=0.5) for g in range(3)]
    for g, member in enumerate(members):
        member.start([f"host:{g}"])
    yield members
    for member in members:
        member.stop(finished=False)


def test_groups_see_each_other_with_rounds_and_addresses(groups: list[Membership]) -> None:
    groups[1].enter(4)
    groups[1].leave(3)
    seen = groups[0].training()
    assert sorted(seen) == [0, 1, 2]
    assert (seen[1].entered, seen[1].left, seen[1].addresses) == (4, 3, ["host:1"])
    assert groups[2].wait_for_all(1.0) == [0, 1, 2]


def test_a_group_that_no_longer_beats_is_gone_after_the_expiry(tmp_path: Path) -> None:
    watcher = Membership(GroupPlace(0, 2, tmp_path, TOKEN), expiry_seconds=0.3)
    watcher.start([])
    beat = {"token": TOKEN, "group": 1, "count": 5, "pid": 1}
    path = tmp_path / "channel" / "group_1.beat"
    path.write_text(json.dumps(beat))
    assert 1 in watcher.training()
    time.sleep(0.5)
    assert 1 not in watcher.training()
    # It comes back: another process beats.
    path.write_text(json.dumps({**beat, "count": 1, "pid": 2}))
    assert 1 in watcher.training()
    watcher.stop(finished=True)


def test_who_has_trained_to_its_end_holds_no_more_rounds(groups: list[Membership]) -> None:
    groups[2].end()
    assert sorted(groups[0].training()) == [0, 1]
    assert groups[0].waiting() == [2]
    groups[2].stop(finished=True)
    assert groups[0].waiting() == []
    assert sorted(groups[0].everyone()) == [0, 1, 2]


def test_a_round_is_of_those_who_were_through_with_it_before_they_ended(
    groups: list[Membership],
) -> None:
    groups[2].leave(6)
    groups[2].end()
    # A slow group must draw the pairs of round 5 that the others drew.
    assert sorted(groups[0].of_round(6)) == [0, 1, 2]
    assert sorted(groups[0].of_round(7)) == [0, 1]
    groups[2].stop(finished=True)
    assert sorted(groups[0].of_round(5)) == [0, 1, 2]


def test_another_launch_and_what_is_not_whole_are_not_heard(groups: list[Membership]) -> None:
    groups[2].stop(finished=False)
    folder = groups[0].place.folder / "channel"
    strange = {"token": "b" * 32, "group": 2, "count": 5}
    (folder / "group_2.beat").write_text(json.dumps(strange))
    assert 2 not in groups[0].everyone()
    for text in ("", "{", "[]", '{"token": "x", "surplus": 1}'):
        (folder / "group_2.beat").write_text(text)
        assert read_beat(folder / "group_2.beat") is None
        assert 2 not in groups[0].everyone()


def test_a_second_process_for_a_group_is_refused(groups: list[Membership]) -> None:
    second = Membership(groups[1].place)
    with pytest.raises(InputError, match=r"trainer group 1 of .* runs already, as process"):
        second.start([])
