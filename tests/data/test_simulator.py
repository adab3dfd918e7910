from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from combo_lightning.data.dataset import read_dataset
from combo_lightning.data.identity import replicate_groups
from combo_lightning.data.simulator import (
    PRESETS,
    SimulationConfig,
    preset_config,
    simulate,
    write_simulation,
)
from combo_lightning.errors import InputError

# No structures and few features: milliseconds a screen.
TINY = SimulationConfig(cells=5, drugs=6, cell_features=3, drug_features=4)


def r2(true: np.ndarray, measured: np.ndarray) -> float:
    measured = measured.astype(np.float64)
    return float(1 - ((measured - true) ** 2).sum() / ((measured - measured.mean()) ** 2).sum())


@settings(max_examples=30)
@given(
    response=st.sampled_from(["growth", "min_growth", "combo_score"]),
    ceiling=st.floats(0.1, 1.0),
    seed=st.integers(0, 2**40),
)
def test_the_true_function_reaches_the_stated_ceiling(
    response: str, ceiling: float, seed: int
) -> None:
    screen = simulate(replace(TINY, response=response, ceiling_r2=ceiling, seed=seed))
    # The issue allows 0.01; what is left here is float32.
    assert r2(screen.true_N, screen.response_N) == pytest.approx(ceiling, abs=1e-5)


def test_the_data_set_on_disk_holds_the_screen_and_its_ceiling(tmp_path: Path) -> None:
    config = preset_config("small", ceiling_r2=0.7)
    screen = simulate(config)
    dataset = read_dataset(write_simulation(screen, tmp_path / "d", {"command": ["x"]}))
    made_by = dataset.manifest["made_by"]
    assert made_by["command"] == ["x"]
    responses = dataset.responses
    np.testing.assert_array_equal(responses.cell_N, screen.cell_N)
    np.testing.assert_array_equal(responses.drug_NK, screen.drug_NK)
    # The configuration in the manifest gives the true response of each row back.
    again = simulate(SimulationConfig(**made_by["simulation"]))
    assert r2(again.true_N, responses.response_N) == pytest.approx(0.7, abs=0.01)
    assert made_by["noise_ceiling_r2"] == 0.7


def test_equal_seeds_give_equal_bytes_and_other_seeds_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_simulation(simulate(preset_config("small", seed=seed)), tmp_path / name, {})
    for table in ("responses", "cells", "drugs"):
        a, b, c = ((tmp_path / name / f"{table}.parquet").read_bytes() for name in "abc")
        assert a == b != c


def test_the_noise_goes_with_nothing() -> None:
    screen = simulate(replace(TINY, ceiling_r2=0.5))
    noise = screen.response_N - screen.true_N
    assert abs(np.corrcoef(noise, screen.true_N)[0, 1]) < 1e-5
    assert abs(noise.mean()) < 1e-4 * noise.std()


def test_structures_are_readable_and_differ() -> None:
    drugs = simulate(preset_config("small")).drugs
    molecules = [Chem.MolFromSmiles(s or "") for s in drugs.annotation("smiles")]
    assert all(m is not None and m.GetNumAtoms() > 3 for m in molecules)
    assert len(set(drugs.annotation("inchikey"))) == len(drugs)
    assert {b: v.recipe["kind"] for b, v in drugs.blocks.items()} == {
        "descriptors": "descriptors",
        "morgan": "morgan",
    }


def test_one_line_has_no_expression_and_single_values_are_missing() -> None:
    blocks = simulate(preset_config("demo")).cells.blocks
    gone = np.isnan(blocks["expression"].values_EF)
    assert gone.all(axis=1).sum() == 1
    assert not gone[~gone.all(axis=1)].any()
    assert 0 < np.isnan(blocks["microrna"].values_EF).mean() < 0.1


