"""The callback that lets trainer groups hold tournaments while they train."""

import logging
import os
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import lightning.pytorch as pl

from combo_lightning.errors import InputError
from combo_lightning.ltfb.channel import schema
from combo_lightning.ltfb.conclusion import Final, conclude
from combo_lightning.ltfb.hyperparameters import draw_initial
from combo_lightning.ltfb.joining import (
    check_metrics,
    different_model,
    has_own_rows,
    join,
    open_channel,
)
from combo_lightning.ltfb.meeting import Meeting, Spent
from combo_lightning.ltfb.place import GroupPlace
from combo_lightning.ltfb.population import round_checkpoint, stale_rounds, write_manifest
from combo_lightning.ltfb.record import ROUNDS, RoundLog, RoundRecord
from combo_lightning.ltfb.rounds import Averaging, Outcome, Tournament, same_start
from combo_lightning.ltfb.scoring import check_competitor, tournament_batches
from combo_lightning.ltfb.state import Exchange, ModelState
from combo_lightning.ltfb.status import StatusFile
from combo_lightning.ltfb.strategies import RandomPairwise, Strategy, TreeAveraging
from combo_lightning.ltfb.tournament import Rule
from combo_lightning.ltfb.tuning import Hyperparameters, Tuning
from combo_lightning.resuming import resumes_exactly

logger = logging.getLogger(__name__)


