"""One round as a trainer group sees it: score, meet, move models, adopt.

All ranks of a group go through it together. Its first process reads and writes what is public
(who is alive, notes with scores) and tells the others, so that all decide on the same facts.
Models move between ranks of equal position; a group takes a model over only once all its ranks
have their whole part of it.
"""

import base64
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import lightning.pytorch as pl
import numpy as np
from torch import Tensor

from combo_lightning.ltfb.channel import Channel, ChannelError
from combo_lightning.ltfb.membership import Beat, Membership
from combo_lightning.ltfb.scoring import score
from combo_lightning.ltfb.state import ModelState
from combo_lightning.ltfb.tournament import Standing

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


@dataclass
class Spent:
    """Where the time of a round went, in seconds, and what it moved."""

    seconds: dict[str, float] = field(
        default_factory=lambda: {"score": 0.0, "wait": 0.0, "move": 0.0}
    )
    bytes: int = 0

    def timed(self, part: str, work: Callable[[], Any]) -> Any:
        """Do work, and count its time."""
        start = time.perf_counter()
        try:
            return work()
        finally:
            self.seconds[part] += time.perf_counter() - start


class Meeting:
    """A rank's means to take part in rounds.

    Args:
        trainer: Of the group's model.
        module: The model.
        state: What travels of it.
        channel: This rank's end of the channel.
        membership: Who is alive; None on all ranks but the group's first.
        patience_seconds: How long a group that is alive is waited for.
    """

    def __init__(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        state: ModelState,
        channel: Channel,
        membership: Membership | None,
        patience_seconds: float,
    ) -> None:
        self.trainer = trainer
        self.module = module
        self.state = state
        self.channel = channel
        self.membership = membership
        self.patience_seconds = patience_seconds
        self.group = channel.place.group
        self.beats: dict[int, Beat] = {}
        # Whether this group's model is to give way to the first that it meets.
        self.gives_way = False
        # Groups that did not come to a round though they are alive, and what they had left then.
        self._absent: dict[int, int] = {}

    def tell(self, work: Callable[[Membership], Any]) -> Any:
        """Let the group's first process look something up, and tell all ranks."""
        found = None if self.membership is None else work(self.membership)
        return self.trainer.strategy.broadcast(found)

    def agree(self, *, done: bool) -> bool:
        """Tell whether something was done on all ranks of the group."""
        return bool(self.trainer.strategy.reduce_boolean_decision(done, all=True))

    def living(self, round_index: int | None = None) -> list[int]:
        """Look which groups a round is of, None: any to come; this one always is."""

        def look(membership: Membership) -> dict[int, Beat]:
            if round_index is None:
                found = membership.training()
            else:
                found = membership.of_round(round_index)
            for group, left in list(self._absent.items()):
                if group in found and found[group].left <= left:
                    del found[group]
            return found

        self.beats = self.tell(look)
        return sorted(self.beats)

    def score(self, batches: Iterable[Any], spent: Spent, age: int = 0) -> Standing:
        """Score the group's model as it is."""
        standing: Standing = spent.timed(
            "score", lambda: score(self.trainer, self.module, batches)
        )
        if self.gives_way:
            # What has no score loses to whatever has one.
            rows = {n: np.full(len(row), np.nan) for n, row in (standing.rows or {}).items()}
            return Standing.from_rows(rows, age)
        return Standing(standing.scores, standing.rows, age)

    def exchange_notes(
        self, round_index: int, standing: Standing, others: Sequence[int], spent: Spent
    ) -> dict[int, Standing]:
        """Make this group's standing public, and wait for the others'.

        A group that does not wait for this one, as it takes a dead group for alive or has not
        seen this one yet, is not met: a loser would wait in vain for a model that nobody sends.

        Args:
            round_index: The round.
            standing: This group's.
            others: Whose to wait for.
            spent: Counts the time.

        Returns:
            The standings that are there, this group's included.
        """

        def wait(membership: Membership) -> dict[int, Standing]:
            note = write_note(standing, self._seal(round_index, self.group), others)
            self.channel.publish(round_index, note)
            found = {self.group: standing}
            end = time.monotonic() + self.patience_seconds
            for other in others:
                theirs = self._wait_for(round_index, other, end, membership)
                if theirs is None:
                    self._absent[other] = self.beats[other].left
                else:
                    found[other] = theirs
            return found

        found: dict[int, Standing] = spent.timed("wait", lambda: self.tell(wait))
        return found

    def _seal(self, round_index: int, group: int) -> dict[str, Any]:
        return {"token": self.channel.place.token, "round": round_index, "group": group}

    def _wait_for(
        self, round_index: int, other: int, end: float, membership: Membership
    ) -> Standing | None:
        """Wait for a group's note while it is alive and may still come."""
        while True:
            beat = membership.training().get(other)
            try:
                text = self.channel.read(round_index, beat or self.beats[other], LOOK_SECONDS)
                if text is not None:
                    return read_note(text, self._seal(round_index, other), self.group)
            except ChannelError as error:
                logger.warning("round %d: group %d: %s", round_index, other, error)
                return None
            gone = beat is None or beat.left >= round_index
            if gone or time.monotonic() > end:
                logger.warning("round %d: group %d does not come", round_index, other)
                return None

    def send(
        self,
        round_index: int,
        to: int,
        spent: Spent,
        parcel: tuple[Sequence[Tensor], dict[str, Any]] | None = None,
    ) -> None:
        """Send this rank's part of the model; what fails is the other's loss, and is logged.

        Args:
            round_index: The round.
            to: The group that takes it.
            spent: Counts time and bytes.
            parcel: Tensors and words to send in its place.
        """
        chosen, words = parcel or (self.state.tensors(), self.state.words())

        def work() -> None:
            try:
                self.channel.send(round_index, self.beats[to], chosen, words)
                spent.bytes += sum(t.nbytes for t in chosen)
            except ChannelError as error:
                logger.warning("round %d: sending to group %d: %s", round_index, to, error)

        spent.timed("move", work)

    def receive(
        self,
        round_index: int,
        source: int,
        like: Sequence[Tensor],
        spent: Spent,
        turns: int = 1,
    ) -> tuple[list[Tensor], Mapping[str, Any]] | None:
        """Receive this rank's part of another group's model.

        Args:
            round_index: The round.
            source: The group that sends.
            like: Tensors of the shapes and types that must come.
            spent: Counts time and bytes.
            turns: How many exchanges the sender may have to give up before this one.

        Returns:
            Tensors and words; None on all ranks of the group if any rank has not got its part.
        """

        def work() -> tuple[list[Tensor], dict[str, Any]] | None:
            try:
                seconds = turns * self.channel.timeout_seconds
                return self.channel.receive(round_index, self.beats[source], like, seconds)
            except ChannelError as error:
                logger.warning("round %d: from group %d: %s", round_index, source, error)
                return None

        found: tuple[list[Tensor], dict[str, Any]] | None = spent.timed("move", work)
        if not self.agree(done=found is not None) or found is None:
            return None
        spent.bytes += sum(t.nbytes for t in found[0])
        return found


