"""Nothing is found in healthy nodes, and a node without an answer is named first."""

from combo_lightning.doctor.verdict import judge
from tests.doctor.healthy import healthy


def test_healthy_nodes_have_no_findings() -> None:
    assert judge(healthy("node1", "node2", "node3", "node4")) == []
    assert judge(healthy("node1")) == []


def test_a_silent_node_comes_first() -> None:
    found = healthy("node1", "node2")
    found.silent = {"node3": "srun: error: node3: task 2: Killed"}
    found.clocks["node2"] = (100.0, 0.0)
    first, second = judge(found)
    assert first.broken
    assert first.text.startswith("node3 gives no answer (srun: error: node3: task 2: Killed)")
    assert "the clock of" in second.text
