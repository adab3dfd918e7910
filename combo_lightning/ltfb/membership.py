"""Which trainer groups are alive, and in which round: a small file of each in the run folder.

The first process of a group rewrites its file each second, aside and renamed. A reader takes a
group for alive while the file's count moves, by the reader's own clock: clocks need not agree, and
there is no lock that a dead process could hold.
"""

import json
import logging
import os
import platform
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from combo_lightning.errors import InputError
from combo_lightning.ltfb.place import GroupPlace

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
EXPIRY_SECONDS = 15.0
CHANNEL = "channel"


@dataclass(frozen=True)
class Beat:
    """What a group says of itself.

    Args:
        token: Secret of the launch.
        group: Which group.
        count: How often it has said so.
        entered: The newest round that it has begun.
        left: The newest round that it is through with.
        ending: Whether it has trained to its end, and holds no more rounds.
        finished: Whether it has ended well, and is gone.
        host: Where its first process is.
        pid: That process.
        addresses: Where the channel reaches each of its ranks.
        model: The shapes and types of its model's weights, in short.
    """

    token: str
    group: int
    count: int = 0
    entered: int = 0
    left: int = 0
    ending: bool = False
    finished: bool = False
    host: str = ""
    pid: int = 0
    addresses: list[str] = field(default_factory=list)
    model: str = ""


class Membership:
    """One group's view of the others, and what it says of itself.

    Only the group's first process has one.

    Args:
        place: This group.
        expiry_seconds: After how long without a beat a group counts as gone.
    """

    def __init__(self, place: GroupPlace, expiry_seconds: float = EXPIRY_SECONDS) -> None:
        self.place = place
        self.expiry_seconds = expiry_seconds
        self.entered = self.left = 0
        self._folder = place.folder / CHANNEL
        self._addresses: list[str] = []
        self._model = ""
        self._count = 0
        self._ending = self._finished = False
        self._stopped = threading.Event()
        self._writing = threading.Lock()
        # The last beat of each group, and when its count moved.
        self._seen: dict[int, tuple[Beat, float]] = {}
        self._thread: threading.Thread | None = None

    def start(self, addresses: Sequence[str], model: str = "") -> None:
        """Begin to beat.

        Args:
            addresses: Where the channel reaches each rank of this group.
            model: The shapes and types of its model's weights, in short.

        Raises:
            InputError: If another process beats for this group: two runs in one folder.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._refuse_second_run()
        self._addresses, self._model = list(addresses), model
        self._write()
        self._thread = threading.Thread(target=self._beat, name="ltfb-beat", daemon=True)
        self._thread.start()

    def stop(self, *, finished: bool) -> None:
        """Stop beating; `finished`: say that the group has ended well."""
        if self._thread is None:
            return
        self._stopped.set()
        self._thread.join()
        self._thread = None
        self._finished = finished
        if finished:
            self._write()
        else:
            self._file(self.place.group).unlink(missing_ok=True)

    def enter(self, round_index: int) -> None:
        """Say that this group begins a round."""
        self.entered = round_index
        self._write()

    def leave(self, round_index: int) -> None:
        """Say that this group is through with a round."""
        self.left = round_index
        self._write()

    def end(self) -> None:
        """Say that this group holds no more rounds."""
        self._ending = True
        self._write()

    def training(self) -> dict[int, Beat]:
        """Give the last beats of the groups that still hold rounds, this one included."""
        return {g: beat for g, beat in self.everyone().items() if not beat.ending}

    def of_round(self, round_index: int) -> dict[int, Beat]:
        """Give the last beats of the groups that a round is of, this one included.

        They still hold rounds, or have ended and were through with this one before: who is slow
        must draw the pairs that the others drew.
        """
        found = self.everyone().items()
        return {g: beat for g, beat in found if not beat.ending or beat.left >= round_index}

    def waiting(self) -> list[int]:
        """Give the groups that have trained to their end and are still there."""
        found = self.everyone().items()
        return [g for g, beat in found if beat.ending and not beat.finished]

    def everyone(self) -> dict[int, Beat]:
        """Give the last beats of the groups that are alive or have ended well."""
        now = time.monotonic()
        found = {}
        for group in range(self.place.num_groups):
            beat = self._own() if group == self.place.group else read_beat(self._file(group))
            if beat is None or beat.token != self.place.token:
                continue
            last = self._seen.get(group)
            if last is None or (last[0].count, last[0].pid) != (beat.count, beat.pid):
                self._seen[group] = last = (beat, now)
            # What this process reads of itself is always fresh.
            fresh = now - last[1] <= self.expiry_seconds or group == self.place.group
            if fresh or beat.finished:
                found[group] = beat
        return found

    def wait_for_all(self, seconds: float) -> list[int]:
        """Wait until every group has begun to beat.

        Returns:
            The groups that are there; fewer than all after `seconds`.
        """
        end = time.monotonic() + seconds
        while len(self.everyone()) < self.place.num_groups and time.monotonic() < end:
            time.sleep(0.1)
        return sorted(self.everyone())

    def _own(self) -> Beat:
        return Beat(
            token=self.place.token,
            group=self.place.group,
            count=self._count,
            entered=self.entered,
            left=self.left,
            ending=self._ending,
            finished=self._finished,
            host=platform.node(),
            pid=os.getpid(),
            addresses=self._addresses,
            model=self._model,
        )

    def _file(self, group: int) -> Path:
        return self._folder / f"group_{group}.beat"

    def _write(self) -> None:
        with self._writing:
            self._count += 1
            path = self._file(self.place.group)
            aside = path.with_name(f".{path.name}.partial")
            aside.write_text(json.dumps(asdict(self._own())), encoding="utf-8")
            os.replace(aside, path)

    def _beat(self) -> None:
        while not self._stopped.wait(BEAT_SECONDS):
            try:
                self._write()
            except OSError as error:
                # A shared folder may be away for a while; the others will take us for gone.
                logger.warning("cannot write %s: %s", self._file(self.place.group), error)

    def _refuse_second_run(self) -> None:
        """Look whether another process beats for this group.

        Raises:
            InputError: If one does.
        """
        path = self._file(self.place.group)
        first = read_beat(path)
        if first is None or first.finished:
            return
        end = time.monotonic() + 2.5 * BEAT_SECONDS
        while time.monotonic() < end:
            now = read_beat(path)
            if now is not None and now.count != first.count:
                raise InputError(
                    f"trainer group {first.group} of {self.place.folder} runs already, as process "
                    f"{first.pid} on {first.host}; choose another --run_dir, or end that run"
                )
            time.sleep(0.1)


def read_beat(path: Path) -> Beat | None:
    """Read a group's file; None: it is not there, or not whole."""
    try:
        return Beat(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