def write_note(standing: Standing, seal: Mapping[str, Any], meets: Sequence[int]) -> str:
    """Write a standing as a line of text; numbers come back bit for bit.

    Args:
        standing: With its rows.
        seal: Token, round and group.
        meets: The groups that this one waits for.
    """
    rows = {
        name: base64.b64encode(np.asarray(row, "<f8").tobytes()).decode()
        for name, row in (standing.rows or {}).items()
    }
    return json.dumps({**seal, "meets": list(meets), "rows": rows, "age": standing.age})


def read_note(text: str, seal: Mapping[str, Any], reader: int) -> Standing:
    """Read what `write_note` wrote.

    Args:
        text: The note.
        seal: Token, round and group that it must have.
        reader: The group that reads it.

    Raises:
        ChannelError: If it is no note, its seal is another, or its group does not meet the reader.
    """
    try:
        plain = json.loads(text)
        rows = {
            str(name): np.frombuffer(base64.b64decode(row, validate=True), "<f8")
            for name, row in plain["rows"].items()
        }
        found = {name: plain[name] for name in seal}
        meets = list(plain["meets"])
        standing = Standing.from_rows(rows, int(plain["age"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChannelError(f"a note cannot be read: {error}") from error
    wrong = [name for name, value in seal.items() if found[name] != value]
    if wrong:
        raise ChannelError(f"a note does not fit: its {' and '.join(wrong)}")
    if reader not in meets:
        raise ChannelError(f"group {seal['group']} does not wait for group {reader}")
    return standing
