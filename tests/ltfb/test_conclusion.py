import json
import math
import threading
from pathlib import Path

import pytest

from combo_lightning.errors import InputError
from combo_lightning.ltfb.conclusion import Final, conclude, eliminate, read_finals
from combo_lightning.ltfb.membership import Membership
from combo_lightning.ltfb.place import GroupPlace
from combo_lightning.ltfb.population import (
    newest_complete_round,
    round_checkpoint,
    stale_rounds,
    write_description,
    write_manifest,
)
from combo_lightning.ltfb.tournament import Rule

TOKEN = "a" * 32
RULE = Rule(["mse"], margin=10.0)


def final(group: int, mse: float) -> Final:
    return Final(group, TOKEN, 100, {"mse": mse}, f"group_{group}/checkpoints/final.ckpt")


@pytest.mark.parametrize(
    ("scores", "champion"),
    [
        ([3.0, 1.0, 2.0], 1),
        ([1.0, 1.0], 0),
        ([math.nan, 5.0, math.inf], 1),
        ([math.nan, math.nan], 0),
    ],
)
def test_the_best_is_the_champion_by_whatever_little(scores: list[float], champion: int) -> None:
    finals = [final(group, mse) for group, mse in enumerate(scores)]
    assert eliminate(reversed(finals), RULE).group == champion


def end(folder: Path, mse: dict[int, float], count: int = 3) -> dict[int, Final | None]:
    """Let groups end side by side, and give what each named."""
    named: dict[int, Final | None] = {}
    members = {g: Membership(GroupPlace(g, count, folder, TOKEN)) for g in mse}
    for member in members.values():
        member.start([])

    def work(group: int) -> None:
        named[group] = conclude(members[group], final(group, mse[group]), RULE, 10.0)

    threads = [threading.Thread(target=work, args=(group,)) for group in mse]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return named


def test_one_group_names_the_champion_and_a_later_one_names_it_anew(tmp_path: Path) -> None:
    named = end(tmp_path, {1: 2.0, 2: 3.0})
    assert [g for g, champion in named.items() if champion] == [1]
    first = json.loads((tmp_path / "champion.json").read_text())
    assert (first["group"], set(first["scores"])) == (1, {"1", "2"})
    late = end(tmp_path, {0: 1.0})
    assert late[0] is not None
    assert late[0].group == 0
    second = json.loads((tmp_path / "champion.json").read_text())
    assert (second["group"], set(second["scores"])) == (0, {"0", "1", "2"})


def test_ends_of_another_launch_do_not_count(tmp_path: Path) -> None:
    end(tmp_path, {0: 2.0})
    assert set(read_finals(tmp_path, 3, TOKEN)) == {0}
    assert read_finals(tmp_path, 3, "b" * 32) == {}


def touch(folder: Path, group: int, rounds: list[int]) -> None:
    for number in rounds:
        path = round_checkpoint(folder, group, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_the_manifest_names_the_newest_round_that_all_have(tmp_path: Path) -> None:
    assert newest_complete_round(tmp_path, 2) == 0
    assert write_manifest(tmp_path, 2) == 0
    assert not (tmp_path / "population.json").exists()
    touch(tmp_path, 0, [10, 20, 30, 40])
    touch(tmp_path, 1, [10, 20])
    assert write_manifest(tmp_path, 2) == 20
    manifest = json.loads((tmp_path / "population.json").read_text())
    assert manifest["round"] == 20
    assert manifest["checkpoints"]["1"] == "group_1/checkpoints/round-000020.ckpt"
    # What the whole population may need stays, and the last two.
    assert stale_rounds(tmp_path, 0, 2) == [10]


def test_groups_of_one_run_must_have_the_same_rules(tmp_path: Path) -> None:
    write_description(tmp_path, {"token": "x", "seed": 1, "rule": {"margin": math.inf}})
    write_description(tmp_path, {"token": "y", "seed": 1, "rule": {"margin": math.inf}})
    with pytest.raises(InputError, match=r"is of a run with other seed \(1; here 2\)"):
        write_description(tmp_path, {"token": "y", "seed": 2, "rule": {"margin": math.inf}})