class LTFB(pl.Callback):
    """Tournaments between trainer groups (Livermore Tournament Fast Batch).

    Each group trains on its own rows. Every so often groups meet in pairs drawn from (seed,
    round): both models are scored on rows that no group trains on, and the better one goes on in
    both. A group that dies, hangs or is late costs its partner a wait and nothing else, and joins
    again at the next round. Nobody ever goes on with parts of two models.

    Hooks:
        on_fit_start: Refuses modules that cannot be scored.
        on_train_start: Opens the channel and waits for the other groups; draws hyperparameters.
        on_train_batch_end, on_train_epoch_end: Hold a round where it is due, on all ranks of the
            group: one scoring of the tournament rows, a note to the partner, and a transfer of the
            model where this group lost. Save at round boundaries.
        on_train_end: Saves, scores, and names the champion among the living.

    Limits:
        Groups must have equal layouts. Tensors on GPUs pass through the host's memory. The outer
        momentum of averaging starts anew on resuming where weights are sharded.

    Args:
        every_n_train_steps: Optimizer steps between two rounds; 0: see `every_n_epochs`.
        every_n_epochs: Epochs between two rounds; 0: see `every_n_train_steps`.
        strategy: Who meets whom, and who adopts; or the averaging of all models.
        rule: When a model counts as better.
        exchange: What of a model travels.
        tuning: Hyperparameters of the groups.
        channel: "memory" (one launch) or "directory" (independent jobs, a shared folder).
        timeout_seconds: After how long the transfer of a model is given up.
        patience_seconds: How long a group that is alive is waited for.
        save_every_n_rounds: Rounds between checkpoints that all groups can go on from; 0: none.
        newcomers_copy: Whether a group that starts when others are already in later rounds takes
            its first partner's model unseen, rather than compete with its own.
    """

    def __init__(
        self,
        every_n_train_steps: int = 100,
        every_n_epochs: int = 0,
        strategy: Strategy | TreeAveraging | None = None,
        rule: Rule | None = None,
        exchange: Exchange | None = None,
        tuning: Tuning | None = None,
        channel: Literal["memory", "directory"] = "memory",
        timeout_seconds: float = 30.0,
        patience_seconds: float = 200.0,
        save_every_n_rounds: int = 10,
        *,
        newcomers_copy: bool = False,
    ) -> None:
        if (every_n_train_steps > 0) == (every_n_epochs > 0):
            raise InputError(
                f"LTFB: every_n_train_steps is {every_n_train_steps} and every_n_epochs "
                f"{every_n_epochs}; set one of them above 0 and the other to 0"
            )
        self.every_n_train_steps = every_n_train_steps
        self.every_n_epochs = every_n_epochs
        self.strategy = strategy or RandomPairwise()
        self.rule = rule or Rule(["mse"])
        self.rule.check()
        self.exchange = exchange or Exchange()
        self.tuning = tuning or Tuning()
        self.channel = channel
        self.timeout_seconds = timeout_seconds
        self.patience_seconds = patience_seconds
        self.save_every_n_rounds = save_every_n_rounds
        self.newcomers_copy = newcomers_copy
        self.round_index = 0
        self.age = 0
        # The champion, on the first process of the group that has named it.
        self.champion: Final | None = None
        self._place: GroupPlace | None = None
        self._meeting: Meeting | None = None
        self._kind: Tournament | Averaging | None = None
        self._batches: Iterable[Any] = ()
        self._own_rows = False
        self._last_step = 0
        self._save_due = False
        self._status: StatusFile | None = None
        self._restored: dict[str, Any] = {}

    @property
    def place(self) -> GroupPlace:
        """This group; after `on_fit_start`."""
        assert self._place is not None, "on_fit_start has not run"
        return self._place

    @property
    def _seed(self) -> int:
        """The run's seed, equal in all groups; as `seed_everything` keeps it."""
        return int(os.environ.get("PL_GLOBAL_SEED", "1"))

    @property
    def meeting(self) -> Meeting:
        """This rank's means to take part; after `on_train_start`."""
        assert self._meeting is not None, "on_train_start has not run"
        return self._meeting

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Find this group's place, and refuse what cannot take part.

        Raises:
            InputError: If there are no trainer groups, or the module cannot be scored.
        """
        self._place = GroupPlace.from_environment()
        if self._place is None:
            raise InputError(
                "LTFB needs trainer groups, and this process belongs to none; start the fit with "
                "--num_groups N, or remove the callback"
            )
        check_competitor(pl_module)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the channel, wait for the others, and set what differs between groups.

        Raises:
            InputError: If the groups, their rows or their models do not fit together.
        """
        self._batches = tournament_batches(trainer, pl_module)
        check_metrics(trainer, pl_module, self._batches, self.rule.metrics)
        self._own_rows = has_own_rows(trainer, self.strategy)
        if isinstance(self.strategy, TreeAveraging):
            self._kind = Averaging(self.strategy, self._seed)
            if "averaging" in self._restored:
                self._kind.load_state_dict(self._restored["averaging"])
        else:
            self._kind = Tournament(self.strategy, self.rule, self._seed, self._own_rows)
        channel = open_channel(self.channel, self.place, trainer, self.timeout_seconds)
        state = ModelState(trainer, pl_module, self.exchange)
        model = schema(list(state.weights().values()))
        membership = join(trainer, channel, self._describe(), self.round_index, model)
        self._meeting = Meeting(
            trainer, pl_module, state, channel, membership, self.patience_seconds
        )
        # The groups of a launch begin together; independent jobs come when they come.
        seconds = 0.0 if self.channel == "directory" else self.patience_seconds
        self._meeting.tell(lambda membership: membership.wait_for_all(seconds))
        different = self._meeting.tell(different_model)
        if different:
            raise InputError(different)
        self._set_hyperparameters(trainer, pl_module)
        self._last_step = trainer.global_step
        if trainer.is_global_zero:
            self._status = StatusFile(self.place.group_folder)
        if isinstance(self._kind, Averaging) and not self.round_index:
            same_start(self._meeting, Spent())

    def _describe(self) -> dict[str, Any]:
        """Give what all groups of the run must have in common."""
        options = vars(self.strategy)
        return {
            "schema_version": 1,
            "token": self.place.token,
            "num_groups": self.place.num_groups,
            "seed": self._seed,
            "strategy": {"name": type(self.strategy).__name__, "arguments": options},
            "rule": vars(self.rule),
            "own_rows": self._own_rows,
            "space": {name: vars(found) for name, found in self.tuning.space.items()},
            "every_n_train_steps": self.every_n_train_steps,
            "every_n_epochs": self.every_n_epochs,
        }

    def _set_hyperparameters(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw this group's first values, or go on with those of the checkpoint."""
        here = Hyperparameters(trainer, pl_module)
        if "hyperparameters" in self._restored:
            here.set_plain(self._restored["hyperparameters"])
        elif self.tuning.space:
            here.check(self.tuning.space)
            count = self.place.num_groups
            drawn = draw_initial(self.tuning.space, count, self._seed, self.tuning.initial)
            here.set(drawn[self.place.group])

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Hold a round where it is due, and save."""
        every, step = self.every_n_train_steps, trainer.global_step
        if every and step % every == 0 and step != self._last_step:
            self._last_step = step
            self.hold_round(trainer, pl_module)
        if self._save_due and resumes_exactly(trainer, batch_idx):
            self._save(trainer)
        if self._status is not None:
            self._status.write(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Hold a round where it is due, and save."""
        every = self.every_n_epochs
        if every and (trainer.current_epoch + 1) % every == 0:
            self.hold_round(trainer, pl_module)
        if self._save_due:
            self._save(trainer)

    def hold_round(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go through the next round; all ranks of the group together."""
        begun, spent = time.perf_counter(), Spent()
        self.round_index = self._next_round()
        meeting, kind = self.meeting, self._kind
        meeting.tell(lambda membership: membership.enter(self.round_index))
        if isinstance(kind, Averaging):
            outcome = kind.hold(meeting, self.round_index, spent)
        else:
            assert kind is not None
            outcome = kind.hold(meeting, self.round_index, self._batches, self.age, spent)
        if outcome.adopted:
            meeting.gives_way = False
        self.age = 0 if outcome.adopted else self.age + 1
        mutated = self._mutate(trainer, pl_module, outcome)
        meeting.tell(lambda membership: membership.leave(self.round_index))
        spent.seconds["total"] = time.perf_counter() - begun
        if trainer.is_global_zero:
            self._record(trainer, pl_module, outcome, mutated, spent)
        every = self.save_every_n_rounds
        self._save_due = self._save_due or bool(every and self.round_index % every == 0)

    def _next_round(self) -> int:
        """Choose the number of this round: one that no partner is through with already."""
        meeting, kind = self.meeting, self._kind
        assert kind is not None
        number = self.round_index + 1
        living = meeting.living(number)
        left = {group: beat.left for group, beat in meeting.beats.items()}
        newest = max((n for group, n in left.items() if group != meeting.group), default=0)
        late = number
        while number <= newest and any(
            left[other] >= number for other in kind.partners(meeting.group, living, number)
        ):
            number += 1
        if number > late:
            logger.info("late for the rounds %d to %d", late, number - 1)
            meeting.gives_way = self.newcomers_copy
        return number

    def _mutate(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outcome: Outcome
    ) -> dict[str, tuple[float, float]]:
        """Change the hyperparameters of a model that was taken over."""
        mutation = self.tuning.mutation
        if not (mutation and outcome.adopted and outcome.choice.mutate and self.tuning.space):
            return {}
        here = Hyperparameters(trainer, pl_module)
        before = here.get()
        seed = [self._seed, self.round_index, self.place.group]
        values = {name: before[name] for name in self.tuning.space}
        changed = mutation.mutate(values, self.tuning.space, seed)
        here.set(changed)
        return {n: (before[n], x) for n, x in changed.items() if x != before[n]}

    def _record(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outcome: Outcome,
        mutated: Mapping[str, tuple[float, float]],
        spent: Spent,
    ) -> None:
        """Write the round down; the group's first process does."""
        standings, choice = outcome.standings, outcome.choice
        keeps_rows = self.rule.significance is not None
        record = RoundRecord(
            round=self.round_index,
            group=self.place.group,
            step=trainer.global_step,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            living=tuple(outcome.living),
            met=tuple(outcome.met),
            scores={g: dict(s.scores) for g, s in standings.items()},
            ages={g: s.age for g, s in standings.items()},
            rows={g: s.rows or {} for g, s in standings.items()} if keeps_rows else None,
            source=choice.source,
            reason=choice.reason,
            margin=choice.margin,
            adopted=outcome.adopted,
            mutated=dict(mutated),
            hyperparameters=Hyperparameters(trainer, pl_module).get(),
            bytes=spent.bytes,
            seconds=spent.seconds,
        )
        RoundLog(self.place.group_folder / ROUNDS).append(record)
        assert self._status is not None
        self._status.note(
            round=self.round_index,
            score=record.scores.get(record.source, {}).get(self.rule.metrics[0]),
            learning_rate=record.hyperparameters.get("learning_rate"),
            last=f"took group {choice.source}'s" if outcome.adopted else choice.reason,
        )

    def _save(self, trainer: pl.Trainer) -> None:
        """Save what all groups can go on from together, and drop what nobody needs any more."""
        self._save_due = False
        place = self.place
        trainer.save_checkpoint(round_checkpoint(place.folder, place.group, self.round_index))
        if trainer.is_global_zero:
            write_manifest(place.folder, place.num_groups)
        for old in stale_rounds(place.folder, place.group, place.num_groups):
            trainer.strategy.remove_checkpoint(round_checkpoint(place.folder, place.group, old))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save and score the model that came out, and name the champion of those that are there.

        The first of the groups that have ended names it once no other is on its way; a group that
        ends later names it again, among all.
        """
        place, meeting = self.place, self.meeting
        path = place.group_folder / "checkpoints" / "final.ckpt"
        trainer.save_checkpoint(path)
        # Some strategies write beside training; the others will read the file.
        finish = getattr(trainer.strategy, "finish_saving", None)
        if finish is not None:
            finish()
        standing = meeting.score(self._batches, Spent())
        final = Final(
            place.group,
            place.token,
            trainer.global_step,
            dict(standing.scores),
            str(path.relative_to(place.folder)),
        )

        self.champion = meeting.tell(
            lambda membership: conclude(membership, final, self.rule, self.patience_seconds)
        )

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Leave the channel."""
        if self._meeting is not None:
            if self._meeting.membership is not None:
                self._meeting.membership.stop(finished=False)
            self._meeting.channel.close()
            self._meeting = None

    def state_dict(self) -> dict[str, Any]:
        """Give what a checkpoint must keep for going on with the same rounds."""
        state: dict[str, Any] = {"round": self.round_index, "age": self.age}
        if self._meeting is not None:
            here = Hyperparameters(self._meeting.trainer, self._meeting.module)
            state["hyperparameters"] = here.to_plain()
        if isinstance(self._kind, Averaging):
            state["averaging"] = self._kind.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with what `state_dict` gave."""
        self.round_index, self.age = state_dict["round"], state_dict["age"]
        self._restored = state_dict
