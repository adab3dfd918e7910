"""The scripts that users submit, unchanged, on a real Slurm of nodes with networks of their own.

Nodes are told apart by name and address: what works on one machine alone (127.0.0.1) fails here.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from combo_lightning.checkpoint import load_checkpoint
from combo_lightning.ltfb.record import read_rounds
from tests.conftest import ROOT, Outcome
from tests.slurm.breaking import hidden
from tests.slurm.cluster import Cluster
from tests.slurm.events import DDP, DEMO, FIT, LTFB, SMALL, TOURNAMENTS

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

STEPS = 8
SHORT = [*SMALL, "--data.batch_size=64", "--trainer.max_epochs=1", f"--trainer.max_steps={STEPS}"]


@pytest.fixture(scope="module")
def one_process(
    small_screen: Path, tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., Outcome]
) -> dict[str, Any]:
    """The last checkpoint of a fit that one process makes, without Slurm."""
    run = tmp_path_factory.mktemp("one") / "run"
    outcome = run_cli("fit", DEMO, *SHORT, f"--data.path={small_screen}", f"--run_dir={run}")
    assert outcome.code == 0, outcome.output
    return load_checkpoint(run / "checkpoints" / "last.ckpt")


@pytest.mark.parametrize("overlay", ["ddp", "fsdp", "tensor_parallel"])
def test_two_nodes_train_what_one_process_trains(
    overlay: str,
    cluster: Cluster,
    small_screen: Path,
    tmp_path: Path,
    one_process: dict[str, Any],
) -> None:
    # The overlay asks for two devices of one node, and the name switches Lightning's own off.
    job = cluster.submit(
        tmp_path, "--nodes=2", "--job-name=interactive", FIT, DEMO, *SHORT,
        f"--config={ROOT / 'configs' / overlay}.yaml", f"--data.path={small_screen}",
    )  # fmt: skip
    assert job.wait() == "COMPLETED", job.text
    run = tmp_path / "runs" / f"{small_screen.name}-{job.number}"
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    found = load_checkpoint(run / "checkpoints" / "last.ckpt")
    assert found["global_step"] == one_process["global_step"] == STEPS
    for name, weight in one_process["state_dict"].items():
        # Two processes sum in another order than one.
        torch.testing.assert_close(
            found["state_dict"][name], weight, rtol=2e-5, atol=2e-5, msg=name
        )


def test_four_nodes_hold_a_tournament_of_groups_of_two_ranks(
    cluster: Cluster, small_screen: Path, tmp_path: Path, run_cli: Callable[..., Outcome]
) -> None:
    job = cluster.submit(
        tmp_path, "--nodes=4", "--ntasks-per-node=2", LTFB, DEMO, DDP, TOURNAMENTS, *SHORT,
        f"--data.path={small_screen}", "--trainer.callbacks.every_n_train_steps=4",
    )  # fmt: skip
    assert job.wait() == "COMPLETED", job.text
    run = tmp_path / "runs" / f"{small_screen.name}-{job.number}"
    assert load_checkpoint(run / "champion.ckpt")["global_step"] == STEPS
    rounds = read_rounds(run)
    assert {group for _, group in rounds} == {0, 1, 2, 3}
    assert any(record.met for record in rounds.values())
    replayed = run_cli("ltfb", "replay", run)
    assert replayed.code == 0, replayed.output
    reported = run_cli("ltfb", "report", run)
    assert reported.code == 0, reported.output


def test_a_group_may_span_nodes_and_nodes_may_hold_several_groups(
    cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    layouts = {"spans": ["--nodes=4"], "shares": ["--nodes=1", "--ntasks-per-node=2"]}
    for name, request_ in layouts.items():
        run = tmp_path / name
        job = cluster.submit(
            tmp_path, *request_, LTFB, DEMO, DDP, TOURNAMENTS, *SHORT, "--num_groups=2",
            f"--data.path={small_screen}", f"--run_dir={run}",
            "--trainer.callbacks.every_n_train_steps=4",
        )  # fmt: skip
        assert job.wait() == "COMPLETED", job.text
        assert any(record.met for record in read_rounds(run).values())


def test_the_components_of_a_heterogeneous_job_are_one_launch(
    cluster: Cluster, small_screen: Path, tmp_path: Path, one_process: dict[str, Any]
) -> None:
    run = tmp_path / "run"
    job = cluster.submit(
        tmp_path, "--nodes=1", ":", "--nodes=2", FIT, DEMO, DDP, *SHORT,
        f"--data.path={small_screen}", f"--run_dir={run}",
    )  # fmt: skip
    assert job.wait() == "COMPLETED", job.text
    found = load_checkpoint(run / "checkpoints" / "last.ckpt")
    for name, weight in one_process["state_dict"].items():
        torch.testing.assert_close(
            found["state_dict"][name], weight, rtol=2e-5, atol=2e-5, msg=name
        )


def test_a_node_that_does_not_see_the_data_is_named(
    cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    with hidden(cluster, "node2", small_screen.parent):
        job = cluster.submit(
            tmp_path, "--nodes=2", "--nodelist=node1,node2", FIT, DEMO, DDP, *SHORT,
            f"--data.path={small_screen}",
        )  # fmt: skip
        assert job.wait() == "FAILED", job.text
    assert job.field("ExitCode") == "2:0", job.text
    assert f"node node2 does not see {small_screen}; put it on a folder" in job.text


@pytest.mark.parametrize(
    ("script", "request_", "options", "sentence"),
    [
        (FIT, ["--nodes=2"], [DDP, "--trainer.devices=2"],
         "--trainer.devices is 2, but step JOB.1 (2 nodes x 1 tasks) gives 1"),
        (LTFB, ["--nodes=3"], [TOURNAMENTS, "--num_groups=2"],
         "cannot cut 3 tasks (3 nodes x 1) into 2 equal trainer groups"),
    ],
    ids=["devices", "groups"],
)  # fmt: skip
def test_a_job_that_does_not_fit_is_refused_with_its_numbers(
    script: Path,
    request_: list[str],
    options: list[str],
    sentence: str,
    cluster: Cluster,
    small_screen: Path,
    tmp_path: Path,
) -> None:
    job = cluster.submit(
        tmp_path, *request_, script, DEMO, *options, f"--data.path={small_screen}"
    )
    assert job.wait() == "FAILED"
    assert job.field("ExitCode") == "2:0"
    assert sentence.replace("JOB", job.number) in job.text
    assert "Traceback" not in job.text


def test_two_steps_of_a_job_on_the_same_node_do_not_meet(
    cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    script = tmp_path / "two_steps.sh"
    fit = "combo-lightning fit " + " ".join(
        [DEMO, DDP, *SHORT, f"--data.path={small_screen}", "--trainer.max_steps=2"]
    )
    step = f"srun --exact --nodes=2 --ntasks=2 --cpus-per-task=1 --mem=900 {fit}"
    script.write_text(f"#!/bin/bash\n{step} &\nfirst=$!\n{step} &\nwait $!\nwait $first\n")
    job = cluster.submit(tmp_path, "--nodes=2", "--ntasks-per-node=2", "--mem=2000", script)
    assert job.wait() == "COMPLETED", job.text
    # Otherwise one waited for the other.
    assert "temporarily" not in job.text, job.text
    done = sorted(
        path.parent.parent.name for path in tmp_path.glob("runs/*/checkpoints/last.ckpt")
    )
    assert done == [f"{small_screen.name}-{job.number}", f"{small_screen.name}-{job.number}.1"]
