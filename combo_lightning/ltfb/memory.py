"""The channel in memory: notes in a small store of each group, parcels over gloo.

For each parcel two processes form a group of their own, which costs a millisecond; whoever is not
there costs the timeout and nothing else.
"""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed.distributed_c10d as dist
from torch import Tensor
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # not in its __all__

from combo_lightning.ltfb.channel import Channel, ChannelError, within
from combo_lightning.ltfb.groups import host_address
from combo_lightning.ltfb.membership import Beat
from combo_lightning.ltfb.place import GroupPlace

# A store that is alive answers in milliseconds.
ANSWER_SECONDS = 5.0
# Above this a copy costs more than a message.
LARGE_BYTES = 1 << 16


class MemoryChannel(Channel):
    """Notes and parcels over sockets, between processes of one launch.

    Limits:
        Tensors on a GPU pass through the host's memory.

    Args:
        place: This group.
        rank: This process in its group.
        timeout_seconds: After how long an exchange is given up.
    """

    def __init__(self, place: GroupPlace, rank: int, timeout_seconds: float) -> None:
        super().__init__(place, rank, timeout_seconds)
        self._host = host_address(place.reached_as)
        # Opened here, so that on one host nothing else can reach it.
        listener = socket.create_server((self._host, 0))
        self._port: int = listener.getsockname()[1]
        self._store: Any = TCPStore(
            self._host,
            self._port,
            is_master=True,
            wait_for_workers=False,
            timeout=timedelta(seconds=timeout_seconds),
            master_listen_fd=listener.detach(),
        )
        self._peers: dict[str, Any] = {}
        self._notes: list[str] = []

    @property
    def address(self) -> str:
        """Host and port of this rank's store."""
        return f"{self._host}:{self._port}"

    def publish(self, round_index: int, note: str) -> None:
        """Put a note into this group's store; those before the last two go."""
        key = self._key(f"note/{round_index}")
        self._store.set(key, note)
        self._notes.append(key)
        while len(self._notes) > 2:
            self._store.delete_key(self._notes.pop(0))

    def read(self, round_index: int, beat: Beat, seconds: float) -> str | None:
        """Ask another group's store for its note.

        Raises:
            ChannelError: If the store does not answer.
        """
        key = self._key(f"note/{round_index}")

        def ask() -> str | None:
            address = beat.addresses[0]
            if address not in self._peers:
                self._peers[address] = self._connect(beat, 0)
            store = self._peers[address]
            try:
                store.wait([key], timedelta(seconds=seconds))
            except torch.distributed.DistStoreError:
                return None  # not yet
            return str(store.get(key).decode())

        try:
            return within(seconds + ANSWER_SECONDS, ask)
        except ChannelError:
            self._peers.pop(beat.addresses[0], None)
            raise

    def close(self) -> None:
        """Close the stores."""
        self._peers.clear()
        self._store = None

    def _send(self, round_index: int, beat: Beat, seal: bytes, tensors: Sequence[Tensor]) -> None:
        # The receiver's store joins the two: it is the one who needs them.
        # A connection of its own: one that a transfer hangs in is of no further use.
        peer, limit = self._connect(beat, self.rank), self.timeout_seconds
        with self._pair(round_index, peer, (self.place.group, beat.group), limit) as pair:
            text = torch.frombuffer(bytearray(seal), dtype=torch.uint8)
            pair.send([torch.tensor([len(text)])], 1, 0).wait()
            pair.send([text], 1, 0).wait()
            large, small = _by_size(tensors)
            for data in [*large, torch.cat(small)] if small else large:
                pair.send([data], 1, 0).wait()
            # Until the other has all: a sender that went away early would take it along.
            pair.recv([torch.empty(1, dtype=torch.int64)], 1, 0).wait()

    def _receive(
        self, round_index: int, beat: Beat, tensors: Sequence[Tensor], seconds: float
    ) -> bytes:
        groups = (beat.group, self.place.group)
        with self._pair(round_index, self._store, groups, seconds) as pair:
            length = torch.empty(1, dtype=torch.int64)
            pair.recv([length], 0, 0).wait()
            if not 0 < int(length) < 1 << 20:
                raise ChannelError(f"group {beat.group} sent no parcel")
            text = torch.empty(int(length), dtype=torch.uint8)
            pair.recv([text], 0, 0).wait()
            large, small = _by_size(tensors)
            for data in large:
                pair.recv([data], 0, 0).wait()
            if small:
                together = torch.empty(sum(map(len, small)), dtype=torch.uint8)
                pair.recv([together], 0, 0).wait()
                parts = torch.split(together, [len(data) for data in small])
                for data, part in zip(small, parts, strict=True):
                    data.copy_(part)
            pair.send([torch.ones(1, dtype=torch.int64)], 0, 0).wait()
            return bytes(text.tolist())

    @contextlib.contextmanager
    def _pair(
        self, round_index: int, store: Any, groups: tuple[int, int], seconds: float
    ) -> Iterator[Any]:
        """Form a group of two, the sender being 0 and the receiver 1."""
        sender, receiver = groups
        name = self._key(f"pair/{round_index}/{sender}/{receiver}/{self.rank}")
        gloo: Any = dist.ProcessGroupGloo
        options = gloo._Options()
        options._timeout = timedelta(seconds=seconds)
        options._devices = [gloo.create_device(hostname=self._host)]
        side = 0 if sender == self.place.group else 1
        yield gloo(dist.PrefixStore(name, store), side, 2, options)

    def _connect(self, beat: Beat, rank: int) -> Any:
        """Connect to the store of a rank of another group.

        Raises:
            ChannelError: If nobody listens there.
        """
        address = beat.addresses[rank]
        host, port = address.rsplit(":", 1)
        try:
            # A store's own attempts go on for ten seconds where nobody listens.
            socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
        except OSError as error:
            raise ChannelError(f"group {beat.group} at {address}: {error}") from error
        return TCPStore(
            host,
            int(port),
            wait_for_workers=False,
            timeout=timedelta(seconds=self.timeout_seconds),
        )

    def _key(self, name: str) -> str:
        return f"{self.place.token}/{name}"


def _by_size(tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Give the bytes of large tensors, one message each, and of small ones, which go together."""
    data = [tensor.reshape(-1).view(torch.uint8) for tensor in tensors]
    large = [x for x in data if len(x) >= LARGE_BYTES]
    return large, [x for x in data if len(x) < LARGE_BYTES]
