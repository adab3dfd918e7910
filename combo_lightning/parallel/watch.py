"""Processes that watch each other, so that none waits for ever for one that is gone.

What it promises: a process that dies ends the run within seconds. One that is stopped, or whose
host is gone, ends it after `silence_seconds`. One whose training stands still while the others
wait for it ends it after `stall_seconds`. One message names rank and host; every process ends with
exit code 1 and none is left. A process that ends well says goodbye first.

Rank 0 listens; the others send it a beat each second and it answers. Nothing here goes through the
process group, which is what may hang.
"""

import contextlib
import logging
import os
import platform
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
SILENCE_SECONDS = 30.0
EXIT_CODE = 1
TOKEN_BYTES = 16
# A beat: how often the sender made progress.
_BEAT = struct.Struct("!q")
_RANK = struct.Struct("!i")
_GOODBYE, _END = -1, -2


class _Link:
    """One side of a connection over which beats come and go."""

    def __init__(self, link: socket.socket) -> None:
        link.settimeout(BEAT_SECONDS)
        self.socket = link
        self.ended = False
        self._buffer = b""

    def send(self, beat: int) -> None:
        """Send a beat; where the other side is gone, note that."""
        try:
            self.socket.sendall(_BEAT.pack(beat))
        except OSError:
            self.ended = True

    def take(self, size: int) -> bytes | None:
        """Take bytes that have arrived; None: not all of them have."""
        if len(self._buffer) < size:
            return None
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def beats(self) -> list[int]:
        """Give the beats that have arrived."""
        found = []
        while (taken := self.take(_BEAT.size)) is not None:
            found.append(_BEAT.unpack(taken)[0])
        return found

    def fill(self) -> None:
        """Read what has arrived; note where the other side has closed."""
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            return
        except OSError:
            data = b""
        self.ended = self.ended or not data
        self._buffer += data


@dataclass
class _Peer:
    """What rank 0 knows of a process."""

    rank: int
    host: str
    seen: float
    moved: float
    progress: int = 0
    link: _Link | None = None
    left: bool = False

    def note(self, progress: int) -> None:
        """Take up a beat."""
        self.seen = time.monotonic()
        if progress == _GOODBYE:
            self.left = True
        elif progress != self.progress:
            self.progress, self.moved = progress, self.seen


