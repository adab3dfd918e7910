import json
import math
from pathlib import Path
from typing import Any

import pytest

from combo_lightning.ltfb.plan import Champion, Run
from combo_lightning.ltfb.record import RoundRecord
from combo_lightning.report.ltfb_facts import find_cost, find_facts, kept_score, leading_group
from tests.ltfb.records import RULE, adoption, by_round, plan, record


def run_of(folder: Path, records: list[RoundRecord], **changes: Any) -> Run:
    return Run(folder, plan(3, **changes), by_round(records), None)


def at(minute: int) -> str:
    return f"2026-11-25T13:{minute:02}:00+00:00"


def write_run_json(folder: Path, **values: Any) -> None:
    (folder / "run.json").write_text(json.dumps(values))


def test_adoptions_failures_and_who_met_nobody_are_counted(tmp_path: Path) -> None:
    facts = find_facts(
        run_of(
            tmp_path,
            [
                adoption(1, 0, 1, learning_rate=0.1),
                record(1, 1, met=(0,), reason="better"),
                record(1, 2, reason="alone"),
                record(2, 0, met=(1,), source=1, reason="better", adopted=False),
                record(2, 2, reason="no answer"),
            ],
        )
    )
    assert (facts.meetings, facts.adopted, facts.averaged) == (3, 1, 0)
    assert [(r.round, r.group) for r in facts.failed] == [(2, 0)]
    assert facts.unmet == {"alone": 1, "no answer": 1}
    assert facts.bytes == 1_000_000
    assert facts.gone == {1: 1}


def test_a_mean_is_no_adoption(tmp_path: Path) -> None:
    mean = record(1, 0, met=(0, 1), reason="averaged", adopted=True)
    facts = find_facts(run_of(tmp_path, [mean]))
    assert (facts.adopted, facts.averaged) == (0, 1)
    assert facts.gone == {1: None, 2: None}


def test_the_share_of_the_time_is_that_since_the_group_started(tmp_path: Path) -> None:
    write_run_json(tmp_path, status="running", starts=[{"at": at(0)}])
    cost = find_cost([record(1, 0), record(2, 0)], tmp_path)
    assert (cost.round_seconds, cost.whole_seconds) == (2.0, 120.0)
    assert cost.share == pytest.approx(1 / 60)


def test_time_after_the_last_round_counts_once_the_run_has_ended(tmp_path: Path) -> None:
    write_run_json(tmp_path, status="finished", starts=[{"at": at(0)}], ended=at(5))
    assert find_cost([record(1, 0), record(2, 0)], tmp_path).whole_seconds == 300.0


def test_time_in_which_the_group_did_not_run_is_left_out(tmp_path: Path) -> None:
    starts = [{"at": at(0)}, {"at": at(40)}]
    write_run_json(tmp_path, status="interrupted", starts=starts, ended=at(3))
    records = [record(1, 0), record(2, 0), record(3, 0, time=at(43))]
    assert find_cost(records, tmp_path).whole_seconds == 120.0 + 180.0


@pytest.mark.parametrize("text", [None, "[]", '{"starts": 3}', '{"starts": [{"at": "x"}]}', "{"])
def test_without_a_start_the_time_runs_from_the_first_round(
    tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    cost = find_cost([record(1, 0), record(2, 0), record(3, 0)], tmp_path)
    assert (cost.round_seconds, cost.whole_seconds) == (2.0, 120.0)
    assert math.isnan(find_cost([record(1, 0)], tmp_path).share)


def test_the_best_last_score_leads_until_there_is_a_champion(tmp_path: Path) -> None:
    records = [
        record(1, 1, scores={1: {"mse": 0.1}}),
        record(3, 0, scores={0: {"mse": 0.5}}),
        record(4, 2, scores={2: {"mse": 0.4}}),
    ]
    run = run_of(tmp_path, records)
    assert leading_group(run) == 2
    assert leading_group(run_of(tmp_path, records, rule=RULE | {"mode": "max"})) == 0
    assert leading_group(Run(tmp_path, run.plan, run.rounds, Champion(1, {}, "", 9))) == 1


def test_nobody_leads_without_a_finite_score(tmp_path: Path) -> None:
    assert leading_group(run_of(tmp_path, [])) is None
    assert leading_group(run_of(tmp_path, [record(1, 0, scores={0: {"mse": math.nan}})])) is None
    assert leading_group(run_of(tmp_path, [record(1, 0, scores={})])) is None


def test_the_score_that_a_group_keeps_is_that_of_the_model_that_came() -> None:
    assert kept_score(adoption(1, 0, 1, learning_rate=0.1), "mse") == 1.0
    failed = adoption(1, 0, 1, learning_rate=0.1)
    assert kept_score(record(1, 0, scores=failed.scores, source=1), "mse") == 2.0
