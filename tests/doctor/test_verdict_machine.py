from dataclasses import replace

import pytest

from combo_lightning.doctor.machine import DataSeen, Machine
from combo_lightning.doctor.verdict_machine import judge_data, judge_machines
from tests.doctor.healthy import machine


def judged(**changes: object) -> tuple[str, bool]:
    """Judge three nodes, of which the second is different."""
    machines: dict[str, Machine] = dict.fromkeys(("node1", "node2", "node3"), machine())
    machines["node2"] = replace(machine(), **changes)  # type: ignore[arg-type]
    (finding,) = judge_machines(machines)
    return finding.text, finding.broken


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"torch": "2.6.0"}, "torch is not the same on all nodes (2.13.0 on node1 and node3; "
         "2.6.0 on node2)"),
        ({"package": "0.0.9"}, "combo-lightning is not the same on all nodes"),
        ({"program": ""}, "there is no combo-lightning on the PATH of node2, but on that of"),
        ({"precision": "32-true", "unit": ""}, "--precision auto differs between nodes "
         "(bf16-mixed on node1 and node3; 32-true on node2): give --precision 32-true"),
        ({"gpus": ["A100"]}, "as many GPUs on all nodes (0 on node1 and node3; 1 on node2)"),
    ],
)  # fmt: skip
def test_nodes_that_differ_are_broken(changes: dict[str, object], sentence: str) -> None:
    text, broken = judged(**changes)
    assert sentence in text
    assert broken


def test_more_threads_than_processors_are_worth_a_look() -> None:
    text, broken = judged(num_cores=1, cores="5")
    assert text.startswith("OMP_NUM_THREADS is 8 on node2, where a task may use 1 processors (5)")
    assert not broken


def test_another_folder_of_the_same_version_is_worth_a_look() -> None:
    text, broken = judged(folder="/old/combo_lightning")
    assert "/shared/combo_lightning on node1 and node3; /old/combo_lightning on node2" in text
    assert not broken


def test_a_program_that_is_on_no_path_is_worth_a_look() -> None:
    (finding,) = judge_machines({"here": replace(machine(), program="")})
    assert "activate its environment" in finding.text
    assert not finding.broken


def test_data_sets_that_differ_or_are_missing_are_broken() -> None:
    data = {
        "node1": DataSeen("aa" * 32, 1, ""),
        "node2": DataSeen("", 0, "d is no data set"),
        "node3": DataSeen("bb" * 32, 1, ""),
    }
    missing, other = judge_data(data)
    assert missing.text == "node2 cannot read the data set: d is no data set"
    assert "fingerprint aaaaaaaaaaaaaaaa on node1; bbbbbbbbbbbbbbbb on node3" in other.text
    assert missing.broken
    assert other.broken
