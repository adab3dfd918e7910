"""A real Slurm cluster of several nodes on this machine."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.conftest import ROOT

SCRIPT = ROOT.parent / "shared" / "tools" / "slurm_cluster.sh"
DONE = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL"}


class Cluster:
    """The cluster, and how its users talk to it.

    Args:
        folder: Where it keeps everything; a short name, for its sockets.
        net: Network of its nodes: netns (each has its own) or names.
        more: Further settings of the script that starts it.
    """

    def __init__(self, folder: Path, net: str, **more: str) -> None:
        self.folder, self.net = folder, net
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
        # `combo-lightning` of this environment, with the package of this checkout.
        path = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
        self.environment = clean | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "SLURM_CI_NET": net,
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            **more,
        }

    def manage(self, verb: str, *more: str) -> None:
        """Start or stop it, or one of its nodes."""
        command = ["bash", str(SCRIPT), verb, str(self.folder), *more]
        done = subprocess.run(
            command, env=self.environment, text=True, capture_output=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stderr

    def run(self, *words: object, folder: Path | None = None) -> str:
        """Run one of Slurm's commands; give what it says."""
        done = subprocess.run(
            [str(word) for word in words],
            env=self.environment,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
            cwd=folder or self.folder,
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def wait_for_node(self, node: str, seconds: float = 90) -> None:
        """Wait until a node can be used, or is used already."""
        end = time.monotonic() + seconds
        up = {"idle", "mixed", "allocated"}
        while self.run("sinfo", "-h", "-n", node, "-o", "%T").split("\n")[0] not in up:
            assert time.monotonic() < end, self.run("sinfo", "-N", "-l")
            time.sleep(0.5)

    def submit(self, folder: Path, *words: object) -> "Job":
        """Submit a job from a folder that all nodes see."""
        said = self.run("sbatch", "--parsable", "--output=%j.log", *words, folder=folder)
        number = said.split(";")[0].strip()
        return Job(self, number, folder / f"{number}.log")


class Job:
    """A job that was submitted.

    Args:
        cluster: Where.
        number: Its id.
        log: What it says.
    """

    def __init__(self, cluster: Cluster, number: str, log: Path) -> None:
        self.cluster, self.number, self.log = cluster, number, log

    def field(self, name: str) -> str:
        """Ask Slurm for a field of the job."""
        shown = self.cluster.run("scontrol", "show", "job", "-o", self.number)
        found = re.search(rf"\b{name}=(\S*)", shown)
        assert found is not None, shown
        return found.group(1)

    def wait(self, seconds: float = 240) -> str:
        """Wait for its end; give its state. (`sbatch --wait` looks after 2, 10, 42 .. seconds.)"""
        end = time.monotonic() + seconds
        while (state := self.field("JobState")) not in DONE:
            assert time.monotonic() < end, f"{state}: {self.text}"
            time.sleep(0.2)
        return state

    def wait_until(self, so: Callable[[], bool], seconds: float = 120) -> None:
        """Wait until something is so, while the job runs."""
        end = time.monotonic() + seconds
        while not so():
            assert time.monotonic() < end, self.text
            state = self.field("JobState")
            assert state not in DONE, f"{state}: {self.text}"
            time.sleep(0.2)

    def nodes(self) -> list[str]:
        """Name its nodes."""
        return self.cluster.run("scontrol", "show", "hostnames", self.field("NodeList")).split()

    def nodes_when_running(self) -> list[str]:
        """Wait until it has begun, and name its nodes."""
        self.wait_until(lambda: self.field("JobState") == "RUNNING")
        return self.nodes()

    def pid(self, rank: int, node: str | None = None) -> int:
        """Find a task's process, on a node; all nodes are on this machine."""
        told = {
            f"SLURM_CONF={self.cluster.folder}/slurm.conf",
            f"SLURM_JOB_ID={self.number}",
            f"SLURM_PROCID={rank}",
        }
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                variables = (process / "environ").read_bytes().decode(errors="replace")
                command = (process / "cmdline").read_bytes()
                step = "SLURM_STEP_ID=" in variables
                if node is not None and f"SLURMD_NODENAME={node}\0" not in variables:
                    continue
                if step and told <= set(variables.split("\0")) and b"combo_lightning" in command:
                    return int(process.name)
        raise AssertionError(f"job {self.number} has no rank {rank}: {self.text}")

    @property
    def text(self) -> str:
        """What it has said so far."""
        return self.log.read_text() if self.log.exists() else "(nothing)"
