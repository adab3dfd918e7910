import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest

from combo_lightning.ltfb.plan import Champion, Run, read_run
from combo_lightning.report.ltfb_page import rounds_csv, write_report
from tests.ltfb.played import SELECTING, played
from tests.ltfb.records import adoption, by_round, plan, record, write_champion, write_run

FILES = {"lineage.png", "scores.png", "rounds.csv", "report.md"}


def report(folder: Path, run: Run) -> tuple[str, str]:
    """Write a run and its report; give the summary and the page."""
    write_run(folder, run.plan, run.rounds)
    if run.champion is not None:
        write_champion(folder, run.champion)
    told = write_report(read_run(folder))
    assert {path.name for path in (folder / "report").iterdir()} == FILES
    return told, (folder / "report" / "report.md").read_text()


def story(champion: Champion | None = None) -> Run:
    """Round 1: 0 takes 1's model. Round 2: 2 takes 0's, and changes it; 1 is dead."""
    records = [
        adoption(1, 0, 1, learning_rate=0.2),
        record(1, 1),
        record(1, 2),
        record(2, 0, source=1, met=(1,), reason="better"),
        adoption(2, 2, 0, learning_rate=0.25, mutated={"learning_rate": (0.2, 0.25)}),
    ]
    return Run(Path(), plan(3), by_round(records), champion)


@pytest.mark.parametrize("name", SELECTING)
def test_a_run_with_a_dead_group_is_told_as_far_as_it_went(tmp_path: Path, name: str) -> None:
    told, page = report(tmp_path, played(name, SELECTING[name], dies=(3, 5)))
    assert told.startswith(f"{name}, 5 trainer groups, 8 rounds, 37 records\n")
    assert "not ended; best so far: group " in told
    assert "group 3 ends with round 5; the last round is 8\n" in told
    assert all(f"- {line}" in page for line in told.splitlines())


def test_the_page_names_the_champion_and_how_it_came_about(tmp_path: Path) -> None:
    checkpoint = "group_2/checkpoints/final.ckpt"
    champion = Champion(2, {2: {"mse": 0.5}, 0: {"mse": 0.75}}, checkpoint, 200)
    told, page = report(tmp_path, story(champion))
    assert f"champion: group 2 (mse 0.5) at step 200: {checkpoint}\n" in told
    assert "adoptions: 2 in 3 meetings (66.7 %), 1 failed\n" in told
    assert "ancestors: 1 of 3 first models live on\n" in told
    assert "sent and received by the groups' first processes: 2.0 MB\n" in told
    assert "met nobody: 2 alone\n" in told
    for row in (
        "| start |  | 1 | first model | 0.2 |",
        "| 1 | 100 | 0 | from group 1 | 0.2 |",
        "| 2 | 200 | 2 | from group 0 | 0.25 (was 0.2) |",
        "| 1 | 3 | 2 | 1 2 |",
        "| 2 | 2 | 1 | 1 |",
        "| 0 | 1.00 | 60.0 | 1.7 % |",
        "| 2 | 0 | 1 | better |",
    ):
        assert f"\n{row}\n" in page


def test_the_table_has_a_row_for_each_round_and_group(tmp_path: Path) -> None:
    report(tmp_path, story())
    with (tmp_path / "report" / "rounds.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["round"], row["group"]) for row in rows] == [
        ("1", "0"), ("1", "1"), ("1", "2"), ("2", "0"), ("2", "2"),
    ]  # fmt: skip
    last = rows[-1]
    assert (last["source"], last["met"], last["living"]) == ("0", "0", "0 1 2")
    assert (last["score_mse"], last["source_score_mse"]) == ("2.0", "1.0")
    assert (last["ancestors"], last["mutated"]) == ("1", "learning_rate")
    assert (last["learning_rate"], last["bytes"]) == ("0.25", "1000000")
    assert last["seconds_total"] == "1.0"
    assert [row["failed"] for row in rows] == ["False", "False", "False", "True", "False"]


def test_a_run_without_a_round_says_so(tmp_path: Path) -> None:
    told, _ = report(tmp_path, Run(Path(), plan(2), {}, None))
    assert told.splitlines()[1:] == [
        "not ended; no group has a score yet",
        "no round is recorded yet",
    ]


def test_means_are_told_as_such(tmp_path: Path) -> None:
    records = [
        record(n, g, met=(1 - g,), scores={}, reason="averaged", adopted=True, living=(0, 1))
        for n in (1, 2)
        for g in (0, 1)
    ]
    run = Run(Path(), plan(2), by_round(records), Champion(1, {}, "group_1/x.ckpt", 200))
    told, page = report(tmp_path, run)
    assert "averages: 4 taken\n" in told
    assert "champion: group 1 at step 200: group_1/x.ckpt\n" in told
    assert "| 1 | 100 | 1 | mean with groups 0 | 0.2 |" in page


def test_a_long_path_is_shown_from_both_ends(tmp_path: Path) -> None:
    records = [
        record(n, 0, hyperparameters={"learning_rate": float(n)}, scores={0: {"mse": 1.0}},
               time=f"2026-11-25T13:{n // 60:02}:{n % 60:02}+00:00")
        for n in range(1, 101)
    ]  # fmt: skip
    _, page = report(tmp_path, Run(Path(), plan(4), by_round(records), None))
    assert "| 60 more |  |  |  |  |" in page
    assert "| 100 | 10000 | 0 | new hyperparameters | 100 |" in page


def test_values_that_are_not_there_are_left_empty() -> None:
    records = [record(1, 0, scores={}, ages={}), record(1, 1, hyperparameters={}, seconds={})]
    rows = list(
        csv.DictReader(rounds_csv(replace(story(), rounds=by_round(records))).splitlines())
    )
    assert (rows[0]["score_mse"], rows[0]["age"]) == ("", "")
    assert (rows[1]["learning_rate"], rows[1]["seconds_total"]) == ("", "")


def test_scores_that_are_not_finite_do_not_stop_the_report(tmp_path: Path) -> None:
    records = [record(1, g, scores={g: {"mse": math.inf}}) for g in range(3)]
    told, _ = report(tmp_path, Run(Path(), plan(4), by_round(records), None))
    assert "no group has a score yet" in told
    assert "group 3 has no record; the last round is 1" in told