class RankWatch:
    """One process's end of the watch; a thread beside training.

    Args:
        rank: This process.
        hosts: The host of each process, by rank.
        stall_seconds: After how long without progress of any process the run ends.
        silence_seconds: After how long without a beat of a process the run ends.
        die: How this process ends; tests give their own.
    """

    def __init__(
        self,
        rank: int,
        hosts: list[str],
        stall_seconds: float,
        silence_seconds: float = SILENCE_SECONDS,
        die: Callable[[int], object] = os._exit,
    ) -> None:
        self.rank = rank
        self.hosts = hosts
        self.stall_seconds = stall_seconds
        self.silence_seconds = silence_seconds
        self._die = die
        self._progress = 0
        self._leaving = threading.Event()
        self._abandoned = False
        self._deaf = False
        self._thread: threading.Thread | None = None
        self._server: socket.socket | None = None

    def listen(self) -> int:
        """Open rank 0's port, to this host alone where all are on it; give its number."""
        here = "127.0.0.1" if len(set(self.hosts)) == 1 else ""
        self._server = socket.create_server((here, 0))
        port: int = self._server.getsockname()[1]
        return port

    def start(self, address: str, port: int, token: bytes) -> None:
        """Start to watch.

        Args:
            address: The host of rank 0, as the others reach it.
            port: Where it listens there.
            token: The run's own secret of `TOKEN_BYTES` bytes; who does not know it is not heard.
        """
        if len(set(self.hosts)) == 1:
            address = "127.0.0.1"
        work = partial(self._follow, address, port, token)
        if self.rank == 0:
            work = partial(self._lead, token)
        self._thread = threading.Thread(target=work, name="rank-watch", daemon=True)
        self._thread.start()

    def progressed(self) -> None:
        """Note that training went on."""
        self._progress += 1

    def leave(self) -> None:
        """Say goodbye, unless abandoned: what happens to this process now is no failure."""
        if self._deaf:
            return
        self._leaving.set()
        if self._thread is not None:
            self._thread.join(timeout=5 * BEAT_SECONDS)

    def fail(self, linger_seconds: float) -> None:
        """End by a mistake in the input, which the others may find as well, and say themselves.

        Args:
            linger_seconds: How long to wait for that; nothing ends this process meanwhile.
        """
        self._deaf = True
        time.sleep(linger_seconds)

    def abandon(self, linger_seconds: float) -> None:
        """End without goodbye, as this process has failed; the others will end too.

        Args:
            linger_seconds: How long to wait first, should the failure be another's: the watch
                then ends this process with the message.
        """
        time.sleep(linger_seconds)
        self._abandoned = True
        self._leaving.set()

    def _end(self, message: str) -> None:
        if not (self._leaving.is_set() or self._deaf):
            logger.error("error: %s; the run ends on all ranks", message)
            self._die(EXIT_CODE)

    def _lead(self, token: bytes) -> None:
        """Rank 0: take beats, answer them, and judge."""
        assert self._server is not None
        now = time.monotonic()
        peers = {rank: _Peer(rank, host, now, now) for rank, host in enumerate(self.hosts)}
        with self._server as server, selectors.DefaultSelector() as selector:
            selector.register(server, selectors.EVENT_READ)
            failure = ""
            while not failure and not self._leaving.is_set():
                for key, _ in selector.select(BEAT_SECONDS / 2):
                    if key.data is None:
                        link = _Link(server.accept()[0])
                        selector.register(link.socket, selectors.EVENT_READ, link)
                    else:
                        _hear(key.data, peers, token)
                        if key.data.ended:
                            selector.unregister(key.fileobj)
                            key.data.socket.close()
                peers[0].note(self._progress)
                failure = self._judge(peers)
                self._answer(peers, self._progress)
            if not self._abandoned:
                self._answer(peers, _END if failure else _GOODBYE)
            if failure:
                self._end(failure)
            for peer in peers.values():
                if peer.link is not None:
                    peer.link.socket.close()

    @staticmethod
    def _answer(peers: Mapping[int, _Peer], beat: int) -> None:
        for peer in peers.values():
            if peer.link is not None and not peer.left:
                peer.link.send(beat)

    def _judge(self, peers: Mapping[int, _Peer]) -> str:
        """Say what is wrong; nothing: an empty text."""
        now = time.monotonic()
        for peer in peers.values():
            if peer.rank == 0 or peer.left:
                continue
            if peer.link is not None and peer.link.ended:
                return f"rank {peer.rank} on {peer.host} has ended"
            if now - peer.seen > self.silence_seconds:
                return (
                    f"rank {peer.rank} on {peer.host} has not answered for "
                    f"{self.silence_seconds:.0f} s (it is stopped, or its host is gone)"
                )
        # Once a process has left the run is over, and nothing moves.
        if not any(peer.left for peer in peers.values()):
            behind = min(peers.values(), key=lambda peer: (peer.progress, peer.rank))
            if all(now - peer.moved > self.stall_seconds for peer in peers.values()):
                return (
                    f"no process has made progress for {self.stall_seconds:.0f} s; rank "
                    f"{behind.rank} on {behind.host} is the furthest behind"
                )
        return ""

    def _follow(self, address: str, port: int, token: bytes) -> None:
        """Every other rank: send beats, and end when rank 0 says so or is gone."""
        try:
            link = _Link(socket.create_connection((address, port), timeout=self.silence_seconds))
        except OSError as error:
            self._end(f"rank 0 on {self.hosts[0]} cannot be reached at port {port} ({error})")
            return
        with link.socket, contextlib.suppress(OSError):
            link.socket.sendall(token + _RANK.pack(self.rank))
            seen = time.monotonic()
            while not self._leaving.is_set():
                link.send(self._progress)
                self._leaving.wait(BEAT_SECONDS / 2)
                link.fill()
                beats = link.beats()
                if _GOODBYE in beats:
                    return
                if _END in beats and not self._deaf:
                    self._die(EXIT_CODE)
                    return
                if beats:
                    seen = time.monotonic()
                if link.ended or time.monotonic() - seen > self.silence_seconds:
                    break
            if self._leaving.is_set() and not self._abandoned:
                link.send(_GOODBYE)
        # One of the living speaks.
        if self.rank > 1 and not (self._leaving.is_set() or self._deaf):
            time.sleep(2 * BEAT_SECONDS)
            self._die(EXIT_CODE)
        else:
            self._end(f"rank 0 on {self.hosts[0]} has ended or does not answer")


def _hear(link: _Link, peers: Mapping[int, _Peer], token: bytes) -> None:
    """Take up what a link has brought: first the token and a rank, then beats."""
    link.fill()
    peer = next((peer for peer in peers.values() if peer.link is link), None)
    if peer is None:
        hello = link.take(TOKEN_BYTES + _RANK.size)
        if hello is None:
            return
        rank = _RANK.unpack(hello[TOKEN_BYTES:])[0]
        if hello[:TOKEN_BYTES] != token or rank not in peers:
            link.ended = True
            return
        peer = peers[rank]
        peer.link = link
    for beat in link.beats():
        peer.note(beat)


def host_name() -> str:
    """Name this host, for messages."""
    return platform.node() or "unknown host"
