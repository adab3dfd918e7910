"""Tournaments as users run them: groups started by fit, by torchrun, and as jobs of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest

from combo_lightning.ltfb.plan import read_run
from combo_lightning.ltfb.record import read_rounds
from combo_lightning.ltfb.replay import replay
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

SMALL = [f"--model.network.{part}.widths=[16,16]" for part in ("cell_encoder", "drug_encoder")]
PROGRAM = [sys.executable, "-m", "combo_lightning"]
SECONDS = 150


def words(screen: Path, run: Path, *more: str, base: str = "demo") -> list[str]:
    return [
        *("fit", f"--config={ROOT / 'configs' / base}.yaml"),
        *(f"--config={ROOT / 'configs' / 'ltfb.yaml'}", f"--data.path={screen}"),
        *(f"--run_dir={run}", "--data.split.tournament_fraction=0.1", "--data.batch_size=64"),
        *("--trainer.callbacks.every_n_train_steps=5", *SMALL, *more),
    ]


def start(command: Sequence[str], folder: Path, log: str = "log") -> "subprocess.Popen[str]":
    with (folder / log).open("w") as file:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        )


def run(command: Sequence[str], folder: Path) -> tuple[int, str]:
    process = start(command, folder)
    try:
        process.wait(SECONDS)
    finally:
        process.kill()
    logs = [folder / "log", *sorted(folder.glob("*/group_*/log.txt"))]
    return process.returncode, "\n".join(log.read_text() for log in logs)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)


def assert_whole(folder: Path, groups: int) -> None:
    """Check what a population leaves behind."""
    champion = json.loads((folder / "champion.json").read_text())
    assert set(champion["scores"]) == set(map(str, range(groups)))
    for name in ("champion.ckpt", "ensemble.ckpt"):
        assert (folder / name).is_file()
    assert not list(folder.rglob("*.partial"))
    rounds = read_rounds(folder)
    assert {group for _, group in rounds} == set(range(groups))
    assert replay(read_run(folder)).differences == []


def test_fit_starts_groups_names_a_champion_and_predicts_with_one_and_with_all(
    small_screen: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "population"
    more = ["--num_groups=2", "--trainer.max_epochs=4"]
    code, said = run([*PROGRAM, *words(small_screen, folder, *more)], tmp_path)
    assert code == 0, said
    assert re.search(r"champion: trainer group \d \(mse ", said)
    assert_whole(folder, 2)
    responses = pd.read_parquet(small_screen / "responses.parquet")
    pairs = responses[["cell_id", "drug_1", "drug_2"]].astype(str).head(20)
    pairs.to_csv(tmp_path / "pairs.csv", index=False)
    found = {}
    for name in ("champion", "ensemble"):
        out = tmp_path / f"{name}.csv"
        predict = ["predict", f"--ckpt_path={folder / name}.ckpt", f"--pairs={tmp_path}/pairs.csv"]
        code, said = run([*PROGRAM, *predict, f"--out={out}"], tmp_path)
        assert code == 0, said
        found[name] = pd.read_csv(out)
    assert "prediction_spread" in found["ensemble"]
    assert "prediction_spread" not in found["champion"]
    config = folder / "group_0" / "config.yaml"
    test = ["test", f"--config={config}", f"--ckpt_path={folder / 'ensemble.ckpt'}"]
    code, said = run([*PROGRAM, *test], tmp_path)
    assert code == 0, said
    code, said = run([*PROGRAM, "fit", "--resume", str(folder)], tmp_path)
    assert code == 0
    assert "is finished" in said


def test_a_population_that_is_stopped_goes_on(small_screen: Path, tmp_path: Path) -> None:
    folder = tmp_path / "population"
    more = ["--num_groups=2", "--trainer.max_epochs=60"]
    more += ["--trainer.callbacks.save_every_n_rounds=2"]
    process = start([*PROGRAM, *words(small_screen, folder, *more)], tmp_path)
    until((folder / "population.json").exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert "go on with: combo-lightning fit --resume" in (tmp_path / "log").read_text()
    code, said = run([*PROGRAM, "fit", "--resume", str(folder)], tmp_path)
    assert code == 0, said
    assert_whole(folder, 2)


def test_a_group_that_is_killed_is_started_again_and_takes_part(
    small_screen: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "population"
    more = ["--num_groups=2", "--trainer.max_epochs=150"]
    process = start([*PROGRAM, *words(small_screen, folder, *more)], tmp_path)
    beat = folder / "channel" / "group_1.beat"
    until(lambda: len(read_rounds(folder)) > 4 if (folder / "group_0").exists() else False)
    os.kill(json.loads(beat.read_text())["pid"], signal.SIGKILL)
    assert process.wait(SECONDS) == 0, (tmp_path / "log").read_text()
    assert "trainer group 1 ended with code -9; started again" in (tmp_path / "log").read_text()
    champion = json.loads((folder / "champion.json").read_text())
    assert set(champion["scores"]) == {"0", "1"}


@pytest.mark.parametrize("overlay", ["ddp", "fsdp"])
def test_torchrun_is_cut_into_groups_of_several_processes(
    overlay: str, small_screen: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "population"
    more = [f"--config={ROOT / 'configs' / overlay}.yaml", "--num_groups=2"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=4"]
    command = words(small_screen, folder, *more, "--trainer.max_epochs=3")
    code, said = run([*launch, "-m", "combo_lightning", *command], tmp_path)
    assert code == 0, said
    assert_whole(folder, 2)


def test_independent_jobs_meet_in_a_folder(small_screen: Path, tmp_path: Path) -> None:
    folder = tmp_path / "population"
    more = ["--num_groups=2", "--trainer.callbacks.channel=directory", "--trainer.max_epochs=80"]
    jobs = [
        start(
            [*PROGRAM, *words(small_screen, folder, *more, f"--group={group}")],
            tmp_path,
            f"job_{group}",
        )
        for group in (0, 1)
    ]
    codes = [job.wait(SECONDS) for job in jobs]
    assert codes == [0, 0], [(tmp_path / f"job_{g}").read_text()[-2000:] for g in (0, 1)]
    assert_whole(folder, 2)
    assert any(record.met for record in read_rounds(folder).values())


def test_the_module_of_the_docs_trains(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "ltfb.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "toy.py").write_text(code)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "toy.py"]
    exit_code, said = run(launch, tmp_path)
    assert exit_code == 0, said
    rounds = read_rounds(tmp_path / "runs" / "toy")
    assert max(number for number, _ in rounds) == 10
    # Both begin with the same weights, so that 1e-5 has no lucky start to win with.
    assert {rounds[10, group].hyperparameters["learning_rate"] for group in (0, 1)} == {1e-2}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--trainer.callbacks=null"], "num_groups is 2, but no LTFB callback"),
        (["--data.split.tournament_fraction=0"], "data.split.tournament_fraction"),
        (["--trainer.callbacks.rule.metrics=[r2]"], "rule.metrics has 'r2'"),
        (["--trainer.callbacks.every_n_train_steps=0"], "set one of them above 0"),
        (["--group=2"], "trainer group 2 of 2 does not exist"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start_with_a_sentence(
    more: list[str], said: str, small_screen: Path, tmp_path: Path
) -> None:
    command = words(small_screen, tmp_path / "population", "--num_groups=2", *more)
    code, output = run([*PROGRAM, *command], tmp_path)
    assert code == 2, output
    assert said in output
    assert "Traceback" not in output


def test_tournaments_without_groups_are_refused(small_screen: Path, tmp_path: Path) -> None:
    code, output = run([*PROGRAM, *words(small_screen, tmp_path / "population")], tmp_path)
    assert code == 2, output
    assert "start the fit with --num_groups N" in output
