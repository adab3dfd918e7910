"""Worlds of processes that take orders, on this host or behind slowed links."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
NETDELAY = ROOT.parent / "shared" / "tools" / "netdelay.py"


@dataclass(frozen=True)
class Link:
    """What joins the processes.

    Args:
        name: Its name.
        delay_ms: Latency one way; 0: that of this host.
        rate_mbit: Bandwidth of each process's line; 0: that of this host.
    """

    name: str
    delay_ms: float = 0.0
    rate_mbit: float = 0.0


HERE = Link("this host")


class World:
    """Processes of one group; those behind slowed links have network namespaces of their own.

    Args:
        data: The poster's data set.
        ranks: How many.
        threads: Threads of each.
        link: What joins them.
    """

    _slowed = 0

    def __init__(self, data: Path, ranks: int, threads: int, link: Link = HERE) -> None:
        self.ranks, self.threads, self.link = ranks, threads, link
        self._switch: subprocess.Popen[str] | None = None
        self._spaces: list[str] = []
        if link.rate_mbit:
            World._slowed += 1
            self._spaces = [f"combo{World._slowed}-{i}" for i in range(ranks)]
        self._subnet = f"10.214.{World._slowed}"
        address = "127.0.0.1"
        environment = dict(os.environ)
        if self._spaces:
            self._switch = self._connect()
            address = f"{self._subnet}.11"
            environment["GLOO_SOCKET_IFNAME"] = "data0"
        with socket.socket() as probe:
            probe.bind(("", 0))
            port = probe.getsockname()[1]
        environment |= {
            "OMP_NUM_THREADS": str(threads),
            "OMP_WAIT_POLICY": "passive",
            "GOMP_SPINCOUNT": "1000",
            "WORLD_SIZE": str(ranks),
            "MASTER_ADDR": address,
            "MASTER_PORT": str(port),
        }
        command = [sys.executable, "-m", "scripts.bench.scaling.rank", str(data)]
        self._processes = [
            subprocess.Popen(
                [*(("ip", "netns", "exec", self._spaces[i]) if self._spaces else ()), *command],
                env={**environment, "RANK": str(i)},
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for i in range(ranks)
        ]

    def _connect(self) -> "subprocess.Popen[str]":
        """Make a network namespace a process, and the switch between them."""
        for space in self._spaces:
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)
            subprocess.run(["ip", "netns", "add", space], check=True)
            up = ["ip", "-n", space, "link", "set", "lo", "up"]
            subprocess.run(up, check=True)
        switch = subprocess.Popen(
            [
                *(sys.executable, str(NETDELAY), "--delay-ms", str(self.link.delay_ms)),
                *("--rate-mbit", str(self.link.rate_mbit), "--queue-mb", "64"),
                *("--subnet", self._subnet, *self._spaces),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert switch.stdout is not None
        switch.stdout.readline()
        return switch

    def run(self, order: dict[str, Any]) -> dict[str, float]:
        """Let all processes train.

        Args:
            order: What; see `rank`.

        Returns:
            Seconds of a step, of its messages, and of the rest.

        Raises:
            SystemExit: If a process has ended.
        """
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        answers = []
        for process in self._processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"a process of {self.ranks} ended over {order}")
            answers.append(json.loads(line))
        told = {name: mean(a[name] for a in answers) for name in ("messages", "rest")}
        return {"step": max(a["step"] for a in answers), **told}

    def end(self) -> None:
        """End the processes and their network."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
        if self._switch is not None:
            self._switch.terminate()
            self._switch.wait()
        for space in self._spaces:
            subprocess.run(["ip", "netns", "del", space], check=False)


def can_slow() -> bool:
    """Tell whether links can be slowed here: root, network namespaces, and the switch."""
    return os.geteuid() == 0 and NETDELAY.is_file() and Path("/dev/net/tun").exists()
