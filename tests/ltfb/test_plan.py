import json
import math
from pathlib import Path
from typing import Any

import pytest

from combo_lightning.errors import InputError
from combo_lightning.ltfb.plan import Champion, Plan, read_run
from tests.ltfb.records import plan, record, write_champion, write_plan, write_run


def test_the_plan_comes_back(tmp_path: Path) -> None:
    made = plan(3, space={"learning_rate": {"low": 1e-5}}, own_rows=True)
    write_plan(tmp_path, made)
    assert Plan.read(tmp_path) == made
    assert made.metrics == ("mse",)
    assert made.lower_is_better


def test_the_champion_comes_back_with_scores_that_are_not_finite(tmp_path: Path) -> None:
    scores = {0: {"mse": math.inf}, 2: {"mse": 0.25}}
    made = Champion(2, scores, "group_2/checkpoints/final.ckpt", 1200)
    write_champion(tmp_path, made)
    assert Champion.read(tmp_path) == made


def test_a_run_that_has_not_ended_has_no_champion(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, plan(4), [record(1, 0)]))
    assert run.champion is None
    assert list(run.rounds) == [(1, 0)]


def test_a_run_without_rounds_is_read(tmp_path: Path) -> None:
    assert read_run(write_run(tmp_path, plan(2), [])).rounds == {}


def test_another_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no ltfb\.json; name the folder of a run"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema_version": 2}, "'schema_version' is 2, expected 1"),
        ({"num_groups": 0}, "'num_groups' is 0, expected a whole number of at least 1"),
        ({"strategy": {"name": 1}}, "'strategy': 'name' is 1, expected a text"),
        ({"strategy": {"name": "X"}}, "'strategy': 'arguments' is missing; found name"),
        ({"rule": {"metrics": "mse"}}, "'rule': 'metrics' is \"mse\", expected a list"),
        ({"rule": {"metrics": [1]}}, "'rule': 'metrics' is 1, expected a text"),
    ],
)
def test_what_is_no_plan_is_told(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    write_plan(tmp_path, plan())
    path = tmp_path / "ltfb.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError) as caught:
        read_run(tmp_path)
    assert str(caught.value).startswith(str(path))
    assert told in str(caught.value)


def test_a_group_that_the_plan_does_not_have_is_told(tmp_path: Path) -> None:
    write_run(tmp_path, plan(4), [record(1, 0, source=3)])
    write_plan(tmp_path, plan(3))
    with pytest.raises(InputError, match=r"round 1 of group 0 names group 3, but ltfb\.json has"):
        read_run(tmp_path)


def test_a_champion_that_the_plan_does_not_have_is_told(tmp_path: Path) -> None:
    write_plan(tmp_path, plan(2))
    write_champion(tmp_path, Champion(2, {}, "group_2/checkpoints/final.ckpt", 1))
    with pytest.raises(InputError, match="'group' is 2, expected one of the 2 groups"):
        read_run(tmp_path)
