from collections.abc import Callable
from pathlib import Path

import pytest

from combo_lightning import __version__
from tests.conftest import Outcome

Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")


def test_a_workstation_is_healthy_and_its_data_set_told(
    run_here: Run, small_screen: Path, tmp_path: Path
) -> None:
    outcome = run_here("doctor", "--data", small_screen, "--shared", tmp_path)
    assert outcome.code == 0, outcome.output
    for said in (
        "this machine, ",
        f"combo-lightning {__version__}",
        "--precision auto is ",
        "data set ",
        "fingerprint ",
        "GB free",
        "\nwhat to set\n",
    ):
        assert said in outcome.output, said
    assert outcome.output.endswith("\nhealthy\n")
    assert list(tmp_path.iterdir()) == []
    assert max(map(len, outcome.output.splitlines())) <= 100


def test_a_data_set_that_is_not_there_is_broken(run_here: Run, tmp_path: Path) -> None:
    outcome = run_here("doctor", "--data", tmp_path / "nope", "--shared", tmp_path)
    assert outcome.code == 1
    assert f"cannot read the data set: {tmp_path}/nope is no data set" in " ".join(
        outcome.output.split()
    )
    assert outcome.output.endswith("\n1 thing is broken\n")


def test_a_folder_that_is_not_there_is_broken(run_here: Run, tmp_path: Path) -> None:
    outcome = run_here("doctor", "--shared", tmp_path / "nope")
    assert outcome.code == 1
    assert "cannot write in the shared folder" in outcome.output


def test_srun_before_it_is_refused(run_here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    outcome = run_here("doctor")
    assert outcome.code == 2
    assert outcome.output.startswith("error: srun has started doctor on several tasks")
    assert outcome.output.count("\n") == 1
