"""How far a run is, from its files."""

import json
from pathlib import Path
from typing import Any

import pytest

from combo_lightning.cli.progress import STATUS, RunProgress, progress_line, progress_table
from combo_lightning.ltfb.status import STATUS as WRITTEN

NOW = 1_000_000.0
HALF = {"step": 1200, "max_steps": 5000, "epoch": 4, "steps_per_second": 31.25, "time": NOW - 1}
PLAN = {
    "schema_version": 1, "token": "t", "num_groups": 3, "seed": 1, "every_n_train_steps": 10,
    "strategy": {"name": "RandomPairwise", "arguments": {}},
    "rule": {"metrics": ["mse"], "mode": "min"}, "own_rows": False, "space": {},
}  # fmt: skip


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_the_status_file_has_the_name_that_training_writes() -> None:
    assert STATUS == WRITTEN


def test_a_run_that_trains_says_when_it_will_be_done(tmp_path: Path) -> None:
    progress = RunProgress.read(tmp_path, NOW)
    assert (progress.words(running=True), progress.outcome) == ("", "")
    write(tmp_path / STATUS, HALF)
    said = "step 1,200 of 5,000, epoch 4, 31.2 steps/s, 0:02:02 to the end"
    assert progress.words(running=True) == said
    assert RunProgress.read(tmp_path, NOW + 95).words(running=True).endswith("silent for 0:01:36")
    (tmp_path / STATUS).write_text("{broken")
    assert progress.words(running=True) == ""


@pytest.mark.parametrize("status", ["finished", "interrupted"])
def test_the_record_has_the_last_word(status: str, tmp_path: Path) -> None:
    write(tmp_path / STATUS, HALF)
    write(tmp_path / "run.json", {"status": status, "steps": 1210, "epochs": 5})
    progress = RunProgress.read(tmp_path, NOW + 900)
    assert progress.outcome == status
    assert progress.words(running=False) == "step 1,210 of 5,000, epoch 5"


def test_a_tournament_names_its_best_score_and_the_group_that_is_silent(tmp_path: Path) -> None:
    write(tmp_path / "ltfb.json", PLAN)
    for group, score in enumerate((0.5, 0.25)):
        status = {**HALF, "step": 1200 + group, "round": 12, "score": score}
        write(tmp_path / f"group_{group}" / STATUS, status | ({"time": NOW - 95} if group else {}))
    progress = RunProgress.read(tmp_path, NOW)
    assert progress.words(running=True) == (
        "step 1,200 to 1,201 of 5,000, epoch 4, 31.2 steps/s, round 12, best score 0.25, "
        "0:02:02 to the end, 1 of 3 groups alive, group 1 silent for 0:01:35"
    )
    assert progress.alive() == {0: True, 1: False, 2: False}
    assert progress_table(tmp_path, progress.alive()).row_count == 3
    assert progress_line(tmp_path, 3) == "steps 1,200, 1,201, 0; round 12"
    write(tmp_path / "champion.json", {})
    assert progress.outcome == "finished"


def test_restarts_are_counted_with_the_last_reason(tmp_path: Path) -> None:
    progress = RunProgress.read(tmp_path, NOW)
    attempts: list[dict[str, Any]] = [{"restart": 0, "why": "node2 does not answer"}]
    write(tmp_path / "attempts.json", {"job": "1", "attempts": attempts})
    assert progress.restarts() == ""
    attempts.append({"restart": 1, "why": None})
    write(tmp_path / "attempts.json", {"job": "1", "attempts": attempts})
    assert progress.restarts() == "1 restart, the last after: node2 does not answer"
