"""NCI-ALMANAC's published scores, merged with those that its wells give."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from combo_lightning.data.dataset import read_dataset
from combo_lightning.data.identity import replicate_groups
from combo_lightning.data.merging.merge import MergeOptions, merge
from tests.conftest import Outcome


@pytest.mark.real_data
def test_wells_are_the_published_scores_of_the_same_lines_and_drugs(
    shared_data: Path, run_here: Callable[..., Outcome], tmp_path: Path
) -> None:
    almanac = shared_data / "almanac"
    tables = {
        "almanac-combo-score": ("--scores", "DTP_NCI60_ALMANAC_COMBO_SCORE.csv.gz"),
        "almanac-growth": ("--growth", "ComboDrugGrowth_sample.csv"),
    }
    known = ("--drugs", almanac / "drugs.csv", "--cells", almanac / "cells.csv")
    for source, (option, name) in tables.items():
        more = ("--response", "combo-score") if source == "almanac-growth" else ()
        made = run_here(
            "prepare", source, option, almanac / name, *known, *more, "--chemistry", "[]",
            "--out", tmp_path / source,
        )  # fmt: skip
        assert made.code == 0, made.output
    paths = [tmp_path / source for source in tables]
    merged = read_dataset(merge(paths, tmp_path / "all", MergeOptions(), {}))
    for join in merged.manifest["made_by"]["joins"]:
        assert (join["unmatched"], join["guessed"]) == ({}, {})
    responses = merged.responses
    assert responses.study_N is not None
    group_N, well_N = replicate_groups(responses), responses.study_N == 1
    assert well_N.sum() == 152
    equal = total = 0
    for row in np.flatnonzero(well_N):
        published = responses.response_N[(group_N == group_N[row]) & ~well_N]
        total += len(published) > 0
        equal += responses.response_N[row] in published
    assert (equal, total) == (134, 134)
