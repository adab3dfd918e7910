"""A local folder does what runs rely on; several threads stand for nodes."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from combo_lightning.doctor import folder as doctor_folder
from combo_lightning.doctor.folder import (
    RACES,
    clean,
    find_notes,
    leave_note,
    play_ball,
    race,
    swap,
)

NODES = ["node1", "node2", "node3"]
T = TypeVar("T")


def on_all(act: Callable[[str], T]) -> dict[str, T]:
    with ThreadPoolExecutor(len(NODES)) as pool:
        return dict(zip(NODES, pool.map(act, NODES), strict=True))


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    path = tmp_path / "shared"
    for seen in on_all(lambda name: leave_note(path, name)).values():
        assert seen.error == ""
        assert " at /" in seen.file_system
        assert seen.free_gigabytes > 0
    return path


def test_notes_are_found_and_missing_ones_given_up(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_notes(shared, NODES) == NODES
    monkeypatch.setattr(doctor_folder, "NOTE_SECONDS", 0.1)
    assert find_notes(shared, [*NODES, "node4"]) == NODES


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    seen = leave_note(tmp_path / "nowhere" / "shared", "node1")
    assert seen.error == f"{tmp_path}/nowhere/shared: No such file or directory"


def test_the_first_node_learns_how_soon_each_other_sees_a_file(shared: Path) -> None:
    found = on_all(lambda name: play_ball(shared, name, NODES))
    assert found["node2"] == found["node3"] == {}
    assert set(found["node1"]) == {"node2", "node3"}
    assert all(seconds is not None and 0 < seconds < 5 for seconds in found["node1"].values())


def test_a_node_that_never_sees_the_file_is_told(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_folder, "BALL_SECONDS", 0.1)
    assert play_ball(shared, "node1", NODES) == {"node2": None, "node3": None}


def test_each_race_has_one_winner(shared: Path) -> None:
    begin = time.time() + 0.1
    found = on_all(lambda name: race(shared, name, begin))
    won = [number for wins in found.values() for number in wins]
    assert sorted(won) == list(range(RACES))


def test_a_folder_without_hard_links_says_so(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)  # As on FAT.
    assert race(shared, "node1", 0) == "Operation not permitted"


def test_a_file_that_all_replace_is_always_whole(shared: Path) -> None:
    begin = time.time() + 0.1
    for seen in on_all(lambda name: swap(shared, name, begin)).values():
        assert (seen.torn, seen.missing, seen.error) == (0, 0, "")
        assert seen.read == 50


def test_a_file_that_is_written_in_place_is_found_torn(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy_half(source: Path, target: Path) -> None:
        content = Path(source).read_bytes()
        Path(target).write_bytes(content[: len(content) // 2])

    monkeypatch.setattr(os, "replace", copy_half)
    assert swap(shared, "node1", 0).torn == 50


def test_nothing_is_left(shared: Path) -> None:
    on_all(lambda name: clean(shared))
    assert not shared.exists()
