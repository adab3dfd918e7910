import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from combo_lightning.errors import InputError
from combo_lightning.ltfb.plan import Run, read_run
from combo_lightning.ltfb.record import RoundRecord
from combo_lightning.ltfb.replay import build_rule, replay
from combo_lightning.ltfb.tournament import Standing
from tests.ltfb.played import SELECTING, played
from tests.ltfb.records import RULE, by_round, plan, record, write_run


def changed(run: Run, key: tuple[int, int], **changes: Any) -> Run:
    return replace(run, rounds=run.rounds | {key: replace(run.rounds[key], **changes)})


def find(run: Run, fits: Callable[[RoundRecord], bool]) -> RoundRecord:
    return next(r for r in run.rounds.values() if fits(r))


@pytest.mark.parametrize("name", SELECTING)
@pytest.mark.parametrize("significance", [None, 0.2])
def test_a_run_that_was_played_by_the_rules_has_no_difference(
    tmp_path: Path, name: str, significance: float | None
) -> None:
    run = played(name, SELECTING[name], significance=significance, dies=(3, 5))
    assert any(r.adopted for r in run.rounds.values())
    found = replay(read_run(write_run(tmp_path, run.plan, run.rounds)))
    assert found.differences == []
    assert found.records == 8 * 5 - 3
    assert found.summary.startswith("replayed 37 records of 8 rounds")
    assert found.summary.endswith("with a decision: no difference")


def test_an_exchange_that_failed_is_no_difference() -> None:
    run = played("TruncationSelection", SELECTING["TruncationSelection"], groups=4, rounds=5)
    taken = find(run, lambda r: r.adopted)
    failed = changed(
        run, (taken.round, taken.group), adopted=False, mutated={}, reason="partner died"
    )
    assert failed.rounds[taken.round, taken.group].failed
    assert replay(failed).differences == []


@pytest.mark.parametrize("name", SELECTING)
def test_a_source_that_was_changed_is_found(name: str) -> None:
    run = played(name, SELECTING[name])
    taken = find(run, lambda r: r.adopted)
    key = taken.round, taken.group
    (difference,) = replay(changed(run, key, source=taken.group, mutated={})).differences
    assert difference == (
        f"round {key[0]}, group {key[1]}: source is {taken.group}, replayed {taken.source} "
        f"({taken.reason})"
    )


@pytest.mark.parametrize("name", SELECTING)
def test_a_score_that_was_changed_is_found(name: str) -> None:
    run = played(name, SELECTING[name])
    for metric in ("mse", "mae"):
        taken = find(run, lambda r: r.adopted and r.round > 3)
        other = taken.source
        scores = {**taken.scores, other: {**taken.scores[other], metric: 1e-9}}
        found = replay(changed(run, (taken.round, taken.group), scores=scores)).differences
        told = f"round {taken.round}, group {taken.group}: {metric} of group {other} is 1e-09, but"
        assert any(difference.startswith(told) for difference in found)


def test_a_score_that_turns_a_decision_is_found_by_the_decision_alone() -> None:
    run = played("RandomPairwise", {})
    taken = find(run, lambda r: r.adopted and r.reason == "better")
    key = taken.round, taken.group
    scores = {**taken.scores, taken.group: {"mse": 0.0, "mae": 0.0}}
    alone = replace(run, rounds={key: replace(taken, scores=scores)})
    found = " ".join(replay(alone).differences)
    assert f"source is {taken.source}, replayed {taken.group} (worse)" in found
    assert "margin is" in found
    assert "reason is 'better', replayed 'worse'" in found


def test_a_row_that_turns_a_significant_margin_is_found() -> None:
    run = played("RandomPairwise", {}, significance=0.2)
    taken = find(run, lambda r: r.adopted and r.reason == "better")
    assert taken.rows is not None
    noise = np.linspace(-1e6, 1e6, 16)
    rows = {
        g: {m: r + noise * (g == taken.group) for m, r in taken.rows[g].items()}
        for g in taken.rows
    }
    (difference, *_) = replay(changed(run, (taken.round, taken.group), rows=rows)).differences
    assert "(not significant)" in difference


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"margin": 0.125}, "margin is 0.125, replayed"),
        ({"margin": math.nan}, "margin is nan, replayed"),
        ({"reason": "tie"}, "reason is 'tie', replayed 'better'"),
        ({"living": ()}, "'living' is [], without the group itself"),
        ({"rows": None, "scores": {}}, "scores of groups [] and ages of"),
        ({"adopted": False}, "mutated learning_rate, though no model came"),
    ],
)
def test_whatever_else_was_changed_is_found(changes: dict[str, Any], told: str) -> None:
    run = played("RandomPairwise", {})
    taken = find(run, lambda r: r.adopted and r.reason == "better")
    found = replay(changed(run, (taken.round, taken.group), **changes)).differences
    assert any(told in difference for difference in found)


def test_a_partner_who_was_not_drawn_is_found() -> None:
    run = played("RandomPairwise", {}, groups=4)
    first = run.rounds[1, 0]
    (partner,) = first.met
    stranger = min({1, 2, 3} - {partner})
    found = replay(changed(run, (1, 0), met=(stranger,))).differences
    assert f"round 1, group 0: met [{stranger}], but [{partner}] was to be met" in found


