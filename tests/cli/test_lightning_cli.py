"""Bad options and bad data end fit and test in one sentence, before anything is written."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, Outcome

# Fits run in processes of their own.
pytestmark = pytest.mark.slow

RunCli = Callable[..., Outcome]
DEMO = f"--config={ROOT / 'configs' / 'demo.yaml'}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data.path=no/such"], "no/such is no data set"),
        (["--data.batch_size=0"], "data.batch_size is 0"),
        (["--data.split.test_fraction=1.5"], "data.split.test_fraction is 1.5"),
        (["--data.split.kind=leave_it"], "leave_it"),
        (["--data.split.tournament_fraction=0.9"], "leaves nothing to train on"),
        (["--data.overlap=2"], "data.overlap is 2"),
        (["--data.group_rows=half"], "half"),
        (["--data.split.kind=leave_tissue_out", "--data.split.num_folds=99"], "only"),
        (["--data.split.kind=file"], "go together"),
        (["--data.transform.cell_blocks=[expresion]"], "did you mean 'expression'"),
        (["--model.network.join=concatenate"], "has no product terms"),
        (["--model.network.head.widths=[]"], "one width or more"),
        (["--model.network.dropuot_mode=per_sample"], "dropuot_mode"),
        (["--trainer.max_epochs=-1"], "needs an end"),
        (["--model.optimizer.learning_rate=0"], "optimizer.learning_rate is 0"),
        (["--model.optimizer.betas=[0.9]"], "give two numbers"),
        (["--seed_everything=-3"], "seed_everything"),
        (["--trainer.devices=0"], "devices"),
        (["--precision=fp8"], "precision"),
        (["--trainer.precision=64-true"], "set --precision"),
    ],
)
def test_a_bad_option_of_fit_is_one_message(
    run_cli: RunCli, small_screen: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    run_dir = tmp_path / "run"
    outcome = run_cli("fit", DEMO, f"--data.path={small_screen}", f"--run_dir={run_dir}", *options)
    assert outcome.code == 2, outcome.output
    assert message in outcome.output
    assert "Traceback" not in outcome.output
    assert not run_dir.exists()


STOP = "--trainer.callbacks+=lightning.pytorch.callbacks.EarlyStopping"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trainer.callbacks.monitor=val_msee"], "did you mean 'val_mse'"),
        (["--trainer.callbacks.monitor=val_mse", "--data.split.validation_fraction=0"],
         "there are no validation rows"),
    ],
)  # fmt: skip
def test_early_stopping_on_what_is_not_there_is_refused_at_once(
    run_cli: RunCli, small_screen: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    run_dir = tmp_path / "run"
    outcome = run_cli(
        "fit", DEMO, f"--data.path={small_screen}", f"--run_dir={run_dir}", STOP, *options
    )
    assert outcome.code == 2, outcome.output
    assert message in outcome.output
    assert not run_dir.exists()


def test_a_fit_that_ends_within_its_first_epoch_has_no_score_to_stop_on(
    run_cli: RunCli, small_screen: Path, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    result = run_cli(
        *("fit", DEMO, f"--data.path={small_screen}", f"--run_dir={run_dir}", STOP),
        "--trainer.callbacks.monitor=val_mse",
        *("--data.batch_size=64", "--trainer.max_steps=2", "--precision=bf16-mixed"),
    )
    assert result.code == 0, result.output
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    assert config["precision"] == "bf16-mixed"
    assert config["trainer"]["precision"] is None


def test_an_empty_section_of_a_configuration_is_one_message(
    run_cli: RunCli, small_screen: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.yaml").write_text(f"data:\n  path: {small_screen}\n  transform: null\n")
    outcome = run_cli("fit", DEMO, f"--config={tmp_path / 'bad.yaml'}")
    assert outcome.code == 2, outcome.output
    assert "the configuration cannot be used" in outcome.output
    assert "Traceback" not in outcome.output


@pytest.mark.parametrize("command", ["test", "validate"])
def test_scoring_needs_a_checkpoint(run_cli: RunCli, small_screen: Path, command: str) -> None:
    outcome = run_cli(command, DEMO, f"--data.path={small_screen}")
    assert outcome.code == 2
    assert f"{command} needs --ckpt_path" in outcome.output
    outcome = run_cli(command, DEMO, f"--data.path={small_screen}", "--ckpt_path=no/such.ckpt")
    assert outcome.code == 2
    assert "there is no checkpoint" in outcome.output
    assert "Traceback" not in outcome.output


def test_resuming_what_is_no_run_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    outcome = run_cli("fit", "--resume", tmp_path)
    assert outcome.code == 2
    assert "is no run folder" in outcome.output


@pytest.mark.slow
def test_cross_validation_gives_mean_and_spread_and_goes_on_where_it_stopped(
    run_cli: RunCli, small_screen: Path, tmp_path: Path
) -> None:
    words = (
        "cross-validate", DEMO, f"--data.path={small_screen}", "--trainer.max_epochs=1",
        "--folds=2", f"--out={tmp_path / 'cv'}", "--data.split.kind=leave_pair_out",
    )  # fmt: skip
    first = run_cli(*words)
    assert first.code == 0, first.output
    summary = (tmp_path / "cv" / "summary.csv").read_text()
    assert summary.splitlines()[0].startswith("name,folds,r2,r2_sd")
    assert {line.split(",")[1] for line in summary.splitlines()[1:]} == {"2"}
    again = run_cli(*words)
    assert "fold 1 of 2" not in again.output
    assert (tmp_path / "cv" / "summary.csv").read_text() == summary
    assert run_cli("cross-validate", DEMO, "--folds=1", "--out=x").code == 2


def test_a_fit_needs_no_pandas(small_screen: Path, tmp_path: Path) -> None:
    words = [
        *("fit", f"--data.path={small_screen}", f"--run_dir={tmp_path / 'run'}"),
        *("--trainer.max_epochs=1", "--trainer.limit_train_batches=1"),
    ]
    code = (
        "import sys\nfrom combo_lightning.cli.main import run_program\n"
        f"code = run_program({words!r})\n"
        "sys.exit(code or 10 * ('pandas' in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
