"""How jobs stand, in words, and which job a name means."""

import json
from pathlib import Path

import pytest

from combo_lightning.errors import InputError
from combo_lightning.slurm.job_status import Job, find_jobs, number_of, run_of, submitted
from combo_lightning.slurm.jobs import facts_of

RUNNING = (
    "JobId=12 JobName=combo-fit-demo JobState=RUNNING Reason=None ExitCode=0:0 RunTime=00:03:12 "
    "TimeLimit=02:00:00 StartTime=2026-11-25T10:00:00 EndTime=2026-11-25T12:00:00 "
    "NodeList=node[1-2] StdOut=/r/job-12.log Command=/nowhere/job.sbatch WorkDir=/nowhere"
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "RUNNING on node[1-2] for 00:03:12, 1:56:48 left"),
        ({"TimeLimit": "UNLIMITED"}, "RUNNING on node[1-2] for 00:03:12, no limit"),
        ({"JobState": "COMPLETING"}, "COMPLETING on node[1-2] after 00:03:12"),
        ({"JobState": "COMPLETED"}, "COMPLETED after 00:03:12"),
        ({"JobState": "FAILED", "ExitCode": "2:0"}, "FAILED after 00:03:12 (exit code 2)"),
        ({"JobState": "PENDING", "Reason": "Resources", "StartTime": "Unknown"},
         "PENDING (Resources)"),
        ({"JobState": "PENDING", "Reason": "Priority"},
         "PENDING (Priority), to start 2026-11-25 10:00:00"),
    ],
)  # fmt: skip
def test_a_job_is_told_in_a_few_words(changes: dict[str, str], words: str) -> None:
    from combo_lightning.slurm.jobs import end_time

    facts = facts_of(RUNNING) | changes
    end = end_time(facts)
    assert end is not None
    job = Job("12", facts, None)
    assert job.words(now=end - 7008) == words
    assert job.ended == (words.split()[0] in ("COMPLETED", "FAILED"))
    assert job.logs == [Path("/r/job-12.log")]


def test_an_arrays_tasks_have_numbers_of_their_own() -> None:
    assert number_of(facts_of("JobId=14 ArrayJobId=12 ArrayTaskId=3 JobName=x")) == "12_3"
    assert number_of(facts_of(RUNNING)) == "12"


def test_a_jobs_run_is_where_its_script_stands_or_is_named_after_it(tmp_path: Path) -> None:
    facts = facts_of(RUNNING)
    assert run_of(facts) is None
    (tmp_path / "runs" / "demo-12").mkdir(parents=True)
    facts["WorkDir"] = str(tmp_path)
    assert run_of(facts) == tmp_path / "runs" / "demo-12"
    (tmp_path / "submitted.json").write_text("{}")
    facts["Command"] = str(tmp_path / "job.sbatch")
    assert run_of(facts) == tmp_path


def test_a_name_that_is_neither_run_nor_job_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "demo-1"
    run.mkdir(parents=True)
    with pytest.raises(InputError, match=r"runs/demo-1 is no run folder"):
        find_jobs("runs/demo-1")
    (run / "submitted.json").write_text("{}")
    with pytest.raises(InputError, match=r"'runs/demo-2' is neither.*did you mean 'runs/demo-1'"):
        find_jobs("runs/demo-2")


def test_a_run_that_no_job_made_has_none(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    (job,) = find_jobs(str(tmp_path))
    assert (job.number, job.run, job.words(0.0)) == (None, tmp_path, "no job")


def test_a_job_that_slurm_has_forgotten_is_known_by_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whether Slurm is not here or does not know it is one thing to its user.
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    run = Path("runs/demo-1")
    run.mkdir(parents=True)
    log = tmp_path / "job-12_0.log"
    log.write_text("said\n")
    record = {"job": "12", "name": "combo-x", "log": str(tmp_path / "job-12_*.log")}
    (run / "submitted.json").write_text(json.dumps(record))
    for name in ("12", str(run)):
        (job,) = find_jobs(name)
        assert (job.number, job.name, job.run, job.ended) == ("12", "combo-x", run, True)
        assert job.logs == [log]
    with pytest.raises(InputError, match="Slurm does not know job 13, and no runs/"):
        find_jobs("13")
    # Submitted again by hand: the launcher's word is newer.
    (run / "attempts.json").write_text(json.dumps({"job": "15", "attempts": []}))
    assert find_jobs(str(run))[0].number == "15"
    assert submitted(tmp_path) == {}
