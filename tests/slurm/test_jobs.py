"""Slurm's words are read as they are, and its refusals become one sentence."""

import pytest

from combo_lightning.errors import InputError
from combo_lightning.slurm.jobs import (
    ask_slurm,
    end_time,
    facts_of,
    host_names,
    job_facts,
    node_states,
)
from tests.slurm.cluster import Cluster

LINE = (
    "JobId=7 ArrayJobId=6 JobName=combo fit UserId=root(0) JobState=RUNNING Reason=None "
    "Dependency=(null) Requeue=1 Restarts=0 ExitCode=0:0 EndTime=2026-11-26T10:00:00 "
    "NodeList=node[1-2] TRES=cpu=2,mem=4000M,node=2 Command=/x/fit.sbatch --data.path=a b "
    "WorkDir=/w Power="
)


def test_a_jobs_line_is_read_with_blanks_and_equals_signs_in_its_values() -> None:
    facts = facts_of(LINE)
    assert facts["JobName"] == "combo fit"
    assert facts["TRES"] == "cpu=2,mem=4000M,node=2"
    assert facts["Command"] == "/x/fit.sbatch --data.path=a b"
    assert facts["Power"] == ""
    assert facts["NodeList"] == "node[1-2]"


def test_the_end_of_a_jobs_time_is_known_or_there_is_none() -> None:
    assert end_time(facts_of(LINE)) is not None
    assert end_time({"EndTime": "Unknown"}) is None
    assert end_time({}) is None


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="there is no sbatchy on this machine"):
        ask_slurm("sbatchy")


@pytest.mark.slow
@pytest.mark.slurm
def test_a_real_cluster_answers(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    assert host_names("node[1-3]") == ["node1", "node2", "node3"]
    assert set(node_states("node[2-3]")) == {"node2", "node3"}
    with pytest.raises(InputError, match="Invalid job id specified"):
        job_facts("999999")
    with pytest.raises(InputError, match="invalid partition specified: nope"):
        ask_slurm("sbatch", "--partition=nope", "--wrap=true")
