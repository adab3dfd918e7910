"""``combo-lightning doctor`` on a healthy cluster, and on three that are broken in one place."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm.breaking import blocked_ports, hidden, wrong_address
from tests.slurm.cluster import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.slurm]
Doctor = Callable[..., tuple[str, str]]


@pytest.fixture
def doctor(cluster: Cluster, tmp_path: Path) -> Doctor:
    """Run doctor in a job; give its exit code and what it says, in one line."""
    if cluster.net != "netns":
        pytest.skip("the nodes have no networks of their own here")
    script = tmp_path / "doctor.sh"
    script.write_text('#!/bin/sh\nexport OMP_NUM_THREADS=1\nexec combo-lightning doctor "$@"\n')

    def run(*options: str, nodes: int = 3) -> tuple[str, str]:
        chosen = f"--nodelist=node[1-{nodes}]"
        job = cluster.submit(tmp_path, f"--nodes={nodes}", chosen, script, *options)
        job.wait()
        assert "Traceback" not in job.text
        return job.field("ExitCode"), " ".join(job.text.split())

    return run


def test_a_healthy_cluster_is_healthy(
    doctor: Doctor, cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    code, text = doctor(f"--data={small_screen}", nodes=4)
    assert code == "0:0", text
    assert text.endswith("healthy")
    for said in (
        "node1, node2, node3, node4, examined in",
        "data set all fingerprint",
        "names, ports all each finds each other by name",
        "rendezvous all met on node1, port",
        "all-reduce pairs medians of 6: 4 bytes",
        "node3 node4 4 bytes",
        "a new file is seen elsewhere after",
        "30 races for a hard link have 30 winners",
        "200 reads of a file that all replace, 0 are torn",
        "what to set nothing what is set is right",
    ):
        assert said in text, said
    # Nothing is left in the shared folder, and no process.
    assert not list(tmp_path.glob(".combo-doctor*"))
    assert cluster.run("squeue", "--noheader") == ""


def test_a_wrong_host_name_is_named(doctor: Doctor, cluster: Cluster) -> None:
    with wrong_address(cluster, node="node2", name="node3", address="node1"):
        code, text = doctor()
    assert code == "1:0", text
    assert "5 of 6 ways from node to node work" in text
    assert ".11 for node3, but that is node1: correct node3 in /etc/hosts or DNS there" in text
    assert "medians of 2" in text
    assert text.endswith("1 thing is broken")


def test_names_that_lead_to_the_loopback_need_an_interface_which_is_named(
    doctor: Doctor, cluster: Cluster
) -> None:
    # As Debian's installer writes it.
    with wrong_address(cluster, node="node2", name="node2", address="127.0.1.1"):
        code, text = doctor()
    assert code == "1:0", text
    assert "on node2 the node's own name is 127.0.1.1, and gloo announces that" in text
    assert "what to set export GLOO_SOCKET_IFNAME=eth0" in text
    assert text.endswith("1 thing is broken")


def test_a_blocked_port_is_named(doctor: Doctor, cluster: Cluster) -> None:
    with blocked_ports(cluster, node="node3", source="node2", ports="10000-32767"):
        code, text = doctor()
    assert code == "1:0", text
    assert "node2 cannot connect to node3 (10.213." in text
    assert "on ports 10000 to 32767, where processes meet (no answer within 3 s)" in text
    assert text.endswith("1 thing is broken")


def test_a_node_without_the_shared_folder_and_the_data_set_is_named(
    doctor: Doctor, cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    data = tmp_path / "shared" / "screen"
    shutil.copytree(small_screen, data)
    with hidden(cluster, "node3", data.parent):
        code, text = doctor(f"--data={data}", f"--shared={data.parent}")
    assert code == "1:0", text
    assert "node3 does not see within 10 s what node1 and node2 wrote" in text
    assert f"on node3 it is tmpfs at {data.parent}" in text
    assert f"node3 cannot read the data set: {data} is no data set" in text
    assert text.endswith("2 things are broken")
    assert [path.name for path in data.parent.iterdir()] == ["screen"]


def test_a_node_without_the_program_is_named_and_the_others_are_examined(
    doctor: Doctor, cluster: Cluster
) -> None:
    # The environment that runs these tests, hidden from that node alone.
    venv = Path(sys.prefix).resolve()
    with hidden(cluster, "node3", venv):
        code, text = doctor()
    assert code == "1:0", text
    # Beside it stands why, in either order: there is no such program.
    assert "node3 gives no answer (" in text
    assert "srun: error: node3: task 2: Exited with exit code 2" in text
    assert "medians of 1" in text
    assert text.endswith("1 thing is broken")