def test_who_met_nobody_must_say_why() -> None:
    def told(**changes: Any) -> list[str]:
        alone = record(1, 0, margin=math.nan, **changes)
        return replay(Run(Path(), plan(4), by_round([alone]), None)).differences

    for reason in ("late", "no answer"):
        assert told(reason=reason) == []
    assert told(reason="alone", living=(0,)) == []
    (difference,) = told(reason="alone", living=(0, 1, 2, 3))
    assert difference.startswith("round 1, group 0: met nobody, 'alone', but [")
    assert "source is 2, though 'late'" in told(reason="late", source=2)[0]
    assert "mutated x, though" in told(reason="late", mutated={"x": (1.0, 2.0)})[0]


def test_a_metric_that_has_no_rows_cannot_be_decided_again() -> None:
    run = played("RandomPairwise", {}, significance=0.2)
    taken = find(run, lambda r: r.adopted and r.reason == "better")
    found = replay(changed(run, (taken.round, taken.group), rows=None)).differences
    assert any("cannot be decided again: rule.significance needs" in d for d in found)


def test_groups_that_score_on_rows_of_their_own_decide_each_for_themselves() -> None:
    run = played("RandomPairwise", {}, groups=2, rounds=1, significance=0.2)
    own_rows = replace(run.plan, own_rows=True)
    made = {}
    for key, one in run.rounds.items():
        (other,) = one.met
        rows = {g: {m: r + g for m, r in (one.rows or {})[g].items()} for g in one.scores}
        standings = {g: Standing.from_rows(rows[g]) for g in rows}
        seed = [run.plan.seed, one.round, one.group]
        verdict = build_rule(run.plan).beats(standings[other], standings[one.group], seed)
        made[key] = replace(
            one,
            rows=rows,
            scores={g: dict(standing.scores) for g, standing in standings.items()},
            source=other if verdict.wins else one.group,
            adopted=verdict.wins,
            reason=verdict.reason,
            margin=verdict.margin,
            mutated={},
        )
    elsewhere = {**made[1, 0].scores, 1: {"mse": 9.0, "mae": 9.0}}
    played_so = Run(Path(), own_rows, made, None)
    assert replay(played_so).differences == []
    assert any(
        "margin is" in d for d in replay(changed(played_so, (1, 0), margin=9.0)).differences
    )
    # The other's model has another score on its own rows: only shared rows must agree.
    shared = replay(replace(changed(played_so, (1, 0), scores=elsewhere), plan=run.plan))
    assert any("of group 1 is 9.0, but" in d for d in shared.differences)
    alone = replay(changed(played_so, (1, 0), scores=elsewhere))
    assert not any("in its own record" in d for d in alone.differences)


def test_a_partner_whose_model_did_not_come_to_be_scored_leaves_ones_own() -> None:
    run = played("RandomPairwise", {}, groups=2, rounds=1)
    kept = {"source": 0, "adopted": False, "mutated": {}, "reason": "no answer"}
    assert replay(changed(run, (1, 0), margin=math.nan, **kept)).differences == []


def averaged(number: int, group: int, *met: int, **changes: Any) -> RoundRecord:
    return record(number, group, met=met, scores={}, reason="averaged", adopted=True, **changes)


def averages(records: list[RoundRecord]) -> list[str]:
    made = plan(
        4, strategy={"name": "TreeAveraging", "arguments": {}}, rule=RULE | {"metrics": []}
    )
    return replay(Run(Path(), made, by_round(records), None)).differences


def test_who_is_in_a_mean_must_be_in_the_tree_and_agreed_on() -> None:
    assert averages([averaged(1, g, *({0, 1, 2} - {g})) for g in range(3)]) == []
    seen_by_one = [averaged(1, 0, 1, 2, living=(0, 1)), averaged(1, 1, 0, 2)]
    assert averages(seen_by_one) == []
    assert averages([record(1, 0, reason="no answer"), averaged(1, 1, 1, 2)]) == []
    dead = averages([averaged(1, 0, 3, living=(0, 1))])
    assert dead == ["round 1, group 0: mean of groups [3], but the tree holds [0, 1]"]
    split = averages([averaged(1, 0, 1), averaged(1, 1, 0, 2)])
    assert split == [
        "round 1, group 0: mean of groups [0, 1], but that of group 1 is of [0, 1, 2]"
    ]
    outside = averages([averaged(1, 0, 1, 2, living=(1, 2))])
    assert outside == ["round 1, group 0: is not in the tree of [1, 2]"]
    assert "mean of no group" in averages([averaged(1, 0)])[0]
    assert "source is 1, but an average has none" in averages([averaged(1, 0, 0, source=1)])[0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"strategy": {"name": "RandomPairs", "arguments": {}}},
            "the strategy is 'RandomPairs'; did you mean 'RandomPairwise'?",
        ),
        (
            {"strategy": {"name": "RandomPairwise", "arguments": {"k": 2}}},
            "'strategy' has strange 'arguments': ",
        ),
        (
            {"strategy": {"name": "TruncationSelection", "arguments": {"fraction": 2}}},
            "fraction is 2",
        ),
        ({"rule": RULE | {"k": 2}}, "'rule' is strange: "),
        ({"rule": RULE | {"mode": "low"}}, "rule.mode is 'low'"),
    ],
)
def test_a_run_of_other_rules_is_told(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        replay(Run(Path(), plan(4, **changes), {}, None))
    assert told in str(caught.value)
