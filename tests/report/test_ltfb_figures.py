import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from combo_lightning.ltfb.plan import Champion, Run
from combo_lightning.ltfb.record import RoundRecord
from combo_lightning.report.ltfb_figures import draw_lineage, draw_scores
from tests.ltfb.records import RULE, adoption, by_round, plan, record


def run_of(folder: Path, groups: int, records: list[RoundRecord], metric: str = "mse") -> Run:
    made = plan(groups, rule=RULE | {"metrics": [metric]})
    return Run(folder, made, by_round(records), None)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(matplotlib.image.imread(path))[..., :3]


def some_rounds(groups: int) -> list[RoundRecord]:
    kept = [record(n, g) for n in range(1, 5) for g in range(groups)]
    return [*kept, adoption(2, 0, 1, learning_rate=0.1)]


def test_the_champions_path_is_drawn_over_the_groups(tmp_path: Path) -> None:
    run = run_of(tmp_path, 4, some_rounds(4))
    draw_lineage(run, None, tmp_path / "deep" / "without.png")
    draw_lineage(run, 0, tmp_path / "deep" / "with.png")
    dark = [
        (pixels(tmp_path / "deep" / name).max(axis=-1) < 0.5).sum()
        for name in ("without.png", "with.png")
    ]
    assert dark[1] > dark[0] + 500
    assert len(list((tmp_path / "deep").iterdir())) == 2


def test_a_group_that_died_ends_with_a_red_cross(tmp_path: Path) -> None:
    def red(records: list[RoundRecord]) -> int:
        draw_lineage(run_of(tmp_path, 3, records), None, tmp_path / "a.png")
        found = pixels(tmp_path / "a.png")
        cross = np.array([0xD6, 0x27, 0x28]) / 255  # tab:red; not a colour of three groups
        return int((np.abs(found - cross).max(axis=-1) < 0.02).sum())

    whole = some_rounds(3)
    assert red(whole) == 0
    assert red([r for r in whole if r.group != 1 or r.round < 3]) > 5
    assert red([r for r in whole if r.group != 2]) > 5


ODD: dict[str, list[RoundRecord]] = {
    "nothing": [],
    "one round": [record(0, 0)],
    "a round alone": [record(7, 1)],
    "not finite": [record(1, 0, scores={0: {"mse": math.nan}}), record(1, 1)],
    "nothing finite": [record(1, 0, scores={0: {"mse": math.inf}})],
    "wide": [record(1, 0, scores={0: {"mse": 1e-6}}), record(1, 1, scores={1: {"mse": 1e6}})],
    "negative": [record(1, 0, scores={0: {"mse": -1e6}}), record(1, 1)],
    "failed": [record(1, 0, source=1), record(1, 1)],
    "averaged": [record(1, 0, met=(0, 1), scores={}, reason="averaged", adopted=True)],
}


@pytest.mark.parametrize("name", ODD)
def test_the_oddest_runs_are_drawn_without_a_warning(tmp_path: Path, name: str) -> None:
    run = run_of(tmp_path, 4, ODD[name])
    draw_lineage(run, 0, tmp_path / "lineage.png")
    draw_scores(run, tmp_path / "scores.png")
    ended = Run(run.folder, run.plan, run.rounds, Champion(1, {}, "", 3))
    draw_lineage(ended, 1, tmp_path / "lineage.png")
    assert {path.name for path in tmp_path.iterdir()} == {"lineage.png", "scores.png"}


def test_many_groups_and_metrics_are_drawn(tmp_path: Path) -> None:
    run = run_of(tmp_path, 64, some_rounds(64))
    draw_lineage(run, 3, tmp_path / "lineage.png")
    assert pixels(tmp_path / "lineage.png").shape[0] < 2000
    made = plan(2, rule=RULE | {"metrics": ["mse", "mae"], "mode": "max"})
    draw_scores(Run(tmp_path, made, by_round(some_rounds(2)), None), tmp_path / "scores.png")


def test_another_metric_than_the_record_has_is_said_and_not_an_error(tmp_path: Path) -> None:
    draw_scores(run_of(tmp_path, 2, some_rounds(2), "r2"), tmp_path / "scores.png")
    assert (tmp_path / "scores.png").is_file()
