"""Records and run folders, made by hand."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from combo_lightning.ltfb.fields import plain_number
from combo_lightning.ltfb.plan import Champion, Plan
from combo_lightning.ltfb.record import RoundLog, RoundRecord, Rounds

RULE = {"metrics": ["mse"], "mode": "min", "margin": 0.0, "significance": None, "resamples": 1000}


def plan(num_groups: int = 4, **changes: Any) -> Plan:
    made = Plan(
        token="t",
        num_groups=num_groups,
        seed=1,
        strategy={"name": "RandomPairwise", "arguments": {}},
        rule=RULE,
        every_n_train_steps=100,
    )
    return replace(made, **changes)


def record(number: int, group: int, **changes: Any) -> RoundRecord:
    """A round in which a group kept its own model, alone."""
    made = RoundRecord(
        round=number,
        group=group,
        step=100 * number,
        time=f"2026-11-25T13:{number:02}:00+00:00",
        living=(0, 1, 2),
        met=(),
        scores={group: {"mse": 1.0 / (1 + number)}},
        ages={group: number},
        rows=None,
        source=group,
        reason="alone",
        margin=0.0,
        adopted=False,
        mutated={},
        hyperparameters={"learning_rate": 0.1 * 2.0**group},
        bytes=0,
        seconds={"score": 0.5, "wait": 0.25, "move": 0.25, "total": 1.0},
    )
    return replace(made, **changes)


def adoption(
    number: int, group: int, source: int, *, learning_rate: float, **changes: Any
) -> RoundRecord:
    return record(
        number,
        group,
        met=(source,),
        scores={group: {"mse": 2.0}, source: {"mse": 1.0}},
        source=source,
        reason="better",
        margin=1.0,
        adopted=True,
        hyperparameters={"learning_rate": learning_rate},
        bytes=1_000_000,
        **changes,
    )


def by_round(records: Iterable[RoundRecord]) -> Rounds:
    return {(r.round, r.group): r for r in records}


def write_plan(folder: Path, made: Plan) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ltfb.json").write_text(json.dumps({"schema_version": 1, **asdict(made)}))


def write_champion(folder: Path, champion: Champion) -> None:
    scores = {
        str(group): {metric: plain_number(value) for metric, value in of_group.items()}
        for group, of_group in champion.scores.items()
    }
    plain = {**asdict(champion), "scores": scores, "token": "t"}
    (folder / "champion.json").write_text(json.dumps(plain))


def write_run(
    folder: Path, made: Plan, records: Iterable[RoundRecord] | Mapping[Any, RoundRecord]
) -> Path:
    write_plan(folder, made)
    values = records.values() if isinstance(records, Mapping) else records
    logs = {g: RoundLog(folder / f"group_{g}" / "rounds.jsonl") for g in range(made.num_groups)}
    for one in values:
        logs[one.group].append(one)
    return folder