def test_replicates_stand_in_opposite_order(tmp_path: Path) -> None:
    config = replace(TINY, replicate_share=0.3)
    dataset = read_dataset(write_simulation(simulate(config), tmp_path / "d", {}))
    group = replicate_groups(dataset.responses)
    twice = np.flatnonzero(np.bincount(group) == 2)
    assert np.bincount(group).max() == 2
    # 75 combinations at a share of 0.3.
    assert 5 < len(twice) < 45
    for g in twice:
        a, b = dataset.responses.drug_NK[group == g]
        assert a.tolist() == b[::-1].tolist()


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_rows_of_any_number_of_drugs_have_one_dose_a_drug(slots: int, tmp_path: Path) -> None:
    config = replace(TINY, num_slots=slots, response="growth", single_share=0.4)
    dataset = read_dataset(write_simulation(simulate(config), tmp_path / "d", {}))
    responses = dataset.responses
    assert responses.log10_molar_NK is not None
    present = responses.drug_NK >= 0
    assert set(present.sum(axis=1)) == {1, slots}
    np.testing.assert_array_equal(np.isfinite(responses.log10_molar_NK), present)
    for row in responses.drug_NK:
        drugs = row[row >= 0]
        assert len(set(drugs)) == len(drugs)


def test_lowest_growth_and_combo_score_follow_from_the_wells() -> None:
    wells, lowest, total = (
        simulate(replace(TINY, response=response, replicate_share=0.0))
        for response in ("growth", "min_growth", "combo_score")
    )
    # 3 x 3 doses in the order of the combinations.
    assert wells.dose_NK is not None
    _, expected = wells.truth.growth(wells.cell_N, wells.drug_NK, wells.dose_NK)
    np.testing.assert_allclose(wells.true_N.reshape(-1, 9).min(axis=1), lowest.true_N)
    np.testing.assert_allclose(
        (expected - wells.true_N).reshape(-1, 9).sum(axis=1), total.true_N, atol=1e-9
    )


def test_the_poster_preset_has_the_reference_sizes() -> None:
    screen = simulate(preset_config("poster"))
    assert len(screen.response_N) == 244_501 + 61_125
    widths = [
        sum(len(b.feature_names) for b in entities.blocks.values())
        for entities in (screen.cells, screen.drugs)
    ]
    assert widths == [921, 3829]
    assert (len(screen.cells), len(screen.drugs)) == (60, 104)


def test_a_preset_is_changed_by_what_is_given_only() -> None:
    assert preset_config("small", cells=9, seed=None) == replace(PRESETS["small"], cells=9)
    with pytest.raises(InputError, match="unknown preset 'huge'; known are small, demo, poster"):
        preset_config("huge")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cells": 1}, "use 2 cells and 3 drugs or more"),
        ({"drugs": 2}, "use 2 cells and 3 drugs or more"),
        ({"num_slots": 0}, "use --slots 1 or more"),
        ({"num_slots": 3}, "use --slots 2 without single drugs"),
        ({"single_share": 0.5}, "use --slots 2 without single drugs"),
        ({"single_share": 1.0}, "share of single drugs is 1.0"),
        ({"combinations": -5}, "use --combinations 10 or more"),
        ({"combinations": 999}, "6 drugs in 5 lines make 75"),
        ({"ceiling_r2": 0.0}, r"must lie in \(0, 1\]"),
        ({"ceiling_r2": float("nan")}, r"must lie in \(0, 1\]"),
        ({"seed": -1}, "the seed is -1"),
        ({"drugs": 10**6, "drug_features": None}, "structures to draw from, 1000000 were asked"),
    ],
)
def test_what_cannot_be_simulated_is_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        simulate(replace(TINY, **changes))  # type: ignore[arg-type]


def test_drugs_that_agree_in_a_descriptor_do_not_spoil_the_truth() -> None:
    screen = simulate(SimulationConfig(cells=2, drugs=3, seed=3))
    assert np.isfinite(screen.response_N).all()
