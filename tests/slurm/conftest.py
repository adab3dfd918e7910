"""The cluster of a test session, skipped with the reason where there is none."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.slurm.cluster import SCRIPT, Cluster

TURNS = 3


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Four nodes, each with its own network where the machine allows it; else its own name."""
    with started() as cluster:
        yield cluster


@contextmanager
def started(**more: str) -> Iterator[Cluster]:
    """Start a cluster, and stop it at the end.

    Args:
        more: Settings of the script that starts it.
    """
    needed = ("slurmctld", "slurmd", "munged", "srun")
    path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    missing = [name for name in needed if not shutil.which(name, path=path)]
    if missing:
        pytest.skip(f"Slurm is not installed: no {', '.join(missing)} (see .ci/run)")
    if not SCRIPT.is_file():
        pytest.skip("../shared/tools/slurm_cluster.sh, which starts a cluster, is not here")
    net = _network()
    if net is None:
        pytest.skip("this machine lets nobody make namespaces, which the nodes need")
    # Sockets have short names; pytest's own folders are too deep. A cluster's network is made from
    # its folder's name, and one in 250 is another's that runs now.
    with tempfile.TemporaryDirectory(prefix="sl") as folder:
        clusters = (Cluster(Path(folder) / str(turn), net, **more) for turn in range(TURNS))
        cluster = next(filter(_starts, clusters), None)
        assert cluster is not None, f"no cluster of {TURNS} has started; see above"
        try:
            yield cluster
        finally:
            cluster.manage("stop")


def _starts(cluster: Cluster) -> bool:
    """Start a cluster; tell whether it runs."""
    try:
        cluster.manage("start")
    except AssertionError as error:
        sys.stderr.write(f"{error}\n")
        cluster.manage("stop")
        return False
    return True


def _network() -> str | None:
    """Choose the best network that can be had: netns, names, or none; or the one asked for."""
    if "SLURM_CI_NET" in os.environ:
        return os.environ["SLURM_CI_NET"]
    if _can("unshare", "--mount", "--uts", "--net", "ip", "link", "add", "b0", "type", "bridge"):
        return "netns"
    return "names" if _can("unshare", "--mount", "--uts", "true") else None


def _can(*words: str) -> bool:
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
