"""What every channel between trainer groups does: notes for all, and parcels from rank to rank.

A note is a line of text that a group's first process makes public for a round. A parcel is a list
of tensors from a rank of one group to the rank of equal position in another. Whatever arrives is
checked before it is used: the launch's token, round, sender, shapes and types, and a checksum.
"""

import hashlib
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import torch
from torch import Tensor

from combo_lightning.ltfb.membership import Beat
from combo_lightning.ltfb.place import GroupPlace

T = TypeVar("T")


class ChannelError(Exception):
    """Nothing usable has arrived: the other side is gone, late, or of another kind."""


class Channel(ABC):
    """One rank's end of what joins the trainer groups.

    Args:
        place: This group.
        rank: This process in its group.
        timeout_seconds: After how long an exchange is given up.
    """

    def __init__(self, place: GroupPlace, rank: int, timeout_seconds: float) -> None:
        self.place = place
        self.rank = rank
        self.timeout_seconds = timeout_seconds

    @property
    @abstractmethod
    def address(self) -> str:
        """Where the others reach this rank."""

    @abstractmethod
    def publish(self, round_index: int, note: str) -> None:
        """Make a note of this group public; its first process calls it."""

    @abstractmethod
    def read(self, round_index: int, beat: Beat, seconds: float) -> str | None:
        """Wait a while for a group's note.

        Args:
            round_index: Of which round.
            beat: What the group says of itself.
            seconds: How long to wait.

        Returns:
            The note; None: it is not there yet.

        Raises:
            ChannelError: If the group cannot be reached.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of ports and files."""

    @abstractmethod
    def _send(self, round_index: int, beat: Beat, seal: bytes, tensors: Sequence[Tensor]) -> None:
        """Send a sealed parcel, within `timeout_seconds`."""

    @abstractmethod
    def _receive(
        self, round_index: int, beat: Beat, tensors: Sequence[Tensor], seconds: float
    ) -> bytes:
        """Receive a parcel into tensors within some time, and give its seal."""

    def send(
        self, round_index: int, beat: Beat, tensors: Sequence[Tensor], words: dict[str, Any]
    ) -> None:
        """Send tensors, and some plain words, to the rank of this position in another group.

        Args:
            round_index: Of which round.
            beat: What the other group says of itself.
            tensors: On any device.
            words: Plain values beside them.

        Raises:
            ChannelError: If they were not taken in time.
        """
        here = [t.detach().to("cpu").contiguous() for t in tensors]
        seal = {
            "token": self.place.token,
            "round": round_index,
            "sender": self.place.group,
            "receiver": beat.group,
            "rank": self.rank,
            "schema": schema(here),
            "checksum": checksum(here),
            "words": words,
        }
        text = json.dumps(seal).encode()
        within(self.timeout_seconds, lambda: self._send(round_index, beat, text, here))

    def receive(
        self, round_index: int, beat: Beat, like: Sequence[Tensor], seconds: float | None = None
    ) -> tuple[list[Tensor], dict[str, Any]]:
        """Receive what `send` of the other group sends.

        Args:
            round_index: Of which round.
            beat: What the other group says of itself.
            like: Tensors of the shapes and types that must come.
            seconds: How long to wait; None: `timeout_seconds`.

        Returns:
            New tensors on the CPU, and the words beside them.

        Raises:
            ChannelError: If nothing has come in time, or not what must come.
        """
        # New ones: a transfer that was given up may still write into the old.
        tensors = [torch.empty(t.shape, dtype=t.dtype) for t in like]
        limit = seconds or self.timeout_seconds
        text = within(limit, lambda: self._receive(round_index, beat, tensors, limit))
        expected = {
            "token": self.place.token,
            "round": round_index,
            "sender": beat.group,
            "receiver": self.place.group,
            "rank": self.rank,
            "schema": schema(like),
            "checksum": checksum(tensors),
        }
        try:
            seal: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise ChannelError(f"group {beat.group} sent no parcel") from error
        for name, value in expected.items():
            if seal.get(name) != value:
                shown = "" if name == "token" else f" is {seal.get(name)}, not {value}"
                raise ChannelError(f"what group {beat.group} sent does not fit: its {name}{shown}")
        words: dict[str, Any] = seal["words"]
        return tensors, words


def schema(tensors: Sequence[Tensor]) -> str:
    """Describe shapes and types in a short text."""
    text = " ".join(f"{t.dtype}{list(t.shape)}" for t in tensors)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def checksum(tensors: Sequence[Tensor]) -> int:
    """Add up the bytes of tensors as 64-bit words, each tensor's sum weighted by its place.

    5 ms for 165 MB. It tells damage, not malice: that is the token's part.
    """
    total = 0
    for place, tensor in enumerate(tensors, start=1):
        data = tensor.contiguous().reshape(-1).view(torch.uint8)
        whole = data.numel() // 8 * 8
        words = int(data[:whole].view(torch.int64).sum()) if whole else 0
        rest = int(data[whole:].sum(dtype=torch.int64))
        total = (total + place * (words + rest)) % (1 << 61)
    return total


def within(seconds: float, work: Callable[[], T]) -> T:
    """Do work that may hang, and give it up in time; the thread that hangs is left behind.

    Args:
        seconds: How long it may take.
        work: What to do.

    Raises:
        ChannelError: If it takes longer, or fails.
    """
    results: SimpleQueue[tuple[bool, Any]] = SimpleQueue()

    def run() -> None:
        try:
            results.put((True, work()))
        except Exception as error:  # whatever a library raises for a lost peer
            results.put((False, error))

    threading.Thread(target=run, name="ltfb-exchange", daemon=True).start()
    try:
        done, value = results.get(timeout=seconds)
    except Empty:
        raise ChannelError(f"no answer within {seconds:g} s") from None
    if not done:
        raise ChannelError(f"{type(value).__name__}: {value}") from value
    result: T = value
    return result
