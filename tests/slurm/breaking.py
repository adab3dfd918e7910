"""Ways to break a node of the cluster, and to mend it; each node has namespaces of its own.

The mount namespace holds its ``/etc/hosts`` and what it sees of the folders, the network namespace
its address and routes.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.slurm.cluster import Cluster


@contextmanager
def wrong_address(cluster: Cluster, node: str, name: str, address: str) -> Iterator[None]:
    """Let a node take another address for a name.

    Args:
        cluster: Where.
        node: Whose ``/etc/hosts`` is wrong.
        name: The node whose name it is.
        address: What stands there; a node's name: that node's address.
    """
    hosts = (cluster.folder / "hosts").read_text()
    right = dict(re.findall(r"^(\S+) (node\d)$", hosts, re.MULTILINE))
    addresses = {name: address for address, name in right.items()}
    line = f"{addresses[name]} {name}\n"
    wrong = cluster.folder / f"hosts.{node}"
    wrong.write_text(hosts.replace(line, f"{addresses.get(address, address)} {name}\n"))
    _inside(cluster, node, "mount", "--bind", str(wrong), "/etc/hosts")
    try:
        yield
    finally:
        _inside(cluster, node, "umount", "/etc/hosts")


@contextmanager
def hidden(cluster: Cluster, node: str, folder: Path, size: str = "1m") -> Iterator[None]:
    """Let a node see an empty folder of its own in a folder's place.

    Args:
        cluster: Where.
        node: The node.
        folder: The folder.
        size: What that one holds at most.
    """
    _inside(cluster, node, "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield
    finally:
        # A process that was started there may still stand in it.
        _inside(cluster, node, "umount", "--lazy", str(folder))


@contextmanager
def lost(cluster: Cluster, node: str, *, link: bool) -> Iterator[None]:
    """Let a node crash, or cut it off; afterwards it is there again.

    Args:
        cluster: Where.
        node: The node.
        link: Whether its link goes down; else slurmd and all that it has started are killed.
    """
    wire = f"sl{_settings(cluster)['ID']}-{node.removeprefix('node')}"
    if link:
        _run(["ip", "link", "set", wire, "down"])
    else:
        cluster.manage("kill-node", node)
    try:
        yield
    finally:
        if link:
            _run(["ip", "link", "set", wire, "up"])
            cluster.manage("kill-node", node)
        cluster.manage("start-node", node)
        cluster.wait_for_node(node)


@contextmanager
def blocked_ports(cluster: Cluster, node: str, source: str, ports: str) -> Iterator[None]:
    """Let a node drop what another sends to some of its TCP ports, as a firewall does.

    A rule of routing that knows ports stands for the firewall, which needs programs that are not
    everywhere. It must come before the rule of the node's own addresses, which is the first.

    Args:
        cluster: Where; its network is netns.
        node: The node.
        source: Whose packets it drops.
        ports: Such as ``10000-32767``.
    """
    settings = _settings(cluster)
    number = 10 + int(source.removeprefix("node"))
    rule = ["ip", "-n", f"slci-{settings['ID']}-{node}", "rule"]
    match = f"from {settings['SUBNET']}.{number} iif eth0 ipproto tcp dport {ports} blackhole"
    _run([*rule, "add", "pref", "100", "lookup", "local"])
    _run([*rule, "add", "pref", "10", *match.split()])
    _run([*rule, "del", "pref", "0"])
    try:
        yield
    finally:
        _run([*rule, "add", "pref", "0", "lookup", "local"])
        _run([*rule, "del", "pref", "10"])
        _run([*rule, "del", "pref", "100"])


def _settings(cluster: Cluster) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", (cluster.folder / "settings").read_text()))


def _inside(cluster: Cluster, node: str, *words: str) -> None:
    """Run a command in a node's mount namespace."""
    pid = (cluster.folder / "run" / f"{node}.pid").read_text().split()[0]
    _run(["nsenter", f"--target={pid}", "--mount", *words])


def _run(words: list[str]) -> None:
    done = subprocess.run(words, text=True, capture_output=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
