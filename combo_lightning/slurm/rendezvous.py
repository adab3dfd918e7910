"""How a step's processes agree on a free port of its first node.

A port made from the job's id alone collides: steps of a job share it, and so do other programs.
Here the first process picks a port that is free and tells those who name its step; whoever asks
the wrong step is not answered, so two runs never mix.
"""

import hashlib
import random
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

from combo_lightning.errors import InputError
from combo_lightning.ports import HIGHEST_PORT, LOWEST_PORT, free_port

TRIED_PORTS = 16
# Nodes may read the program from a slow file system.
PATIENCE_SECONDS = 300.0
ANSWER_SECONDS = 2.0
PAUSE_SECONDS = 0.1


def meeting_ports(step: str) -> list[int]:
    """List the ports where the first process may be met, equal on all processes of a step.

    Args:
        step: Name of the step.
    """
    seed = int.from_bytes(hashlib.sha256(step.encode()).digest()[:8])
    return random.Random(seed).sample(range(LOWEST_PORT, HIGHEST_PORT + 1), TRIED_PORTS)


def tell_port(
    step: str, size: int, patience: float = PATIENCE_SECONDS, *, fixed: int | None = None
) -> int:
    """Pick a free port, and tell all other processes of the step; its first process calls this.

    Args:
        step: Name of the step.
        size: Processes of the step.
        patience: How many seconds the others may take.
        fixed: The port that it must be; the processes meet there, too.

    Returns:
        The port.

    Raises:
        InputError: If some did not come, or no place to meet is free.
    """
    port = fixed or free_port()
    missing = set(range(1, size))
    end = time.monotonic() + patience
    with _listen(step, [fixed] if fixed else meeting_ports(step)) as server:
        while missing:
            server.settimeout(max(0.0, end - time.monotonic()) or 0.001)
            try:
                peer, _ = server.accept()
            except TimeoutError:
                ranks = ", ".join(map(str, sorted(missing)))
                raise InputError(
                    f"of the {size} processes of step {step}, these did not come within "
                    f"{patience:.0f} seconds: {ranks}; look for their errors in the job's output"
                ) from None
            # Someone who says nothing, or goes away, is no process of this step.
            with peer, suppress(OSError, ValueError):
                peer.settimeout(ANSWER_SECONDS)
                name, rank = _read_words(peer)
                if name == step:
                    peer.sendall(f"{step} {port}\n".encode())
                    missing.discard(int(rank))
    return port


def ask_port(
    step: str,
    rank: int,
    host: str,
    patience: float = PATIENCE_SECONDS,
    *,
    fixed: int | None = None,
) -> int:
    """Ask the step's first process for its port; all other processes call this.

    Args:
        step: Name of the step.
        rank: This process in the step.
        host: The first process's node.
        patience: How many seconds it may take.
        fixed: The port where it must be met.

    Returns:
        The port.

    Raises:
        InputError: If it does not answer, or the node's name is unknown.
    """
    end = time.monotonic() + patience
    why: Exception | None = None
    while time.monotonic() < end:
        for meeting in [fixed] if fixed else meeting_ports(step):
            try:
                with socket.create_connection((host, meeting), ANSWER_SECONDS) as peer:
                    peer.sendall(f"{step} {rank}\n".encode())
                    name, port = _read_words(peer)
                if name == step:
                    return int(port)
            except socket.gaierror as error:
                if error.errno == socket.EAI_NONAME:
                    raise InputError(
                        f"the step's first node is {host}, and {socket.gethostname()} knows no "
                        "address of it; set MASTER_ADDR and MASTER_PORT in the batch script"
                    ) from error
                why = error
            except (OSError, ValueError) as error:
                why = error
            if time.monotonic() > end:
                break
        time.sleep(PAUSE_SECONDS)
    raise InputError(
        f"the first process of step {step} did not answer on {host} within {patience:.0f} seconds "
        f"({why}); look for its error in the job's output, or for a firewall between the nodes"
    )


def _listen(step: str, ports: Sequence[int]) -> socket.socket:
    for port in ports:
        with suppress(OSError):
            return socket.create_server(("", port))
    tried = f"port {ports[0]}" if len(ports) == 1 else f"any of {len(ports)} ports"
    raise InputError(
        f"step {step} cannot meet on {socket.gethostname()}, where {tried} is in use; set "
        "MASTER_ADDR and MASTER_PORT in the batch script to a port that is free"
    )


def _read_words(peer: socket.socket) -> list[str]:
    """Read a line of two words; fewer, or too many letters, are an error of the caller."""
    with peer.makefile("rb") as lines:
        return lines.readline(256).decode("ascii", "replace").split()
