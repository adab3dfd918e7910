"""The commands around jobs, as far as they need no Slurm; tests/slurm submits for real."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from combo_lightning.cli import slurm_checks, slurm_submit
from combo_lightning.cli.planned_fit import PlannedFit
from combo_lightning.cli.slurm import again, status_line
from combo_lightning.cli.slurm_checks import check_disk, check_fit, check_time
from combo_lightning.cli.slurm_submit import Request, look_at
from combo_lightning.errors import InputError
from combo_lightning.slurm.job_status import Job
from combo_lightning.slurm.submission import Option
from tests.conftest import Outcome

FIT = PlannedFit(
    data=Path("data/mine"),
    resumed=False,
    joins=False,
    fingerprint="f00d",
    parameters=1000,
    num_groups=1,
    rows=10_000,
    batch_size=100,
    steps=6000,
    checkpoint_bytes=36_000,
)


def earlier_run(runs: Path, name: str, **changes: Any) -> Path:
    """Write what a run of 600 steps in 60 seconds leaves: 1,000 rows a second."""
    run = runs / name
    run.mkdir(parents=True)
    record = {
        "status": "finished", "data": {"fingerprint": "f00d"}, "parameters": 1000, "steps": 700,
        "starts": [{"at": "2026-11-25T09:00:00+00:00", "step": 0},
                   {"at": "2026-11-25T10:00:00+00:00", "step": 100}],
        "ended": "2026-11-25T10:01:00+00:00",
    }  # fmt: skip
    (run / "run.json").write_text(json.dumps(record | changes))
    (run / "config.yaml").write_text("data:\n  path: x\n  batch_size: 100\n")
    return run


def test_the_light_commands_answer_without_heavy_imports() -> None:
    code = (
        "import sys; from combo_lightning.cli.main import run_program;"
        "run_program(['slurm', '--help']); run_program(['slurm', 'status', 'nothing']);"
        "sys.exit(any(heavy in sys.modules for heavy in ('torch', 'lightning', 'pandas')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "slurm submit [--dry-run]" in done.stdout
    assert "'nothing' is neither a run folder nor a job's number" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["slurm", "statu"], "there is no 'statu'; did you mean 'status'?"),
        (["slurm", "submit", "--nodes=2"], "no template is named; there are "),
        (["slurm", "submit", "ltbf"], "there is no template 'ltbf'; did you mean 'ltfb'?"),
        (["slurm", "submit", "--wrap=x", "fit"], "--wrap has no place here; name a template"),
        (["slurm", "submit", "--test-only", "fit"], "use --dry-run"),
    ],
)
def test_bad_words_are_refused_with_what_would_be_right(
    words: list[str], sentence: str, run_here: Callable[..., Outcome]
) -> None:
    outcome = run_here(*words)
    assert outcome.code == 2
    assert sentence in outcome.output


def test_a_dry_run_may_be_asked_for_anywhere_before_the_template() -> None:
    request = Request.read(["--nodes=2", "--dry-run", "fit", "--dry-run"])
    assert request.dry_run
    assert [str(option) for option in request.chosen] == ["--nodes=2"]
    assert request.words == ["--dry-run"]


def test_templates_are_found_where_the_package_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = slurm_submit.TEMPLATES[0]
    installed = tmp_path / "templates"
    shutil.copytree(checkout, installed)
    monkeypatch.setattr(slurm_submit, "TEMPLATES", (tmp_path / "none", installed))
    assert slurm_submit.read_template("fit")[1] == (checkout / "fit.sbatch").read_text()
    own = tmp_path / "mine.sh"
    own.write_text("#!/bin/sh\n")
    assert slurm_submit.read_template(str(own)) == ("mine", "#!/bin/sh\n")


def test_other_commands_are_parsed_and_get_a_folder_beside_their_output(tmp_path: Path) -> None:
    text = '#!/bin/bash\nexec combo-lightning predict "$@"\n'
    words = ["--ckpt_path=a.ckpt", "--pairs=pairs.csv", f"--out={tmp_path}/out.csv"]
    target = look_at(Request(False, [], "predict", text, words), [])
    assert (target.folder, target.data) == (tmp_path / "out.csv.job", "out")
    with pytest.raises(SystemExit):
        look_at(Request(False, [], "predict", text, [*words, "--pears=x"]), [])


def test_the_folds_of_a_cross_validation_are_checked_as_fits(
    small_screen: Path, tmp_path: Path
) -> None:
    text = 'combo-lightning cross-validate --folds "$folds" --fold "$SLURM_ARRAY_TASK_ID" "$@"\n'
    words = [f"--data.path={small_screen}", "--out", str(tmp_path / "folds"), "--folds=3"]
    options = [Option("array", "0-2")]
    target = look_at(Request(False, [], "folds", text, words), options)
    assert (target.folder, target.fit) == (tmp_path / "folds.job", None)
    bad = Request(False, [], "folds", text, [*words, "--data.batch_size=0"])
    with pytest.raises(InputError, match=r"data.batch_size is 0"):
        look_at(bad, options)


def test_a_run_folder_that_is_taken_is_refused(small_screen: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    words = [f"--data.path={small_screen}", f"--run_dir={tmp_path}"]
    request = Request(False, [], "fit", 'exec srun combo-lightning fit "$@"\n', words)
    with pytest.raises(InputError, match=r"holds a run already; go on with '--resume"):
        look_at(request, [])
    # What a submission leaves is no run yet.
    (tmp_path / "config.yaml").unlink()
    for name in ("job.sbatch", "job-1.log"):
        (tmp_path / name).write_text("")
    assert look_at(request, []).folder == tmp_path


def test_checkpoints_that_do_not_fit_the_disk_are_refused_with_both_numbers(
    tmp_path: Path,
) -> None:
    assert check_disk(FIT, tmp_path / "new" / "run").startswith("checkpoints: about 0.0 MiB, and ")
    huge = replace(FIT, checkpoint_bytes=2**60)
    with pytest.raises(InputError, match=r"about 1,073,741,824.0 GiB, and .* free in .*make room"):
        check_disk(huge, tmp_path / "new")


@pytest.mark.parametrize(
    ("limit", "options", "end"),
    [
        ("1:00:00", [], "; the limit is 1:00:00"),
        ("5", [], "; the limit is 0:05:00: about 1 restarts"),
        ("5", [Option("no-requeue")], "; the limit of 0:05:00 will stop it before its end"),
    ],
)
def test_the_time_limit_is_held_against_an_earlier_run_of_the_same_kind(
    limit: str, options: list[Option], end: str, tmp_path: Path
) -> None:
    asked = [Option("time", limit), *options]
    assert check_time(FIT, tmp_path / "new", asked) == []
    earlier_run(tmp_path, "other-data", data={"fingerprint": "beef"})
    earlier_run(tmp_path, "other-network", parameters=1)
    assert check_time(FIT, tmp_path / "new", asked) == []
    run = earlier_run(tmp_path, "same/group_0")
    earlier_run(tmp_path, "same-but-older", ended="2026-11-25T10:00:01+00:00")
    said = f"time: at most 0:10:00, at 1,000 rows a second as in {run}"
    assert check_time(FIT, tmp_path / "new", asked) == [f"{said}{end}"]
    # What is done already takes no more time.
    resumed = replace(FIT, resumed=True, steps=1300)
    assert "at most 0:01:00" in check_time(resumed, run, [])[0]


def test_a_run_that_goes_on_tells_its_rate_by_its_status(tmp_path: Path) -> None:
    # Its record's end is that of an earlier start.
    run = earlier_run(tmp_path, "again", ended="2026-11-25T09:30:00+00:00")
    assert check_time(FIT, tmp_path / "new", []) == []
    began = datetime.fromisoformat("2026-11-25T10:00:00+00:00").timestamp()
    (run / "status.json").write_text(json.dumps({"step": 400, "time": began + 60}))
    (said,) = check_time(FIT, tmp_path / "new", [])
    assert said == f"time: at most 0:20:00, at 500 rows a second as in {run}"


def test_a_time_limit_that_leaves_none_to_train_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--time is 0:02:00, but a start with a save may take"):
        check_fit(FIT, tmp_path, [Option("time", "2")])


def test_a_line_tells_a_run_and_how_it_ended(tmp_path: Path) -> None:
    run = earlier_run(tmp_path, "r", epochs=7)
    gone = Job("12", None, run)
    assert (
        status_line(gone, 0.0) == f"12: Slurm has forgotten it; {run}: finished; step 700, epoch 7"
    )
    earlier_run(tmp_path, "broken", status="running")
    said = status_line(
        Job("12", {"JobState": "FAILED", "RunTime": "0:10"}, tmp_path / "broken"), 0.0
    )
    assert said.endswith("FAILED after 0:10; " + f"{tmp_path}/broken: it broke off")
    assert status_line(Job("12", {"JobState": "PENDING", "Reason": "Resources"}, None), 0.0) == (
        "12: PENDING (Resources)"
    )


def test_the_way_to_go_on_is_named(tmp_path: Path) -> None:
    assert again(tmp_path) == f"combo-lightning slurm submit fit --resume {tmp_path}"
    words = ["slurm", "submit", "--nodes=2", "ltfb", "--resume", "a b"]
    command = ["slurm", "submit", "--nodes=2", "ltfb"]
    (tmp_path / "submitted.json").write_text(json.dumps({"again": words, "command": command}))
    # Nothing has begun that could be resumed.
    assert again(tmp_path) == "combo-lightning slurm submit --nodes=2 ltfb"
    (tmp_path / "run.json").write_text('{"status": "interrupted"}')
    assert again(tmp_path) == "combo-lightning slurm submit --nodes=2 ltfb --resume 'a b'"


def test_a_log_is_shown_from_its_end(
    tmp_path: Path, run_here: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    log = tmp_path / "job-1.log"
    record = {"job": "1", "name": "combo-fit-x", "log": str(log)}
    (tmp_path / "submitted.json").write_text(json.dumps(record))
    outcome = run_here("slurm", "logs", tmp_path)
    assert outcome.code == 2
    assert f"{tmp_path} has no log" in outcome.output
    log.write_text("first\nsecond\nthird\n")
    (tmp_path / "group_0").mkdir()
    (tmp_path / "group_0" / "log.txt").write_text("")
    outcome = run_here("slurm", "logs", tmp_path, "--lines=2")
    assert outcome.code == 0
    assert outcome.output == (f"==> {log} <==\nsecond\nthird\nalso: {tmp_path}/group_0/log.txt\n")
    # Nothing is added to the log of a job that is gone.
    assert run_here("slurm", "logs", tmp_path, "--follow").code == 0


def test_a_run_without_a_job_cannot_be_cancelled(
    tmp_path: Path, run_here: Callable[..., Outcome]
) -> None:
    (tmp_path / "run.json").write_text("{}")
    outcome = run_here("slurm", "cancel", tmp_path)
    assert outcome.code == 2
    assert "was not submitted" in outcome.output


def test_nodes_are_not_looked_at_without_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    said = slurm_checks.look_on_idle([], [])
    assert said.startswith("nodes: looked at when the job starts, as none could be had at once")
