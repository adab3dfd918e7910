import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Outcome
from tests.ltfb.played import SELECTING, played
from tests.ltfb.records import write_plan, write_run

RunHere = Callable[..., Outcome]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = played("RandomPairwise", SELECTING["RandomPairwise"], dies=(3, 5))
    return write_run(tmp_path / "run", run.plan, run.rounds)


def test_the_report_is_written_and_summed_up(run_here: RunHere, folder: Path) -> None:
    outcome = run_here("ltfb", "report", folder)
    assert outcome.code == 0
    assert outcome.output.startswith("RandomPairwise, 5 trainer groups, 8 rounds")
    assert outcome.output.endswith(f"wrote {folder / 'report'}\n")
    assert (folder / "report" / "report.md").is_file()


def test_a_record_of_true_decisions_is_replayed_with_exit_code_0(
    run_here: RunHere, folder: Path
) -> None:
    outcome = run_here("ltfb", "replay", folder)
    assert outcome.code == 0
    assert outcome.output.endswith("with a decision: no difference\n")
    assert len(outcome.output.splitlines()) == 1


def test_a_decision_that_was_changed_is_told_with_exit_code_1(
    run_here: RunHere, folder: Path
) -> None:
    path = folder / "group_0" / "rounds.jsonl"
    lines = path.read_text().splitlines()
    place = next(n for n, line in enumerate(lines) if json.loads(line)["met"])
    lines[place] = json.dumps(json.loads(lines[place]) | {"margin": 7.5})
    path.write_text("".join(f"{line}\n" for line in lines))
    outcome = run_here("ltfb", "replay", folder)
    assert outcome.code == 1
    assert outcome.output.startswith(f"round {place + 1}, group 0: margin is 7.5, replayed ")
    assert outcome.output.endswith("with a decision: 1 difference\n")


def test_a_line_that_was_cut_off_is_left_out_by_both(run_here: RunHere, folder: Path) -> None:
    path = folder / "group_4" / "rounds.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    assert "replayed 36 records" in run_here("ltfb", "replay", folder).output
    assert "8 rounds, 36 records" in run_here("ltfb", "report", folder).output


@pytest.mark.parametrize("command", ["report", "replay"])
def test_what_is_no_run_is_one_sentence_with_exit_code_2(
    run_here: RunHere, folder: Path, command: str
) -> None:
    outcome = run_here("ltfb", command, folder / "group_0")
    assert outcome.code == 2
    assert outcome.output.startswith(f"error: {folder / 'group_0'} has no ltfb.json")
    path = folder / "group_1" / "rounds.jsonl"
    path.write_text("round 1\n" + path.read_text())
    outcome = run_here("ltfb", command, folder)
    assert outcome.code == 2
    assert outcome.output.startswith(f"error: {path}, line 1: found 'round 1', expected a JSON")


def test_a_run_of_another_strategy_cannot_be_replayed(run_here: RunHere, folder: Path) -> None:
    run = played("RandomPairwise", {})
    write_plan(folder, replace(run.plan, strategy={"name": "Mine", "arguments": {}}))
    assert run_here("ltfb", "replay", folder).code == 2
    assert run_here("ltfb", "report", folder).code == 0


@pytest.mark.parametrize("command", ["report", "replay"])
def test_neither_command_needs_torch(folder: Path, command: str) -> None:
    code = (
        "import sys\nfrom combo_lightning.cli.main import run_program\n"
        f"code = run_program(['ltfb', {command!r}, {str(folder)!r}])\n"
        "sys.exit(code or len([m for m in ('torch', 'lightning', 'pandas') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
