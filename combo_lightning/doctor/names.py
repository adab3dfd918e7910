"""Which address a node's name leads to, and who answers there."""

import fcntl
import os
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from combo_lightning.slurm.rendezvous import meeting_ports

CONNECT_SECONDS = 3.0
# ioctl of Linux: address of a network interface.
_SIOCGIFADDR = 0x8915
_INTERFACES = Path("/sys/class/net")
_MOST_AT_ONCE = 32


@dataclass(frozen=True)
class Place:
    """Where a node says that it is.

    Args:
        hostname: Its own name.
        own: The first address of that name on the node itself; empty: none. Gloo announces it.
        addresses: IPv4 address of each network interface.
        gloo_interface: ``GLOO_SOCKET_IFNAME``; empty: not set.
        megabits: Megabits per second of each interface, where the system knows.
        doors: Ports where it tells its name: one of those where processes meet, and one that the
            system gave out, as gloo's are.
    """

    hostname: str
    own: str
    addresses: dict[str, str]
    gloo_interface: str
    megabits: dict[str, int]
    doors: list[int]

    @property
    def outer_addresses(self) -> dict[str, str]:
        """The addresses that other machines can use, by interface."""
        return {i: a for i, a in self.addresses.items() if not a.startswith("127.")}


@dataclass(frozen=True)
class Reached:
    """What one node finds when it looks for another by its name.

    Args:
        address: The address of the name; empty: none.
        error: Why there is none.
        doors: For each door who answers, or ``!`` and why nobody does.
    """

    address: str
    error: str
    doors: dict[int, str]


class Doors:
    """Ports of this node at which whoever connects is told its name.

    Args:
        name: The node's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        servers = [_listen(meeting_ports(f"doctor on {name}")), _listen([0])]
        self.ports = [server.getsockname()[1] for server in servers]
        for server in servers:
            threading.Thread(target=self._answer, args=(server,), daemon=True).start()

    def _answer(self, server: socket.socket) -> None:
        while True:
            peer, _ = server.accept()
            with peer, suppress(OSError):
                peer.sendall(self.name.encode())


def _listen(ports: Sequence[int]) -> socket.socket:
    """Listen on the first port that is free.

    Raises:
        OSError: If none is.
    """
    for port in ports:
        with suppress(OSError):
            return socket.create_server(("", port), backlog=256)
    raise OSError(f"no free port among {ports}")


def find_place(doors: Doors) -> Place:
    """Look where this node is.

    Args:
        doors: Its doors.
    """
    addresses = interface_addresses()
    hostname = socket.gethostname()
    return Place(
        hostname=hostname,
        own=_look_up(hostname)[0],
        addresses=addresses,
        gloo_interface=os.environ.get("GLOO_SOCKET_IFNAME", ""),
        megabits={name: speed for name in addresses if (speed := _megabits(name)) > 0},
        doors=doors.ports,
    )


def interface_addresses() -> dict[str, str]:
    """List this machine's IPv4 addresses by interface."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with suppress(OSError):  # It has none.
                answer = fcntl.ioctl(asked.fileno(), _SIOCGIFADDR, request)
                found[name] = socket.inet_ntoa(answer[20:24])
    return found


def _megabits(interface: str) -> int:
    try:
        return int((_INTERFACES / interface / "speed").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def reach_all(doors: Mapping[str, Sequence[int]]) -> dict[str, dict[str, Any]]:
    """Look for other nodes by their names, and knock at their doors.

    Args:
        doors: The doors of each.

    Returns:
        `Reached` of each, as a dict.
    """
    with ThreadPoolExecutor(min(_MOST_AT_ONCE, max(1, len(doors)))) as pool:
        found = pool.map(lambda item: reach(*item), doors.items())
        return {name: asdict(reached) for name, reached in zip(doors, found, strict=True)}


def reach(host: str, doors: Sequence[int]) -> Reached:
    """Look for a node by its name, and knock at its doors.

    Args:
        host: Its name.
        doors: Its doors.
    """
    address, error = _look_up(host)
    return Reached(address, error, {port: _knock(address, port) for port in doors if address})


def _look_up(host: str) -> tuple[str, str]:
    """Give the first IPv4 address of a name; the program's processes meet over IPv4."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        return "", error.strerror or str(error)
    return str(found[0][4][0]), ""


def _knock(address: str, port: int) -> str:
    """Tell who answers, or ``!`` and why nobody does."""
    start = time.monotonic()
    try:
        with (
            socket.create_connection((address, port), CONNECT_SECONDS) as peer,
            peer.makefile("rb") as words,
        ):
            return words.read(256).decode(errors="replace") or "!it closes the connection"
    except TimeoutError:
        return f"!no answer within {time.monotonic() - start:.0f} s"
    except OSError as error:
        return f"!{error.strerror or error}"
