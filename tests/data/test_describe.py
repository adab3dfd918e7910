import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from combo_lightning.data.dataset import read_dataset
from combo_lightning.data.describe import QUANTILES, describe
from combo_lightning.data.simulator import SimulationConfig, simulate, write_simulation
from tests.data.screens import make_cells, make_drugs, make_screen


def test_rows_entities_and_drugs_a_row_are_counted() -> None:
    screen = make_screen(
        [0, 0, 1], [[0, 1], [1, -1], [0, 2]], cells=make_cells(4), drugs=make_drugs(5)
    )
    facts = describe(screen)
    assert facts.rows == 3
    assert facts.cells == (4, 2)
    assert facts.drugs == (5, 3)
    assert facts.drugs_per_row == {1: 1, 2: 2}
    assert facts.response == ("combo_score", "ComboScore points")
    assert facts.doses is None
    assert not facts.weighted
    assert facts.fingerprint == screen.fingerprint


def test_the_distribution_is_the_responses(tmp_path: Path) -> None:
    config = SimulationConfig(cells=5, drugs=6, cell_features=3, drug_features=4)
    facts = describe(read_dataset(write_simulation(simulate(config), tmp_path / "d", {})))
    y = simulate(config).response_N.astype(float)
    assert facts.mean == pytest.approx(y.mean())
    assert facts.sd == pytest.approx(y.std())
    assert facts.quantiles == pytest.approx(tuple(np.percentile(y, QUANTILES)))
    counts, edges = facts.histogram
    inside = (y >= edges[0]) & (y <= edges[-1])
    assert sum(counts) == inside.sum()
    assert facts.made_by["noise_ceiling_r2"] == 0.9


def test_replicates_are_found_in_either_order_and_correlated() -> None:
    cell = np.repeat(np.arange(4), 2)
    drugs = np.tile([[0, 1], [1, 0]], (4, 1))
    screen = make_screen([*cell, 0], [*drugs.tolist(), [0, 2]])
    y = np.array([1, 2, 5, 4, 3, 3, 0, 1, 99], dtype=np.float32)
    facts = describe(replace(screen, responses=replace(screen.responses, response_N=y)))
    assert facts.replicates == 4
    assert facts.replicate_correlation == pytest.approx(np.corrcoef(y[:8:2], y[1:8:2])[0, 1])


def test_other_doses_are_no_replicates_and_three_runs_are_two_pairs() -> None:
    rows = [[0, 1]] * 4
    doses = [[-6, -5], [-6, -5], [-6, -7], [-6, -5]]
    facts = describe(make_screen([0, 0, 0, 0], rows, doses))
    assert facts.replicates == 2
    assert math.isnan(facts.replicate_correlation)
    assert facts.doses == (3, -7.0, -5.0)


def test_missing_values_are_told_from_entities_without_a_block() -> None:
    cells = make_cells(4)
    values = cells.blocks["expression"].values_EF
    values[1] = np.nan
    values[2, :3] = np.nan
    facts = describe(make_screen([0, 1, 2, 3], [[0, 1]] * 4, cells=cells))
    expression, descriptors = facts.blocks
    assert (expression.entity, expression.name, expression.features) == ("cell", "expression", 6)
    assert expression.entities_without == 1
    # 3 of the 18 values of the three lines that were measured.
    assert expression.missing_share == pytest.approx(3 / 18)
    assert (descriptors.entity, descriptors.entities_without) == ("drug", 0)
    assert descriptors.missing_share == 0


def test_a_constant_response_is_described_without_warnings() -> None:
    screen = make_screen([0, 0, 1, 1, 2, 2], [[0, 1]] * 6)
    y = np.full(6, 7, dtype=np.float32)
    facts = describe(replace(screen, responses=replace(screen.responses, response_N=y)))
    assert (facts.mean, facts.sd, facts.replicates) == (7, 0, 3)
    assert math.isnan(facts.replicate_correlation)
    assert sum(facts.histogram[0]) == 6


def test_weights_and_studies_are_said() -> None:
    screen = make_screen([0, 1], [[0, 1]] * 2, weight_N=[1, 2])
    study = np.array([0, 1], dtype=np.int16)
    responses = replace(screen.responses, study_N=study, studies=("a", ""))
    facts = describe(replace(screen, responses=responses))
    assert facts.weighted
    assert [study.name for study in facts.studies] == ["a", ""]
