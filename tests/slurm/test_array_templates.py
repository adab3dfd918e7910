"""Scripts of one task and of arrays, unchanged, on a real Slurm: they give the plain results."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from combo_lightning.data.dataset import read_dataset
from tests.conftest import ROOT, Outcome
from tests.inference.models import make_checkpoint, make_data
from tests.slurm.cluster import Cluster, Job
from tests.slurm.events import DEMO, SMALL

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

PREPARE, PREDICT, FOLDS, SCREEN = (
    ROOT / "scripts" / "slurm" / f"{name}.sbatch"
    for name in ("prepare", "predict", "cross_validation_array", "screen_array")
)
RunCli = Callable[..., Outcome]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 150 drugs in 3 lines: pairs enough for several calls a part."""
    folder = tmp_path_factory.mktemp("model")
    data = make_data(folder / "data", cells=3, drugs=150, combinations=1000)
    return make_checkpoint(data, folder / "a.ckpt", join="symmetric")


def submit_array(cluster: Cluster, folder: Path, tasks: range, *words: object) -> list[Job]:
    """Submit an array; give its tasks. One core each: a sum's order depends on the threads."""
    array = f"--array={tasks.start}-{tasks.stop - 1}"
    output = ("--output=%A_%a.log", "--cpus-per-task=1")
    number = cluster.submit(folder, array, *output, *words).number
    return [Job(cluster, f"{number}_{n}", folder / f"{number}_{n}.log") for n in tasks]


def run_plain(folder: Path, *words: str) -> None:
    """Run a command without Slurm, on one thread like the tasks."""
    done = subprocess.run(
        [sys.executable, "-m", "combo_lightning", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_prepare_gives_the_plain_data_set(
    cluster: Cluster, tmp_path: Path, run_cli: RunCli
) -> None:
    raw = tmp_path / "raw"
    made = run_cli(
        "simulate", "--preset=small", "--raw=true", "--combinations=100", f"--out={raw}"
    )
    assert made.code == 0, made.output
    words = [
        *("almanac-growth", f"--growth={raw}/ComboDrugGrowth.csv", f"--drugs={raw}/drugs.csv"),
        *(f"--cells={raw}/cells.csv", f"--expression={raw}/expression.parquet"),
    ]
    job = cluster.submit(tmp_path, PREPARE, *words, "--out=mine")
    assert job.wait() == "COMPLETED", job.text
    plain = run_cli("prepare", *words, f"--out={tmp_path / 'plain'}")
    assert plain.code == 0, plain.output
    mine, wanted = read_dataset(tmp_path / "mine"), read_dataset(tmp_path / "plain")
    assert mine.fingerprint == wanted.fingerprint
    assert "next: combo-lightning info mine" in job.text


def test_predict_gives_the_plain_predictions(
    cluster: Cluster, checkpoint: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("cell_id,drug_1,drug_2\nSIM-1,900001,900002\nSIM-3,900007,900003\n")
    words = [f"--ckpt_path={checkpoint}", f"--pairs={pairs}"]
    job = cluster.submit(tmp_path, "--cpus-per-task=1", PREDICT, *words, "--out=mine.csv")
    assert job.wait() == "COMPLETED", job.text
    plain = run_cli("predict", *words, f"--out={tmp_path / 'plain.csv'}")
    assert plain.code == 0, plain.output
    assert (tmp_path / "mine.csv").read_text() == (tmp_path / "plain.csv").read_text()


def test_an_array_screens_in_parts_and_the_last_merges(
    cluster: Cluster, checkpoint: Path, tmp_path: Path
) -> None:
    words = [f"--ckpt_path={checkpoint}", "--top=50"]
    tasks = submit_array(cluster, tmp_path, range(1, 4), SCREEN, *words, "--out=out/top.parquet")
    for task in tasks:
        assert task.wait() == "COMPLETED", task.text
    run_plain(tmp_path, "screen", *words, "--out=plain.parquet")
    mine = (tmp_path / "out" / "top.parquet").read_bytes()
    assert mine == (tmp_path / "plain.parquet").read_bytes()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["top.parquet"]
    said = [task.text for task in tasks]
    assert sum("the best of 33,525 scores" in text for text in said) == 1
    assert sum("is done: " in text for text in said) == 2


def test_an_array_of_folds_goes_on_after_a_requeue_and_ends_with_the_plain_summary(
    cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    words = [
        *(DEMO, *SMALL, f"--data.path={small_screen}", "--data.batch_size=64"),
        *("--trainer.max_epochs=20", "--trainer.callbacks=null"),
    ]
    tasks = submit_array(cluster, tmp_path, range(2), FOLDS, *words, "--out=folds")
    last = tmp_path / "folds" / "fold-1" / "checkpoints" / "last.ckpt"
    tasks[1].wait_until(last.exists)
    cluster.run("scontrol", "requeue", tasks[1].number)
    # Meanwhile, beside it and without Slurm.
    run_plain(tmp_path, "cross-validate", "--folds=2", *words, "--out=plain")
    for task in tasks:
        assert task.wait() == "COMPLETED", task.text
    record = json.loads((last.parents[1] / "run.json").read_text())
    assert len(record["starts"]) == 2
    assert re.search(r"stopped by SIGTERM at step [1-9]", tasks[1].text)
    assert any("wrote folds/summary.csv" in task.text for task in tasks)
    found, wanted = (pd.read_csv(tmp_path / name / "summary.csv") for name in ("folds", "plain"))
    pd.testing.assert_frame_equal(found, wanted)


@pytest.mark.parametrize(
    ("script", "array", "sentence"),
    [
        (FOLDS, range(1, 3), "--array is 1-2, but 2 folds are 0-1"),
        (SCREEN, range(2), "--array is 0-1, but 2 parts are 1-2"),
    ],
    ids=["folds", "screen"],
)
def test_an_array_that_is_not_all_parts_is_refused(
    script: Path, array: range, sentence: str, cluster: Cluster, tmp_path: Path
) -> None:
    for task in submit_array(cluster, tmp_path, array, script):
        assert task.wait() == "FAILED", task.text
        assert task.field("ExitCode") == "2:0"
        assert sentence in task.text
