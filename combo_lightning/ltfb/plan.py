"""What a run of trainer groups says of itself: ``ltfb.json``, and ``champion.json`` at its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from combo_lightning.errors import InputError
from combo_lightning.ltfb.fields import parse_object
from combo_lightning.ltfb.record import Rounds, read_rounds

PLAN = "ltfb.json"
CHAMPION = "champion.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Plan:
    """The rules that all groups of a run share.

    Args:
        token: Secret of the launch.
        num_groups: Trainer groups.
        seed: Seed of all draws.
        strategy: Its class ``name`` and its constructor's ``arguments``.
        rule: The arguments of `Rule`.
        every_n_train_steps: Steps between two rounds.
        own_rows: Whether each group scored models on tournament rows of its own.
        space: Where hyperparameters are drawn and changed.
    """

    token: str
    num_groups: int
    seed: int
    strategy: Mapping[str, Any]
    rule: Mapping[str, Any]
    every_n_train_steps: int
    own_rows: bool = False
    space: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of the rule."""
        return tuple(self.rule.get("metrics", ()))

    @property
    def lower_is_better(self) -> bool:
        """The rule's direction."""
        return bool(self.rule.get("mode", "min") == "min")

    @classmethod
    def read(cls, run: Path) -> "Plan":
        """Read ``ltfb.json``.

        Raises:
            InputError: If it is missing, of another version, or no such file.
        """
        path = run / PLAN
        if not path.is_file():
            raise InputError(
                f"{run} has no {PLAN}; name the folder of a run of trainer groups, the one that "
                "holds group_0"
            )
        found = parse_object(path.read_text(encoding="utf-8", errors="replace"), str(path))
        version = found.integer("schema_version")
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{path}: 'schema_version' is {version}, expected {SCHEMA_VERSION}; read it with "
                "the combo_lightning that wrote it"
            )
        rule, strategy = found.inner("rule"), found.inner("strategy")
        rule.texts("metrics")
        strategy.text("name")
        strategy.inner("arguments")
        return cls(
            token=found.text("token"),
            num_groups=found.integer("num_groups", least=1),
            seed=found.integer("seed"),
            strategy=strategy.plain(),
            rule=rule.plain(),
            every_n_train_steps=found.integer("every_n_train_steps"),
            own_rows=found.flag("own_rows") if "own_rows" in found else False,
            space=found.inner("space").plain() if "space" in found else {},
        )


@dataclass(frozen=True)
class Champion:
    """The group that won.

    Args:
        group: Which.
        scores: The last scores, by group and metric.
        checkpoint: The champion's, relative to the run's folder.
        step: Training steps done.
    """

    group: int
    scores: Mapping[int, Mapping[str, float]]
    checkpoint: str
    step: int

    @classmethod
    def read(cls, run: Path) -> "Champion | None":
        """Read ``champion.json``; None: the run has not ended.

        Raises:
            InputError: If it is no such file.
        """
        path = run / CHAMPION
        if not path.is_file():
            return None
        found = parse_object(path.read_text(encoding="utf-8", errors="replace"), str(path))
        return cls(
            group=found.integer("group"),
            scores=found.inner("scores").by_group(lambda f, g: f.inner(g).numbers()),
            checkpoint=found.text("checkpoint"),
            step=found.integer("step"),
        )


@dataclass(frozen=True)
class Run:
    """All that a run of trainer groups has written of its tournaments.

    Args:
        folder: Its folder.
        plan: Its rules.
        rounds: Its record, by round and group.
        champion: Who won; None: it has not ended.
    """

    folder: Path
    plan: Plan
    rounds: Rounds
    champion: Champion | None


def read_run(folder: Path) -> Run:
    """Read a run, finished or not.

    Raises:
        InputError: If the folder is no run of trainer groups, or its files do not fit together.
    """
    plan, rounds = Plan.read(folder), read_rounds(folder)
    groups = range(plan.num_groups)
    for (number, group), record in rounds.items():
        named = {group, record.source, *record.living, *record.met, *record.scores, *record.ages}
        strange = sorted(named.difference(groups))
        if strange:
            raise InputError(
                f"{folder}: round {number} of group {group} names group {strange[0]}, but {PLAN} "
                f"has 'num_groups' {plan.num_groups}; were two runs written into one folder?"
            )
    champion = Champion.read(folder)
    if champion is not None and champion.group not in groups:
        raise InputError(
            f"{folder / CHAMPION}: 'group' is {champion.group}, expected one of the "
            f"{plan.num_groups} groups of {PLAN}"
        )
    return Run(folder, plan, rounds, champion)
