"""Runs that are played by the real strategies over models that are no more than a number."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from combo_lightning.ltfb.plan import Plan, Run
from combo_lightning.ltfb.record import RoundRecord
from combo_lightning.ltfb.replay import build_rule, build_strategy
from combo_lightning.ltfb.strategies import Choice, TreeAveraging
from combo_lightning.ltfb.tournament import Standing
from tests.ltfb.records import RULE, by_round, plan, record

SELECTING: dict[str, dict[str, Any]] = {
    "RandomPairwise": {},
    "TruncationSelection": {"fraction": 0.25},
    "RegularizedEvolution": {"sample_size": 2},
}
ROWS = 16


def played(
    name: str,
    arguments: Mapping[str, Any],
    *,
    groups: int = 5,
    rounds: int = 8,
    significance: float | None = None,
    dies: tuple[int, int] | None = None,
) -> Run:
    """Play a run.

    One group's score is NaN from the third round on. `dies`: this group's last round is that one,
    and an exchange with it fails there.
    """
    rule = RULE | {"metrics": ["mse", "mae"], "significance": significance, "resamples": 200}
    made = plan(groups, strategy={"name": name, "arguments": arguments}, rule=rule)
    draw = np.random.default_rng(3)
    quality, ages = list(draw.uniform(1, 2, groups)), [0] * groups
    records: list[RoundRecord] = []
    for number in range(1, rounds + 1):
        gone = dies[0] if dies is not None and number > dies[1] else None
        living = [g for g in range(groups) if g != gone]
        quality = [0.9 * q for q in quality]
        rows = [draw.exponential(q, ROWS) for q in quality]
        if number == 3:
            rows[1] = rows[1] * np.nan
        standings = {
            g: Standing.from_rows({"mse": rows[g], "mae": np.sqrt(rows[g])}, ages[g])
            for g in living
        }
        for g in living:
            records.append(_round(made, number, g, standings))
            kept = records[-1]
            if dies == (kept.source, number):
                records[-1] = kept = replace(kept, adopted=False, mutated={})
            ages[g] = 0 if kept.adopted else ages[g] + 1
    return Run(Path("run"), made, by_round(records), None)


def _round(made: Plan, number: int, group: int, standings: Mapping[int, Standing]) -> RoundRecord:
    strategy, rule = build_strategy(made), build_rule(made)
    assert not isinstance(strategy, TreeAveraging)
    living = tuple(standings)
    with_rows = made.rule["significance"] is not None
    met = strategy.meets(group, living, number, made.seed)
    known = {g: standings[g] for g in sorted({*met, group})}
    choice: Choice = strategy.decide(known, rule, number, made.seed)[group]
    return record(
        number,
        group,
        living=living,
        met=tuple(met),
        scores={g: dict(s.scores) for g, s in known.items()},
        ages={g: s.age for g, s in known.items()},
        rows={g: s.rows or {} for g, s in known.items()} if with_rows else None,
        source=choice.source,
        reason=choice.reason,
        margin=choice.margin,
        adopted=choice.source != group,
        mutated={"learning_rate": (0.1, 0.12)} if choice.mutate else {},
    )
