"""A whole examination, of two processes of this machine; a shell stands for srun."""

import sys
from pathlib import Path

import pytest

from combo_lightning.doctor.examination import Examination, Speed, examine_nodes, rounds
from combo_lightning.doctor.folder import RACES
from combo_lightning.doctor.verdict import judge
from tests.doctor.healthy import healthy

# Both lead to this machine.
NODES = ["localhost", "127.0.0.1"]
# Each line to both, and what both say together, as srun does.
FAN_OUT = """
trap 'rm -f {pipe}' EXIT
mkfifo {pipe}
SLURMD_NODENAME={second} {probe} <{pipe} &
tee {pipe} | SLURMD_NODENAME={first} {probe}
wait
"""


@pytest.mark.slow
def test_two_processes_of_this_machine_are_a_healthy_job(
    tmp_path: Path, small_screen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A laptop's own name may have no address.
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    probe = f"{sys.executable} -m combo_lightning.doctor.probe"
    script = FAN_OUT.format(pipe=tmp_path / "pipe", first=NODES[0], second=NODES[1], probe=probe)
    found = examine_nodes(NODES, ["bash", "-c", script], "doctor-test", small_screen, tmp_path)
    assert found.silent == {}
    assert [finding for finding in judge(found) if finding.broken] == []
    assert list(found.machines) == list(found.data) == NODES
    assert isinstance(found.pairs["localhost", "127.0.0.1"], Speed)
    assert found.whole is not None
    assert {len(met) for met in found.met.values() if not isinstance(met, str)} == {2}
    assert sum(len(won) for won in found.races.values()) == RACES
    assert [path.name for path in tmp_path.iterdir()] in ([], ["pipe"])


@pytest.mark.parametrize("count", [2, 3, 4, 7, 8])
def test_each_meets_each_other_once_in_rounds_without_a_wait(count: int) -> None:
    names = [f"node{i}" for i in range(count)]
    met = []
    for pairs in rounds(names):
        busy = [name for pair in pairs for name in pair]
        assert len(busy) == len(set(busy)) >= count - 1
        met += pairs
    assert len(set(met)) == len(met) == count * (count - 1) // 2
    assert all(names.index(one) < names.index(other) for one, other in met)


def test_the_folder_is_that_of_the_most_nodes() -> None:
    found = healthy("node1", "node2", "node3")
    found.notes = {"node1": ["node1"], "node2": ["node2", "node3"], "node3": ["node2", "node3"]}
    assert found.shared_by == ["node2", "node3"]
    assert Examination(["node1"]).shared_by == []
