"""Ports that stay free until they are used."""

import random
import socket
from contextlib import suppress

# Between well-known ports and those that Linux gives to connections by itself: one of the latter
# may be taken between its choice and its use.
LOWEST_PORT, HIGHEST_PORT = 10_000, 32_767
_TRIALS = 64


def free_port(host: str = "") -> int:
    """Find a port that nobody listens on; drawn by the system's own chance, not the run's.

    Args:
        host: Address to look at; empty: all of this machine.

    Raises:
        OSError: If none of many is free.
    """
    chance = random.SystemRandom()
    for _ in range(_TRIALS):
        port = chance.randint(LOWEST_PORT, HIGHEST_PORT)
        with suppress(OSError), socket.create_server((host, port)):
            return port
    raise OSError(f"none of {_TRIALS} ports from {LOWEST_PORT} to {HIGHEST_PORT} is free")
